"""``run``: a command in which every Python of this environment is active."""

from __future__ import annotations

import argparse
import os
from typing import Any

from compat_shim import env
from compat_shim.activation import launch, user_code, zipped
from compat_shim.commands import failures, import_option
from compat_shim.commands.exit_codes import CANNOT_EXECUTE, NOT_FOUND
from compat_shim.commands.failures import Failure


def add_to(commands: Any) -> None:
    """Add the command to argparse's sub-parsers."""
    parser = commands.add_parser(
        "run",
        help="run a command with the shim active in all its Python processes",
        usage="%(prog)s [options] -- COMMAND [ARGUMENT ...]",
        description="Put the shim's bootstrap folder first on PYTHONPATH and execute COMMAND in place of this"
        " process. Every Python of this environment that it starts is active, workers too. Exit code: the"
        " command's; 127 if it is not found, 126 if it cannot be executed.",
    )
    parser.add_argument("--mode", choices=env.MODES, help=f"{env.MODE} for the command")
    parser.add_argument("--features", metavar="IDS", help=f"{env.FEATURES} for the command")
    parser.add_argument("--log", choices=env.LOG_LEVELS, help=f"{env.LOG} for the command")
    parser.add_argument("--calls", choices=env.WHICH_CALLS, help=f"{env.CALLS} for the command")
    parser.add_argument(
        "--pair",
        action="append",
        metavar="NAMES",
        help=f"{env.PAIR} for the command: namespaces, ns::op or ns::op=ns::op_out, comma-separated (may be repeated)",
    )
    import_option.add_to(parser, ", in every Python of the command once it has imported torch")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Become the command; returns an exit code only if that fails."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        options.parser.error("no COMMAND")
    given = {
        env.MODE: options.mode,
        env.FEATURES: options.features,
        env.LOG: options.log,
        env.CALLS: options.calls,
        env.PAIR: ",".join(options.pair) if options.pair else None,
        env.IMPORT: os.pathsep.join(map(_found_from_anywhere, options.imports)) or None,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    _check(options, settings)
    environ = launch.environment(settings)
    warning = launch.not_active_there(words[0], environ)
    if warning is not None:
        failures.say("run", warning)
    try:
        launch.execute(words, environ)
    except OSError as error:
        script = words[0].endswith(".py") and os.path.isfile(words[0])
        hint = f"; put `python` before it: `compat-shim run -- python {words[0]}`" if script else ""
        failures.say("run", f"{words[0]}: {error.strerror}{hint}")
        return NOT_FOUND if isinstance(error, (FileNotFoundError, NotADirectoryError)) else CANNOT_EXECUTE
    raise AssertionError("exec returned")


def _check(options: argparse.Namespace, settings: dict[str, str]) -> None:
    """Refuse what the command would stumble over, or would not heed.

    Raises:
        Failure: one of the options, or of the environment's variables in a strict command, is wrong.
    """
    missing = [name for name in options.imports if user_code.is_file(name) and not os.path.isfile(name)]
    if missing:
        raise Failure(f"--import: there is no file {', '.join(missing)}")
    if any(os.pathsep in _found_from_anywhere(name) for name in options.imports):
        raise Failure(f"--import: a name or its folder has a {os.pathsep!r}, which separates several")
    wrong = env.read(settings).problems
    if wrong:
        raise Failure("; ".join(wrong))
    problems = env.read({**os.environ, **settings}).problems
    nowhere = zipped()
    if nowhere:
        raise Failure(nowhere)
    if problems and (settings.get(env.MODE) or os.environ.get(env.MODE)) == "strict":
        # Strict in the command would only fail its first import of torch.
        raise Failure("; ".join(problems))


def _found_from_anywhere(name: str) -> str:
    return os.path.abspath(name) if user_code.is_file(name) else name
