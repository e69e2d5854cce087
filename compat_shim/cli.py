"""The command line, ``python -m compat_shim`` or ``compat-shim``: only what it parses.

Each command is a function of a module that is imported when it is asked for: ``run`` and ``enable``
import no torch.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compat_shim import env

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code (2 for wrong usage, by argparse)."""
    options = _parser().parse_args(arguments)
    module, _, function = options.does.partition(":")
    return int(getattr(importlib.import_module(f"compat_shim.{module}"), function)(options))


def _parser() -> argparse.ArgumentParser:
    script = Path(sys.argv[0]).stem == "compat-shim"
    parser = argparse.ArgumentParser(prog="compat-shim" if script else "python -m compat_shim", description=__doc__)
    parser.description = "PyTorch 2.12's out-variant lowering for custom ops, on torch 2.6 to 2.15."
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _status(commands)
    _explain(commands)
    _run(commands)
    _enable(commands)
    _demo(commands)
    return parser


def _status(commands: _Commands) -> None:
    status = commands.add_parser(
        "status",
        help="what was found and done on this torch",
        description="Import torch and its compiler, apply every feature and print what became of each patch."
        " Exit code 0 if every feature is applied or native, 1 otherwise.",
    )
    status.add_argument("--json", action="store_true", help="print JSON (schema_version 1)")
    status.add_argument(
        "--releases", action="store_true", help="print the support table of all releases of torch instead; exit code 0"
    )
    _add_import(status)
    status.set_defaults(does="commands.status:main")


def _explain(commands: _Commands) -> None:
    explain = commands.add_parser(
        "explain",
        help="why the calls of a custom op were lowered or not",
        usage="%(prog)s [--json] SCRIPT [ARGUMENT ...]\n       %(prog)s [--json] [--import NAME] --op NS::OP",
        description="Run SCRIPT with a throw-away Inductor cache and print, for each call of a custom op in a compiled"
        " graph, whether it was lowered to its out variant, the reason if not and what to change, its output buffers"
        " and the emitted call; exit code: the script's. Or say which out variant --op has, and what each candidate"
        " lacks; exit code 0 if it has one, 1 if not, 2 if there is no such op.",
    )
    explain.add_argument("script", nargs="?", metavar="SCRIPT", help="a Python file, run as __main__")
    explain.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="the script's arguments")
    explain.add_argument("--op", metavar="NS::OP", help="a functional op, for example ns::op or ns::op.overload")
    _add_import(explain)
    explain.add_argument("--json", action="store_true", help="print JSON (schema_version 1)")
    explain.set_defaults(does="commands.explain:main", parser=explain)


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="NAME",
        help="a module, or a Python file, to import first: what registers the ops (may be repeated)",
    )


def _run(commands: _Commands) -> None:
    run = commands.add_parser(
        "run",
        help="run a command with the shim active in every Python of this environment",
        usage="%(prog)s [options] -- COMMAND [ARGUMENT ...]",
        description="Put the shim's bootstrap folder first on PYTHONPATH and execute COMMAND in place of this"
        " process. Every Python of this environment that it starts is active, workers too. Exit code: the"
        " command's; 127 if it is not found, 126 if it cannot be executed.",
    )
    run.add_argument("--mode", choices=env.MODES, help=f"{env.MODE} for the command")
    run.add_argument("--features", metavar="IDS", help=f"{env.FEATURES} for the command")
    run.add_argument("--log", choices=env.LOG_LEVELS, help=f"{env.LOG} for the command")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")
    run.set_defaults(does="activation.run:main", parser=run)


def _enable(commands: _Commands) -> None:
    for name, help_, description in (
        (
            "enable",
            "activate the shim in every start of this environment's Python",
            "Write one file into this environment's site-packages, which activates the shim at each start of its"
            " Python. Exit code 0; 1 if that is not possible.",
        ),
        ("disable", "undo `enable`", "Remove the file that `enable` wrote. Exit code 0, also if there is none."),
        (
            "enabled",
            "is the shim enabled in this environment?",
            "Print the file that `enable` wrote, and the `sitecustomize` that keeps it from working, if one does."
            " Exit code 0 if there is a file and it works, 1 if not.",
        ),
    ):
        command = commands.add_parser(name, help=help_, description=description)
        command.set_defaults(does="activation.enable:main")
        if name == "enable":
            command.add_argument("--system", action="store_true", help="also outside a virtual environment")


def _demo(commands: _Commands) -> None:
    demo = commands.add_parser(
        "demo",
        help="compile a quantized block with the shim off and on, side by side",
        description="Register quantization ops with functional and out variants, compile a block of layers"
        " with the shim off and on in fresh caches, check both against eager and compare."
        " Exit code 0 only if every call is lowered and every result is right.",
    )
    demo.add_argument("--layers", type=int, default=4, help="layers of the block (default 4)")
    demo.add_argument("--rows", type=int, default=64, help="rows of the input (default 64)")
    demo.add_argument("--width", type=int, default=256, help="width of a layer (default 256)")
    demo.add_argument("--steps", type=int, default=200, help="timed steps of each contender (default 200)")
    demo.set_defaults(does="demo:run")
