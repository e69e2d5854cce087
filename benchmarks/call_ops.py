"""The ops of ``benchmarks.calls``: each kind of op over one small kernel, ``out = x * s``.

Float32, any shape, contiguous, CPU or CUDA (a Triton kernel there, as in most packages' ops).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

import compat_shim

NAMESPACE = "compat_shim_calls"
FACTOR = 1.0009765625
Write = Callable[[torch.Tensor, float, torch.Tensor], None]


def kernel(device: str) -> Write:
    """The kernel for a device, which writes to its last argument."""
    if device == "cuda":
        from benchmarks import triton_scale  # only where there is a GPU there is Triton

        return triton_scale.scale
    return write


def write(x: torch.Tensor, s: float, out: torch.Tensor) -> None:
    torch.mul(x, s, out=out)


def register(device: str) -> torch.library.Library:
    """Define the ops for a device: ``impl`` and ``custom`` in pairs, ``functional`` and ``mutable`` alone."""
    write = kernel(device)

    def make(x: torch.Tensor, s: float) -> torch.Tensor:
        out = torch.empty_like(x)
        write(x, s, out)
        return out

    def write_out(x: torch.Tensor, s: float, *, out: torch.Tensor) -> None:
        write(x, s, out)

    library = torch.library.Library(NAMESPACE, "FRAGMENT")
    library.define("impl(Tensor x, float s) -> Tensor")
    library.define("impl.out(Tensor x, float s, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    key = device.upper()
    library.impl("impl", make, key)
    library.impl("impl.out", write_out, key)
    torch.library.register_fake(f"{NAMESPACE}::impl", lambda x, s: torch.empty_like(x), lib=library)
    functional, written = "(Tensor x, float s) -> Tensor", "(Tensor x, float s, Tensor(a!) out) -> ()"
    for name in ("custom", "functional"):
        op = torch.library.custom_op(f"{NAMESPACE}::{name}", make, mutates_args=(), schema=functional)
        op.register_fake(lambda x, s: torch.empty_like(x))
    for name in ("custom_out", "mutable"):
        torch.library.custom_op(f"{NAMESPACE}::{name}", write, mutates_args=("out",), schema=written)
    ops = getattr(torch.ops, NAMESPACE)
    compat_shim.register_out_variant(ops.custom.default, ops.custom_out.default)
    return library
