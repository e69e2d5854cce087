"""How the shim gets into processes that nobody edits: ``PYTHONPATH``, ``run``, ``enable``, workers.

Each way leads to ``bootstrap/sitecustomize.py``, which makes the shim wait for torch.
"""

import os
import sys

from compat_shim import env

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")
HIDDEN = "{} comes before the bootstrap folder on the path: programs that do not import compat_shim run without it"
_FILE = os.path.join(BOOTSTRAP, "sitecustomize.py")


def route() -> str:
    """How ``import compat_shim`` came about: one of the routes that ``status`` shows."""
    if not _waits():
        return "import compat_shim"
    if BOOTSTRAP not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        return "enable"
    return env.started_by() or "sitecustomize"


def is_command() -> bool:
    """Whether the package is being imported for ``python -m compat_shim`` or ``compat-shim``.

    Not in the children of such a process, whose ``sys.argv`` may be a copy of their parent's.
    """
    given = sys.orig_argv[-len(sys.argv) :]
    if sys.argv[:1] == ["-m"]:  # as it is until the module has been found
        return given[0] in ("compat_shim", "-mcompat_shim")
    return given == sys.argv != [] and os.path.basename(given[0]) == "compat-shim"


def hidden_by(route: str = "") -> "str | None":
    """The ``sitecustomize`` that this interpreter found in a folder before ours, and ran in its place.

    None if ours ran, as the process's ``route`` may tell, or its folder is not on the path.
    """
    if route in ("sitecustomize", "run", "enable"):
        return None
    file = getattr(sys.modules.get("sitecustomize"), "__file__", None)
    if file is None or file == _FILE or BOOTSTRAP not in sys.path or _waits():
        return None
    folder = os.path.dirname(file)
    if os.path.basename(file).startswith("__init__."):
        folder = os.path.dirname(folder)
    # The first entry is the script's folder by now, which was not there when the interpreter looked, and our
    # folder may stand there once more, for the children of this process.
    ours = len(sys.path) - 1 - sys.path[::-1].index(BOOTSTRAP)
    return file if folder in sys.path[not getattr(sys.flags, "safe_path", False) : ours] else None


def _waits() -> bool:
    """Whether the bootstrap folder's module ran, and waits for torch or has just met it."""
    return any(getattr(finder, "__file__", None) == _FILE for finder in sys.meta_path)


def zipped() -> "str | None":
    """Why the package cannot be served from where it lies, if that is a zip file or the like."""
    folder = os.path.dirname(BOOTSTRAP)
    if os.path.isdir(folder):
        return None
    return (
        f"compat_shim is imported from {os.path.dirname(folder)}, which is no folder (a zip file?): it is not served"
        " from there and torch behaves as shipped; install it as files"
    )
