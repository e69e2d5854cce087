"""Is there enough disk for an environment on every release of torch? Standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Measured: the wheels of all environments, unpacked once in uv's cache and hard-linked from it.
MATRIX_GB = 40
# Caches, byte code and temporary files of a run.
ROOM_GB = 2


def cached_gb() -> float:
    """What uv's cache holds already, as far as it can be told."""
    try:
        output = subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        folder = Path(os.environ.get("UV_CACHE_DIR", Path.home() / ".cache" / "uv"))
    else:
        folder = Path(output.strip())
    archive = folder / "archive-v0"
    sizes = (path.lstat().st_size for path in archive.glob("*/torch/**/*") if path.is_file())
    libraries = (path.lstat().st_size for path in archive.glob("*/nvidia/**/*.so*") if path.is_file())
    return (sum(sizes) + sum(libraries)) / 1e9


def main() -> int:
    """Print what is needed and found; 1 if it is too little."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    needed = max(MATRIX_GB - cached_gb(), 0) + ROOM_GB
    print(f"disk: {free:.0f} GB free, {needed:.0f} GB needed for an environment on each release of torch")
    if free >= needed:
        return 0
    print(
        "Too small for the matrix. Free some, or run one release at a time, for example"
        " `tox run -e unit,torch210`, and remove .tox between them.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
