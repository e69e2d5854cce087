"""``enabled``: is the shim enabled in this environment, and does that work?"""

from __future__ import annotations

import argparse
from typing import Any

from compat_shim import process
from compat_shim.activation import HIDDEN, hidden_by, site_file
from compat_shim.commands.exit_codes import DONE, FOUND_WRONG


def add_to(commands: Any) -> None:
    """Add the command to argparse's sub-parsers."""
    parser = commands.add_parser(
        "enabled",
        help="is the shim enabled in this environment?",
        description="Print the file that `enable` wrote, and the `sitecustomize` that keeps it from working, if one"
        " does. Exit code 0 if there is a file and it works, 1 if not.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print the file; returns the exit code."""
    folder = site_file.folder()
    found = site_file.files(folder)
    print(f"enabled by {found[0]}" if found else f"not enabled in {folder}")
    hidden = hidden_by(process.owner().route)
    if hidden:
        print(HIDDEN.format(hidden))
    return DONE if found and not hidden else FOUND_WRONG
