"""``run``: a command in which every Python of this environment is active, by its PYTHONPATH."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence

from compat_shim import env
from compat_shim.activation import BOOTSTRAP, zipped

# A shell's exit codes for a command that cannot be executed, and for one that is not there.
CANNOT_EXECUTE, NOT_FOUND = 126, 127

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


def execute(command: Sequence[str], settings: Mapping[str, str]) -> int:
    """Replace this process by the command. Returns only if that fails: its exit code."""
    environ = environment(settings)
    other = other_environment(command[0])
    if other is not None and ROOT not in environ["PYTHONPATH"].split(os.pathsep):
        print(
            f"compat-shim run: {command[0]} is the Python of {other}, not of {sys.prefix}: the shim will not be active"
            f" there, unless it finds {ROOT} too; give {sys.executable} instead, or install compat_shim there and use"
            " `run` from there",
            file=sys.stderr,
        )
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores these, and a new program inherits that
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvpe(command[0], list(command), environ)
    except OSError as error:
        print(f"compat-shim run: {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, (FileNotFoundError, NotADirectoryError)) else CANNOT_EXECUTE


def main(options: argparse.Namespace) -> int:
    """The command ``run``."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        options.parser.error("no COMMAND")
    given = {env.MODE: options.mode, env.FEATURES: options.features, env.LOG: options.log}
    settings = {name: value for name, value in given.items() if value is not None}
    problems = env.read({**os.environ, **settings}).problems
    nowhere = zipped()
    if nowhere:
        print(f"compat-shim run: {nowhere}", file=sys.stderr)
        return 2
    if problems and (settings.get(env.MODE) or os.environ.get(env.MODE)) == "strict":
        # Strict in the command would only fail its first import of torch.
        print(f"compat-shim run: {'; '.join(problems)}", file=sys.stderr)
        return 2
    return execute(words, settings)
