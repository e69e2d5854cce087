"""An op with an out variant that is found by its tag: it needs two kernels, a fake kernel and the tag.

Compiled code calls ``ns::quantize.out`` with buffers that Inductor allocates and reuses. With ``COMPAT_SHIM=off`` it
calls the functional op. To see what became of each call:
``python -m compat_shim explain examples/tagged_op.py``
"""

import torch

import compat_shim  # noqa: F401

lib = torch.library.Library("ns", "FRAGMENT")
lib.define("quantize(Tensor x) -> (Tensor, Tensor)")
tags = getattr(torch.Tag, "out_variant", ())  # torch 2.6 to 2.10 have no such tag where the shim is off
lib.define("quantize.out(Tensor x, *, Tensor(a!) q, Tensor(b!) scale) -> ()", tags=tags)


def quantize_out(x, *, q, scale):
    torch.div(x.abs().amax(-1, keepdim=True), 127, out=scale)
    q.copy_((x / scale).round())


def quantize(x):
    q, scale = torch.empty_like(x, dtype=torch.int8), x.new_empty(x.shape[0], 1)
    quantize_out(x, q=q, scale=scale)
    return q, scale


lib.impl("quantize", quantize, "CPU")
lib.impl("quantize.out", quantize_out, "CPU")
torch.library.register_fake("ns::quantize", quantize, lib=lib)  # a kernel of torch's ops can be its own fake kernel


def model(x):
    q, scale = torch.ops.ns.quantize(x)
    return torch.ops.ns.quantize(torch.relu(q * scale))


if __name__ == "__main__":
    x = torch.randn(64, 256)
    assert all(map(torch.equal, torch.compile(model)(x), model(x)))
    print("compiled code gives what eager gives")
