"""``explain``: a script's compiles, or one op."""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
import traceback

from compat_shim.commands.load import load


def main(options: argparse.Namespace) -> int:
    """The command ``explain``."""
    if (options.op is None) == (options.script is None):
        options.parser.error("either a SCRIPT or --op, and not both")
    for name in options.imports:
        load(name)
    return _op(options) if options.op is not None else _script(options)


def _op(options: argparse.Namespace) -> int:
    import torch  # noqa: F401  (defines torch's ops, and the tags by which pairs are found)

    from compat_shim.explaining.ops import explain_op

    try:
        explanation = explain_op(options.op)
    except LookupError as error:
        print(f"compat-shim explain: {error.args[0]}", file=sys.stderr)
        return 2
    print(json.dumps(explanation.to_dict(), indent=2) if options.json else explanation)
    return 0 if explanation.out is not None else 1


def _script(options: argparse.Namespace) -> int:
    from compat_shim.explaining.observe import observed

    code = 0
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
            code = 1
        finally:
            sys.argv = arguments
    explanation = observer.explanation()
    print(json.dumps(explanation.to_dict(), indent=2) if options.json else explanation)
    return code
