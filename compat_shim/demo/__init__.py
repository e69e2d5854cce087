"""The demo: a quantized block compiled with the shim off and on, checked, measured and shown.

``python -m compat_shim demo``. Runs on the GPU if there is one, else on the CPU.
"""

from __future__ import annotations

import argparse
import sys


def run(options: argparse.Namespace) -> int:
    """Run the demo and print what it found.

    Args:
        options: ``layers``, ``rows``, ``width`` and ``steps``, each a positive int.

    Returns:
        0 if every quantization call was lowered and every result with the shim is right, 1 if
        not (the output says what failed), 2 if torch cannot be imported or an option is wrong.
    """
    for name in ("layers", "rows", "width", "steps"):
        if getattr(options, name) < 1:
            print(f"demo: --{name} must be at least 1, found {getattr(options, name)}", file=sys.stderr)
            return 2
    try:
        import torch  # noqa: F401
    except ImportError as error:
        print(f"demo: torch cannot be imported ({error}); install one of 2.6 to 2.15 and try again", file=sys.stderr)
        return 2
    from compat_shim.demo import main

    return main.run(options.layers, options.rows, options.width, options.steps)
