"""Where the tests and the checkout are, and the environment of a process that a test starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests" / "support"


def inherited(**more: str) -> dict[str, str]:
    """This process's environment without the shim's variables, then ``more``.

    Nor PYTHONUNBUFFERED: what a child prints into a pipe is buffered, as in a user's process.
    """
    left_out = ("COMPAT_SHIM", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, **more}


def finding_support(**more: str) -> dict[str, str]:
    """The same for a program that imports ``support``."""
    path = [str(SUPPORT.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return inherited(PYTHONPATH=os.pathsep.join(path), **more)


def base_python() -> str:
    """The Python that this virtual environment was made with."""
    # sys._base_executable is the environment's own up to Python 3.10.
    return str(Path(sys.base_prefix, "bin", "python{}.{}".format(*sys.version_info)))
