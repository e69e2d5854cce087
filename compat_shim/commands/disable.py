"""``disable``: undo ``enable``."""

from __future__ import annotations

import argparse
from typing import Any

from compat_shim.activation import site_file
from compat_shim.commands import failures
from compat_shim.commands.exit_codes import DONE, FOUND_WRONG


def add_to(commands: Any) -> None:
    """Add the command to argparse's sub-parsers."""
    parser = commands.add_parser(
        "disable",
        help="undo `enable`",
        description="Remove the file that `enable` wrote. Exit code 0, also if there is none.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Remove the file; returns the exit code."""
    folder = site_file.folder()
    try:
        removed = site_file.disable(folder)
    except site_file.NotPossible as error:
        failures.say("disable", str(error))
        return FOUND_WRONG
    print("\n".join(f"removed {file}" for file in removed) or f"it was not enabled in {folder}")
    return DONE
