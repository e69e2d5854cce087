"""A fusion pass over ops that are lowered, as vLLM fuses an activation and a quantization.

You need this where a pass of yours looks for an op in the FX graph. It runs before the lowering, so it sees the
functional op on every release, and what it leaves is lowered. Let it write no call of ``.out`` into the graph: give
the fused op an out variant too, and call its functional op.
"""

import torch
import torch._inductor.config

import compat_shim

lib = torch.library.Library("ns", "FRAGMENT")


def define(name, inputs, kernel, fake):
    """``ns::<name>`` with two outputs and its out variant, as ops are that somebody else has written."""
    lib.define(f"{name}({inputs}) -> (Tensor, Tensor)")
    lib.define(f"{name}.out({inputs}, *, Tensor(a!) output, Tensor(b!) output_scale) -> ()")

    def write(*args, output, output_scale):
        for buffer, value in zip((output, output_scale), kernel(*args)):
            buffer.copy_(value)

    lib.impl(name, kernel, "CPU")
    lib.impl(f"{name}.out", write, "CPU")
    torch.library.register_fake(f"ns::{name}", fake, lib=lib)
    compat_shim.tag_out(f"ns::{name}.out")  # or tags=torch.Tag.out_variant in define(), where that is yours


def quantize(x, scale, swizzled=False):
    largest = x.abs().amax(-1, keepdim=True)
    return (x * scale / largest * 7).round().to(torch.int8), largest


def silu_and_mul(x):
    gate, up = x.chunk(2, -1)
    return torch.nn.functional.silu(gate) * up


def empty(x, columns):
    return x.new_empty(x.shape[0], columns, dtype=torch.int8), x.new_empty(x.shape[0], 1)


define("quant", "Tensor x, Tensor scale, bool swizzled", quantize, lambda x, scale, swizzled: empty(x, x.shape[1]))
define(
    "silu_and_mul_quant",
    "Tensor x, Tensor scale",
    lambda x, scale: quantize(silu_and_mul(x), scale),
    lambda x, scale: empty(x, x.shape[1] // 2),
)
lib.define("silu_and_mul(Tensor x) -> Tensor")
lib.impl("silu_and_mul", silu_and_mul, "CPU")
torch.library.register_fake("ns::silu_and_mul", lambda x: x.new_empty(x.shape[0], x.shape[1] // 2), lib=lib)


def fuse(graph):
    """``quant(silu_and_mul(x))`` becomes ``silu_and_mul_quant(x)``."""
    for node in list(graph.nodes):
        if node.target is not torch.ops.ns.quant.default:
            continue
        activation, scale = node.args[:2]
        if activation.target is not torch.ops.ns.silu_and_mul.default or len(activation.users) > 1:
            continue
        with graph.inserting_before(node):
            fused = graph.call_function(torch.ops.ns.silu_and_mul_quant.default, (activation.args[0], scale))
        fused.meta["val"] = node.meta["val"]
        node.replace_all_uses_with(fused)
        graph.erase_node(node)
        graph.erase_node(activation)
        print("fused silu_and_mul and quant")


def model(x, scale):
    fused, _ = torch.ops.ns.quant(torch.ops.ns.silu_and_mul(x), scale, False)
    return fused, *torch.ops.ns.quant(x, scale, True)


def main():
    x, scale = torch.randn(4, 8), torch.ones(1)
    # Not by torch.compile(options=...): torch 2.6 drops a pass that it is given there.
    with torch._inductor.config.patch(post_grad_custom_post_pass=fuse):
        assert all(map(torch.equal, torch.compile(model)(x, scale), model(x, scale)))
        print(compat_shim.explain(model, x, scale))


if __name__ == "__main__":
    main()
