"""``status``: what was found and done on this torch."""

from __future__ import annotations

import argparse
import json
from typing import Any

from compat_shim import process
from compat_shim.commands import failures, import_option
from compat_shim.commands.exit_codes import DONE, FOUND_WRONG
from compat_shim.patching.errors import ShimError


def add_to(commands: Any) -> None:
    """Add the command to argparse's sub-parsers."""
    parser = commands.add_parser(
        "status",
        help="what was found and done on this torch",
        description="Import torch and its compiler, apply every feature and print what came of it: one screen, what is"
        " wrong first. Exit code 0 if nothing is wrong, 1 if something is or the shim is off, 2 if torch, or what"
        " --import names, cannot be imported.",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("-v", "--verbose", action="store_true", help="print all: every patch, path, pair and reason")
    how.add_argument("--json", action="store_true", help="print JSON (schema_version 1)")
    how.add_argument("--paste", action="store_true", help="print a block for a bug report, without the home folder")
    parser.add_argument(
        "--releases", action="store_true", help="print the support table of all releases of torch instead; exit code 0"
    )
    import_option.add_to(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the status, without torch too.

    Returns:
        The exit code.

    Raises:
        failures.Failure: torch, or what ``--import`` names, cannot be imported.
    """
    # The other commands start where packaging is missing, which these need.
    from compat_shim.reports import release_table
    from compat_shim.reports.status import make_status

    if options.releases:
        print(release_table.table())
        return DONE
    owner = process.owner()
    no_torch = None
    try:
        import_option.load(options)
        if owner.engine is not None:
            owner.engine.import_all()
    except failures.NoTorch as failure:  # the status tells where it was looked for
        no_torch = failure
    except ShimError as error:  # COMPAT_SHIM=strict
        failures.say("status", str(error))
    status = make_status(owner, problems=[] if no_torch is None else [str(no_torch)])
    if options.json:
        print(json.dumps(status.to_dict(), indent=2))
    else:
        print(status.details() if options.verbose else status.bug_report() if options.paste else status)
    if no_torch is not None:
        raise no_torch
    return DONE if status.good else FOUND_WRONG
