"""A command in which every Python of this environment is active, by its PYTHONPATH."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence

from compat_shim import env
from compat_shim.activation import BOOTSTRAP

# The folder that the package lies in. A Python that does not have it on its path is not activated.
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(BOOTSTRAP)))


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a command: the path, the route and the given settings."""
    path = [BOOTSTRAP]
    if os.environ.get("PYTHONPATH"):
        path.append(os.environ["PYTHONPATH"])
    # sys.path[0] is the current folder (-m) or the script's: the command's Python may have another.
    if ROOT not in sys.path[1:]:
        path.append(ROOT)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), env.ROUTE: "run", **settings}


def other_environment(program: str) -> str | None:
    """The environment of the Python that ``program`` names, if that is plainly not this one."""
    found = shutil.which(program)
    if found is None or not re.fullmatch(r"python[\d.]*t?", os.path.basename(found)):
        return None
    # Of the link itself: an environment's Python is one, and where it leads to is no environment.
    prefix = os.path.dirname(os.path.realpath(os.path.dirname(found)))
    if prefix == os.path.realpath(sys.prefix) or not (_is_environment(prefix) or _is_environment(sys.prefix)):
        return None  # two that are no environments may be the same under two names
    return prefix


def _is_environment(prefix: str) -> bool:
    return any(os.path.exists(os.path.join(prefix, name)) for name in ("pyvenv.cfg", "conda-meta"))


def execute(command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Replace this process by the command.

    Raises:
        OSError: that is not possible.
    """
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores these, and a new program inherits that
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execvpe(command[0], list(command), environ)


def not_active_there(program: str, environ: Mapping[str, str]) -> str | None:
    """Why the shim will not be active in ``program``, if that is plainly another environment's Python."""
    other = other_environment(program)
    if other is None or ROOT in environ["PYTHONPATH"].split(os.pathsep):
        return None
    return (
        f"{program} is the Python of {other}, not of {sys.prefix}: the shim will not be active there, unless it finds"
        f" {ROOT} too; give {sys.executable} instead, or install compat_shim there and use `run` from there"
    )
