"""The option ``--import`` of several commands: whatever registers the ops that they are asked about."""

from __future__ import annotations

import argparse


def add_to(command: argparse.ArgumentParser, more: str = "") -> None:
    """Give a command the option; what it is given stands in ``options.imports``."""
    command.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a module, or a Python file, to import first: what registers the ops{more} (may be repeated)",
    )
