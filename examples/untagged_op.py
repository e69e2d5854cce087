"""Ops that carry no tag, paired by hand.

You need this where the ops are somebody else's, or where their out variants have flat names or an out argument that
is not keyword-only. ``register_out_variant`` pairs two ops, ``pair_namespace`` all that fit in a namespace, and
``functional_of`` makes the functional op where there is an out op alone. Each is your word that the out kernel writes
every output into the buffer that it is given, and does nothing else.
"""

import torch

import compat_shim

lib = torch.library.Library("ns", "FRAGMENT")


def allocate(x, by):
    return torch.empty_like(x)


def define(name, compute, functional=True, by="by"):
    """``ns::<name>_out``, and ``ns::<name>``, as an extension defines them that knows nothing of tags."""

    def write(x, by, out):
        out.copy_(compute(x, by))

    lib.define(f"{name}_out(Tensor x, float {by}, Tensor(a!) out) -> ()")
    lib.impl(f"{name}_out", write, "CPU")
    if functional:
        lib.define(f"{name}(Tensor x, float by) -> Tensor")
        lib.impl(name, compute, "CPU")
        torch.library.register_fake(f"ns::{name}", allocate, lib=lib)


define("scale", lambda x, by: x * by)
define("shift", lambda x, by: x + by)
define("clip", lambda x, by: x.clamp(max=by), by="limit")
define("power", lambda x, by: x**by, functional=False)


def model(x):
    return torch.ops.ns.power(torch.ops.ns.shift(torch.ops.ns.scale(x, 2.0), 1.0), 3.0)


def main():
    # One pair, by names: also before the library that defines the ops is loaded.
    compat_shim.register_out_variant("ns::scale", "ns::scale_out")
    # All of a namespace, once it is loaded. It says that clip's two ops do not fit, and why.
    print(compat_shim.pair_namespace("ns"))
    # An out op alone: torch.ops.ns.power is made.
    print("made     ", compat_shim.functional_of("ns::power_out", like=allocate)._schema)

    x = torch.randn(4, 8)
    assert torch.equal(torch.compile(model)(x), model(x))
    print(compat_shim.explain(model, x))


if __name__ == "__main__":
    main()
