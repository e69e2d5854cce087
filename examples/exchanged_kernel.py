"""A kernel that takes the place of another one, and what then becomes of the out variant.

You need this where a library gives an op a faster kernel for one device. Who does so wants that kernel to run in
compiled code too, so a pair that was found by tag or by namespace is declined on that device until the out variant
gets a new kernel there as well. A pair of ``register_out_variant`` is never declined for this reason.
"""

import torch
from torch import Tensor

import compat_shim

ran = []


@torch.library.custom_op("ns::scale", mutates_args=())
def scale(x: Tensor, by: float) -> Tensor:
    ran.append("the first kernel of scale")
    return x * by


@torch.library.custom_op("ns::scale_out", mutates_args={"out"}, tags=torch.Tag.out)
def scale_out(x: Tensor, by: float, *, out: Tensor) -> Tensor:
    ran.append("the first kernel of scale_out")
    return torch.mul(x, by, out=out)


scale.register_fake(lambda x, by: torch.empty_like(x))


def faster(x, by):
    ran.append("the faster kernel of scale")
    return x * by


def faster_out(x, by, *, out):
    ran.append("the faster kernel of scale_out")
    return torch.mul(x, by, out=out)


def model(x):
    return scale(x, 2.0)


def show(title):
    # Code that is compiled already goes on calling what it was compiled with.
    torch.compiler.reset()
    x = torch.randn(4, 8)
    expected = model(x)
    ran.clear()
    assert torch.equal(torch.compile(model)(x), expected)
    print(f"{title}: {', '.join(ran)}")


def main():
    compat_shim.pair_namespace("ns")
    show("paired")
    scale.register_kernel("cpu", faster)
    show("after scale got another kernel")
    print(compat_shim.explain(model, torch.randn(4, 8)))  # why, and what to change
    scale_out.register_kernel("cpu", faster_out)
    show("after scale_out got another kernel, too")


if __name__ == "__main__":
    main()
