"""A custom op whose kernel is in Triton.

``torch.library.custom_op`` makes ops with flat names, so the op and its out variant are paired by
``register_out_variant``. The out variant is the kernel's launch, and the functional op allocates and calls it.
On a machine without a GPU set TRITON_INTERPRET=1, and Triton's interpreter runs the kernel.
"""

import os

import torch
import triton
import triton.language as tl
from torch import Tensor

import compat_shim

BLOCK = 64


@triton.jit
def kernel(x, out, by, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x + at, mask=at < n) * by, mask=at < n)


@torch.library.custom_op("ns::scale_out", mutates_args={"out"}, tags=torch.Tag.out)
def scale_out(x: Tensor, by: float, *, out: Tensor) -> Tensor:
    kernel[(triton.cdiv(x.numel(), BLOCK),)](x, out, by, x.numel(), BLOCK=BLOCK)
    return out


@torch.library.custom_op("ns::scale", mutates_args=())
def scale(x: Tensor, by: float) -> Tensor:
    out = torch.empty_like(x)
    torch.ops.ns.scale_out(x, by, out=out)
    return out


scale.register_fake(lambda x, by: torch.empty_like(x))
compat_shim.register_out_variant("ns::scale", "ns::scale_out")


def model(x):
    return scale(scale(x, 2.0), 3.0)


def main():
    device = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
    x = torch.randn(100, device=device)
    assert torch.equal(torch.compile(model, fullgraph=True)(x), model(x))
    print(compat_shim.explain(model, x))


if __name__ == "__main__":
    main()
