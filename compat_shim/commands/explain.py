"""``explain``: a script's compiles, or one op."""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
import traceback
from typing import Any

from compat_shim.commands import import_option
from compat_shim.commands.exit_codes import DONE, FOUND_WRONG, MISUSED


def add_to(commands: Any) -> None:
    """Add the command to argparse's sub-parsers."""
    parser = commands.add_parser(
        "explain",
        help="why the calls of a custom op were lowered or not",
        usage="%(prog)s [--json] SCRIPT [ARGUMENT ...]\n       %(prog)s [--json] [--import NAME] --op NS::OP",
        description="Run SCRIPT with a throw-away Inductor cache and print, for each call of a custom op in a compiled"
        " graph, whether it was lowered to its out variant, the reason if not and what to change, its output buffers"
        " and the emitted call; exit code: the script's. Or say which out variant --op has, and what each candidate"
        " lacks; exit code 0 if it has one, 1 if not, 2 if there is no such op.",
    )
    parser.add_argument("script", nargs="?", metavar="SCRIPT", help="a Python file, run as __main__")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="the script's arguments")
    parser.add_argument("--op", metavar="NS::OP", help="a functional op, for example ns::op or ns::op.overload")
    import_option.add_to(parser)
    parser.add_argument("--json", action="store_true", help="print JSON (schema_version 1)")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Explain a script's calls or one op; returns the exit code."""
    if (options.op is None) == (options.script is None):
        options.parser.error("either a SCRIPT or --op, and not both")
    import_option.load(options)
    return _op(options) if options.op is not None else _script(options)


def _op(options: argparse.Namespace) -> int:
    # Imports torch, which the other commands do without.
    from compat_shim.reports.op_explanation import explain_op

    try:
        explanation = explain_op(options.op)
    except LookupError as error:
        print(f"compat-shim explain: {error.args[0]}", file=sys.stderr)
        return MISUSED
    print(json.dumps(explanation.to_dict(), indent=2) if options.json else explanation)
    return DONE if explanation.out is not None else FOUND_WRONG


def _script(options: argparse.Namespace) -> int:
    # Imports torch, which the other commands do without.
    from compat_shim.reports.observer import observed

    code = DONE
    arguments = sys.argv
    with observed() as observer:
        sys.argv = [options.script, *options.arguments]
        sys.path.insert(0, os.path.dirname(os.path.abspath(options.script)))
        try:
            runpy.run_path(options.script, run_name="__main__")
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        except Exception:
            traceback.print_exc()
            code = FOUND_WRONG
        finally:
            sys.argv = arguments
    explanation = observer.explanation()
    print(json.dumps(explanation.to_dict(), indent=2) if options.json else explanation)
    return code
