"""``run``: a command in which every Python of this environment is active, by its PYTHONPATH."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from compat_shim import env
from compat_shim.activation import BOOTSTRAP

# A shell's exit codes for a command that cannot be executed, and for one that is not there.
CANNOT_EXECUTE, NOT_FOUND = 126, 127


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a command: the path, the route and the given settings."""
    path = [BOOTSTRAP]
    if os.environ.get("PYTHONPATH"):
        path.append(os.environ["PYTHONPATH"])
    root = os.path.dirname(os.path.dirname(os.path.dirname(BOOTSTRAP)))
    # sys.path[0] is the current folder (-m) or the script's: the command's Python may have another.
    if root not in sys.path[1:]:
        path.append(root)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), env.ROUTE: "run", **settings}


def execute(command: Sequence[str], settings: Mapping[str, str]) -> int:
    """Replace this process by the command. Returns only if that fails: its exit code."""
    environ = environment(settings)
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
    if problems and (settings.get(env.MODE) or os.environ.get(env.MODE)) == "strict":
        # Strict in the command would only fail its first import of torch.
        print(f"compat-shim run: {'; '.join(problems)}", file=sys.stderr)
        return 2
    return execute(words, settings)
