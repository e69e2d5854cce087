"""The kernels of a pair decide too: kernels of unlike kinds, of custom ops, and none at all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

import compat_shim
from compat_shim.out_variant import kernels, pairing
from support.checks import compile_and_compare, same
from support.libraries import TAG, define_custom_pair, functional, out_variant, packet


@pytest.mark.parametrize("source", ["tag", "namespace", "registered"])
def test_a_kernel_of_the_op_s_own_is_not_traded_for_a_composite_one(source: str, library: Any) -> None:
    own = functional(library, "op", key="CPU")
    out_variant(library, "op.out", own + 1, tags=(TAG,) if source == "tag" else ())  # other numbers, to be seen
    op = packet(library, "op")
    if source == "namespace":
        assert compat_shim.pair_namespace(library.ns).paired
    elif source == "registered":
        compat_shim.register_out_variant(op.default, op.out)
    assert pairing.find_pair(op.default).source == source
    x = torch.randn(4)

    compiled = torch.compile(lambda x: op(x), fullgraph=True)(x)

    if source == "registered":  # the user's word
        assert same(compiled, x * (own + 1))
    else:
        assert same(compiled, op(x))
        assert counters["compat_shim"]["declined: GENERIC_KERNEL"] == 1
    counters.clear()


def test_a_custom_op_s_default_kernel_is_its_author_s_own(library: Any) -> None:
    define_custom_pair(library, "special", 2, device_types="cpu")
    assert kernels.kind(f"{library.ns}::special", "cpu") is kernels.Kind.OWN
    define_custom_pair(library, "made", 1)
    assert [kernels.kind(f"{library.ns}::{name}", "cpu") for name in ("made", "made_out")] == [kernels.Kind.DEFAULT] * 2
    library.define("composite(Tensor x) -> Tensor")
    assert kernels.kind(f"{library.ns}::composite", "cpu") is kernels.Kind.NONE
    library.impl("composite", lambda x: x, "CompositeImplicitAutograd")
    assert kernels.kind(f"{library.ns}::composite", "cpu") is kernels.Kind.COMPOSITE
    library.impl("composite", lambda x: x, "CPU")
    assert kernels.kind(f"{library.ns}::composite", "cpu") is kernels.Kind.OWN
    compat_shim.pair_namespace(library.ns)
    op, other = packet(library, "made"), packet(library, "special")
    code = compile_and_compare(lambda x: op(x) * other(x), torch.randn(4))
    assert "made_out" in code
    assert "special_out" in code


def test_the_cache_key_holds_the_kernels_of_a_pair(library: Any) -> None:
    from compat_shim.out_variant.lowering import cache_key

    factor = functional(library, "op")
    library.define("op.out(Tensor x, *, Tensor(a!) out) -> ()", tags=(TAG,))
    without = cache_key.salt()
    library.impl("op.out", lambda x, *, out: torch.mul(x, factor, out=out), "CompositeExplicitAutograd")
    composite = cache_key.salt()
    library.impl("op.out", lambda x, *, out: torch.mul(x, factor, out=out), "CPU")
    assert len({without, composite, cache_key.salt()}) == 3


def test_an_out_variant_without_a_kernel_is_not_called_though_the_op_s_own_has_an_unusual_key(library: Any) -> None:
    library.define("make(SymInt n) -> Tensor")
    library.define("make.out(SymInt n, *, Tensor(a!) out) -> ()", tags=(TAG,))
    library.impl("make", lambda n: torch.arange(n) * 1.0, "BackendSelect")
    torch.library.register_fake(f"{library.ns}::make", lambda n: torch.empty(n), lib=library)
    make = packet(library, "make")

    compile_and_compare(lambda x: make(4) + x, torch.randn(4))
    assert counters["compat_shim"]["declined: NO_KERNEL"] == 1

    def write(n: int, *, out: torch.Tensor) -> None:
        torch.arange(n, out=out)

    library.impl("make.out", write, "CPU")
    assert ".make.out(" in compile_and_compare(lambda x: make(4) - x, torch.randn(4))
