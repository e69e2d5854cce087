"""The command line: ``python -m compat_shim status | demo``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from compat_shim import shim, support
from compat_shim.patching.errors import ShimError
from compat_shim.report import make_status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code (2 for wrong usage, by argparse)."""
    parser = argparse.ArgumentParser(prog="python -m compat_shim", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    status = commands.add_parser(
        "status",
        help="what was found and done on this torch",
        description="Import torch and its compiler, apply every feature and print what became of each patch."
        " Exit code 0 if every feature is applied or native, 1 otherwise.",
    )
    status.add_argument("--json", action="store_true", help="print JSON (schema_version 1)")
    status.add_argument(
        "--releases", action="store_true", help="print the support table of all releases of torch instead; exit code 0"
    )
    status.set_defaults(run=_status)

    demo = commands.add_parser(
        "demo",
        help="compile a quantized block with the shim off and on, side by side",
        description="Register quantization ops with functional and out variants, compile a block of layers"
        " with the shim off and on in fresh caches, check both against eager and compare."
        " Exit code 0 only if every call is lowered and every result is right.",
    )
    demo.add_argument("--layers", type=int, default=4, help="layers of the block (default 4)")
    demo.add_argument("--rows", type=int, default=64, help="rows of the input (default 64)")
    demo.add_argument("--width", type=int, default=256, help="width of a layer (default 256)")
    demo.add_argument("--steps", type=int, default=200, help="timed steps of each contender (default 200)")
    demo.set_defaults(run=_demo)

    options = parser.parse_args(arguments)
    return int(options.run(options))


def _status(options: argparse.Namespace) -> int:
    if options.releases:
        print(support.table())
        return 0
    owner = shim._owner()
    try:
        import torch  # noqa: F401  (activates what waits for it)

        if owner.engine is not None:
            owner.engine.import_all()
    except ImportError as error:
        print(f"torch cannot be imported: {error}", file=sys.stderr)
    except ShimError as error:  # COMPAT_SHIM=strict
        print(error, file=sys.stderr)
    status = make_status(owner)
    print(json.dumps(status.to_dict(), indent=2) if options.json else status)
    return 0 if status.good else 1


def _demo(options: argparse.Namespace) -> int:
    from compat_shim.demo import run

    return int(run(options))
