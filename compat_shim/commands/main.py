"""The command line, ``python -m compat_shim`` or ``compat-shim``.

A command imports what it needs when it runs: ``run`` and ``enable`` start where neither torch nor
``packaging`` is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from compat_shim.commands import demo, disable, enable, enabled, explain, pairs, run, status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code (2 for wrong usage, by argparse)."""
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    script = Path(sys.argv[0]).stem == "compat-shim"
    parser = argparse.ArgumentParser(
        prog="compat-shim" if script else "python -m compat_shim",
        description="PyTorch 2.12's out-variant lowering for custom ops, on the torch that a project is pinned to.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (status, explain, pairs, run, enable, disable, enabled, demo):
        command.add_to(commands)
    return parser
