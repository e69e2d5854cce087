"""``pairs``: which ops of a package would be paired, before anything is."""

from __future__ import annotations

import argparse
import json
from typing import Any

from compat_shim import env
from compat_shim.commands import import_option
from compat_shim.commands.exit_codes import DONE, FOUND_WRONG
from compat_shim.commands.failures import Failure


def add_to(commands: Any) -> None:
    """Add the command to argparse's sub-parsers."""
    parser = commands.add_parser(
        "pairs",
        help="which ops of a package would be paired, and which not and why",
        usage="%(prog)s [--json] [--import NAME] NAMES [NAMES ...]",
        description="Say which functional ops of a namespace have an out variant by their names and schemas, for which"
        " devices it has kernels, what is refused and why, and the flag by which `run` pairs them. Nothing is paired."
        " Exit code 0 if there is a pair, 1 if there is none, 2 if nothing can be said: no such namespace, or"
        " --import fails.",
    )
    parser.add_argument("names", nargs="+", metavar="NAMES", help="namespaces, ns::op: comma-separated or several")
    import_option.add_to(parser)
    parser.add_argument("--json", action="store_true", help="print JSON (schema_version 1)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what would be paired; returns the exit code."""
    words = list(dict.fromkeys(word.strip() for text in options.names for word in text.split(",") if word.strip()))
    wrong = [word for word in words if "=" in word or not env.is_pair(word)]
    if wrong or not words:
        raise Failure(f"{', '.join(map(repr, wrong)) or 'nothing'} is not a namespace or ns::op")
    import_option.load(options)
    # Imports torch, which the other commands do without.
    from compat_shim.reports.pairs_report import make_report

    try:
        report = make_report(words)
    except (LookupError, ValueError) as error:
        raise Failure(error.args[0]) from error
    print(json.dumps(report.to_dict(), indent=2) if options.json else report)
    return DONE if report.any else FOUND_WRONG
