"""What ``enable`` writes: one file in an environment's site-packages, written on request.

The file puts the bootstrap folder first on ``sys.path`` before ``site`` imports ``sitecustomize``,
so from there on it is the one mechanism of ``PYTHONPATH`` and ``run``. A plain path line would not
do: it is appended, and a distribution's own ``sitecustomize`` (Debian has one) would be found first.
"""

from __future__ import annotations

import os
import site
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType

from compat_shim.activation import BOOTSTRAP

MARK = "# Written by `python -m compat_shim enable`; `python -m compat_shim disable` removes it.\n"
NAMES = ("compat_shim.pth", "compat_shim.start")


class NotPossible(Exception):
    """The file cannot be written or removed; the message says why and what to do."""


def knows_start_files(module: ModuleType = site) -> bool:
    """Whether the interpreter's ``site`` runs start files (PEP 829, Python 3.15)."""
    return hasattr(module, "StartupState")


def folder() -> Path:
    """This environment's site-packages."""
    return Path(sysconfig.get_path("purelib"))


def contents(prefix: str, start_file: bool) -> str:
    """What the file says.

    The line of a ``.pth`` runs at every start, also long after the package is gone or the
    environment was moved, so it only ever adds a folder that exists.
    """
    if start_file:
        return MARK + "compat_shim.activation.start_file:start\n"
    folders = ascii(BOOTSTRAP)
    if Path(BOOTSTRAP).is_relative_to(prefix):
        # First, so that a copy of the environment uses its own package, while the original is there.
        folders = f"os.path.join(sys.prefix, {os.path.relpath(BOOTSTRAP, prefix)!a}), {folders}"
    first = f"next(filter(os.path.isdir, ({folders},)), None)"
    return MARK + f"import os, sys; _p = {first}; _p is None or _p in sys.path or sys.path.insert(0, _p)\n"


def files(folder: Path) -> list[Path]:
    """Our files in a site-packages folder."""
    return [file for name in NAMES if (file := folder / name).exists() and _is_ours(file)]


def _is_ours(file: Path) -> bool:
    return file.read_text(encoding="utf-8", errors="replace").startswith(MARK)


def enable(folder: Path, prefix: str) -> Path:
    """Write the file, whole or not at all, and remove one of the other form.

    Raises:
        NotPossible: the folder cannot be written to, or there is a foreign file of that name.
    """
    start_file = knows_start_files()
    file = folder / NAMES[start_file]
    if file.exists() and not _is_ours(file):
        raise NotPossible(f"{file} exists and is not compat_shim's; it is left as it is")
    try:
        descriptor, temporary = tempfile.mkstemp(prefix="compat_shim-", suffix=".tmp", dir=folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(contents(prefix, start_file))
            os.chmod(temporary, 0o644)  # mkstemp's are for their owner alone
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise
        for other in files(folder):
            if other != file:
                other.unlink()
    except OSError as error:
        raise NotPossible(
            f"{folder} cannot be written to ({error.strerror}); enable it as the owner of the environment, or use"
            " `python -m compat_shim run -- COMMAND`"
        ) from error
    return file


def disable(folder: Path) -> list[Path]:
    """Remove our files; returns what was removed.

    Raises:
        NotPossible: a file cannot be removed.
    """
    removed = files(folder)
    try:
        for file in removed:
            file.unlink()
    except OSError as error:
        raise NotPossible(f"{error.filename} cannot be removed ({error.strerror})") from error
    return removed
