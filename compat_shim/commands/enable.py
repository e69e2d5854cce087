"""``enable``: activate the shim in every start of this environment's Python."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from compat_shim.activation import site_file, zipped
from compat_shim.commands import failures
from compat_shim.commands.exit_codes import DONE, FOUND_WRONG


def add_to(commands: Any) -> None:
    """Add the command to argparse's sub-parsers."""
    parser = commands.add_parser(
        "enable",
        help="activate the shim in every start of this environment's Python",
        description="Write one file into this environment's site-packages, which activates the shim at each start of"
        " its Python. Exit code 0; 1 if that is not possible.",
    )
    parser.add_argument("--system", action="store_true", help="also outside a virtual environment")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the file; returns the exit code."""
    try:
        nowhere = zipped()
        if nowhere:
            raise site_file.NotPossible(nowhere)
        if sys.prefix == sys.base_prefix and not options.system:
            raise site_file.NotPossible(
                f"{sys.prefix} is not a virtual environment; enable it there anyway with --system, or use"
                " `python -m compat_shim run -- COMMAND`"
            )
        print(f"wrote {site_file.enable(site_file.folder(), sys.prefix)}")
    except site_file.NotPossible as error:
        failures.say("enable", str(error))
        return FOUND_WRONG
    return DONE
