"""The ops of the workloads that are not the demo's: torch's own kernels behind custom ops.

``scale(Tensor x, float s) -> Tensor``: ``x * s``, with an autograd formula.
``halves(Tensor x) -> (Tensor, Tensor)``: ``x * 0.5`` and ``x * 2``.

Any floating-point tensor, contiguous, CPU or CUDA. Both forms run one kernel.
"""

from __future__ import annotations

from typing import Any

import torch

NAMESPACE = "compat_shim_bench"


def register(tags: tuple[str, ...] = ("out_variant",)) -> torch.library.Library:
    """Define the ops; they exist as long as the library that is returned.

    Args:
        tags: names of tags, the first of which that torch has is the out variants'.
    """
    tag = next((getattr(torch.Tag, name) for name in tags if hasattr(torch.Tag, name)), ())
    library = torch.library.Library(NAMESPACE, "DEF")
    library.define("scale(Tensor x, float s) -> Tensor")
    library.define("scale.out(Tensor x, float s, *, Tensor(a!) out) -> Tensor(a!)", tags=tag)
    library.define("halves(Tensor x) -> (Tensor, Tensor)")
    library.define("halves.out(Tensor x, *, Tensor(a!) low, Tensor(b!) high) -> (Tensor(a!), Tensor(b!))", tags=tag)
    for key in ("CPU", "CUDA"):
        library.impl("scale", torch.mul, key)
        library.impl("scale.out", _scale_out, key)
        library.impl("halves", lambda x: (torch.mul(x, 0.5), torch.mul(x, 2.0)), key)
        library.impl("halves.out", _halves_out, key)
    torch.library.register_fake(f"{NAMESPACE}::scale", lambda x, s: torch.empty_like(x), lib=library)
    fake_halves = lambda x: (torch.empty_like(x), torch.empty_like(x))  # noqa: E731
    torch.library.register_fake(f"{NAMESPACE}::halves", fake_halves, lib=library)
    torch.library.register_autograd(f"{NAMESPACE}::scale", _scale_backward, setup_context=_keep_factor, lib=library)
    return library


def _scale_out(x: torch.Tensor, s: float, *, out: torch.Tensor) -> torch.Tensor:
    return torch.mul(x, s, out=out)


def _halves_out(x: torch.Tensor, *, low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.mul(x, 0.5, out=low), torch.mul(x, 2.0, out=high)


def _keep_factor(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.factor = inputs[1]


def _scale_backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
    return torch.ops.compat_shim_bench.scale(gradient, ctx.factor), None
