"""The command line, ``python -m compat_shim`` or ``compat-shim``.

A command imports what it needs when it runs: ``run`` and ``enable`` start where neither torch nor
``packaging`` is.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from compat_shim import shim
from compat_shim._version import VERSION
from compat_shim.commands import demo, disable, enable, enabled, explain, failures, pairs, run, status
from compat_shim.commands.exit_codes import DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after the program's name; None for those of this process, which is then the command's
            own: the shim is activated in it.

    Returns:
        The command's exit code: 2 for wrong usage, by argparse, and for what ``failures.py`` tells.
    """
    return failures.unbroken(lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    words = list(sys.argv[1:] if arguments is None else arguments)
    words, of_program = explain.split(words) if words[:1] == ["explain"] else (words, [])
    options = parser.parse_args(words)
    if of_program:
        options.arguments = of_program
    if options.command is None:
        parser.print_help()
        return DONE

    def carry_out() -> int:
        if arguments is None:
            if options.command != "explain" and isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")  # it may not have the letters of a path
            shim.activate_on_import()
        return int(options.run(options))

    return failures.told(options.command, carry_out)


def _parser() -> argparse.ArgumentParser:
    script = Path(sys.argv[0]).stem == "compat-shim"
    parser = argparse.ArgumentParser(
        prog="compat-shim" if script else "python -m compat_shim",
        description="PyTorch 2.12's out-variant lowering for custom ops, on the torch that a project is pinned to.",
    )
    parser.add_argument("--version", action="version", version=f"compat_shim {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in (status, explain, pairs, run, enable, disable, enabled, demo):
        command.add_to(commands)
    return parser
