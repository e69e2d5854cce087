"""``demo``: a quantized block compiled with the shim off and on, side by side."""

from __future__ import annotations

import argparse
from typing import Any

from compat_shim.commands.failures import Failure, import_torch


def add_to(commands: Any) -> None:
    """Add the command to argparse's sub-parsers."""
    parser = commands.add_parser(
        "demo",
        help="compile a quantized block with the shim off and on, side by side",
        description="Register quantization ops with functional and out variants, compile a block of layers"
        " with the shim off and on in fresh caches, check both against eager and compare."
        " Exit code 0 only if every call is lowered and every result is right.",
    )
    parser.add_argument("--layers", type=int, default=8, help="layers of the block (default 8)")
    parser.add_argument("--rows", type=int, default=8, help="rows of the input (default 8)")
    parser.add_argument("--width", type=int, default=256, help="width of a layer (default 256)")
    parser.add_argument("--steps", type=int, default=1000, help="timed steps of each contender (default 1000)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo and print what it found.

    Args:
        options: ``layers``, ``rows``, ``width`` and ``steps``, each a positive int.

    Returns:
        0 if every quantization call was lowered and every result with the shim is right, 1 if
        not (the output says what failed).

    Raises:
        Failure: torch cannot be imported, or an option is wrong.
    """
    for name in ("layers", "rows", "width", "steps"):
        if getattr(options, name) < 1:
            raise Failure(f"--{name} must be at least 1, found {getattr(options, name)}")
    import_torch()
    # What is imported here imports more of torch, which the other commands do without.
    from compat_shim.demo import hush

    hush.import_what_logs()
    # Imports more of torch, which would log.
    from compat_shim.demo import main

    return main.run(options.layers, options.rows, options.width, options.steps)
