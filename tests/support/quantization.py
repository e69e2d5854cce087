"""A two-output op and a chain of it, for the tests of placement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from support.ops import Ops, define


def quantize(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scale = x.abs().amax(-1, keepdim=True)
    return x / scale, scale


def quantize_ops(**options: Any) -> Ops:
    """``f(x) -> (q, scale)`` and its out variant; ``options`` as in ``ops.define``."""
    return define(
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) q, Tensor(b!) scale) -> ()",
        quantize,
        **options,
    )


def chain(ops: Ops) -> Callable[[torch.Tensor], Any]:
    """Two calls with Inductor's own kernels between and after them; one output is unused."""

    def graph(x: torch.Tensor) -> Any:
        q, scale = ops.functional(x + 1)
        q2, _ = ops.functional(q * scale)
        return q2 + 1, scale

    return graph
