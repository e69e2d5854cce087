"""The options that the smaller benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch


def read(name: str, description: str | None, *, rounds: int) -> argparse.Namespace:
    """The options of ``python -m benchmarks.<name>``: ``device``, ``rounds`` and ``save``, a path or None."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--save", metavar="FILE", type=Path)
    return parser.parse_args()
