"""Ops written by the rules that torch 2.13 has for ``out=``, on every release from 2.6 on.

The out arguments are keyword-only, and the op returns them in order. You need this where you call out ops yourself,
with buffers of your own, in compiled code; and to write code today that will not change when torch does. Where the op
has a functional one, the two may be a pair as well: then its calls are lowered to the same kernel. With
``COMPAT_SHIM=off`` torch 2.15 runs it too, and the assertion fails: its compiled code differs from eager.
"""

import torch
from torch import Tensor

import compat_shim  # before `from torch.library import custom_op`, if you import it by that name


@torch.library.custom_op("ns::add_out", mutates_args={"out"}, tags=torch.Tag.out)
def add_out(x: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
    return torch.add(x, y, out=out)


@torch.library.custom_op("ns::add", mutates_args=())
def add(x: Tensor, y: Tensor) -> Tensor:
    return x + y


@torch.library.custom_op("ns::split_out", mutates_args=("low", "high"), tags=torch.Tag.out)
def split_out(x: Tensor, at: float = 0.0, *, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    low.copy_(x.clamp(max=at))
    high.copy_(x.clamp(min=at))
    return low, high


add.register_fake(lambda x, y: torch.empty_like(x))  # out ops have one by their tag
compat_shim.register_out_variant("ns::add", "ns::add_out")


def model(x, y):
    total = torch.empty_like(x)
    first = add_out(x, y, out=total)  # `first` is `total`, and sees the next line's write
    add_out(total, y, out=total)
    low, high = split_out(first, 0.5, low=torch.empty_like(x), high=torch.empty_like(x))
    return total, low, add(high, y)


def main():
    x, y = torch.randn(4, 8), torch.randn(4, 8)
    assert all(map(torch.equal, torch.compile(model, fullgraph=True)(x, y), model(x, y)))
    print("compiled code gives what eager gives, and calls:")
    for call in compat_shim.explain(model, x, y).calls:
        print("   ", call.call)


if __name__ == "__main__":
    main()
