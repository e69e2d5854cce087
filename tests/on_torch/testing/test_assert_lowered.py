"""``compat_shim.testing``: what packages that rely on the lowering use in their own tests."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

import compat_shim
from compat_shim.testing import assert_lowered

pytest_plugins = ["compat_shim.testing.pytest_plugin"]


@pytest.fixture
def ns(library: Any) -> str:
    """Two ops: ``f`` with an out variant, ``g`` without one."""
    for name in ("f", "g"):
        library.define(f"{name}(Tensor x) -> Tensor")
        library.impl(name, lambda x: x * 2, "CPU")
        torch.library.register_fake(f"{library.ns}::{name}", lambda x: torch.empty_like(x), lib=library)
    library.define("f.out(Tensor x, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    library.impl("f.out", lambda x, out: [torch.mul(x, 2, out=out)].clear(), "CPU")
    return str(library.ns)


def test_what_is_lowered_passes_however_the_op_is_named(ns: str) -> None:
    f = getattr(torch.ops, ns).f
    explanation = assert_lowered(lambda x, by: f(x) + by, torch.randn(4), by=1, ops=[f, f.default, f"{ns}::f"])
    assert [call.lowered for call in explanation.calls] == [True]


def test_a_call_that_is_not_lowered_fails_with_the_reason_and_the_remedy(ns: str) -> None:
    ops = getattr(torch.ops, ns)
    with pytest.raises(AssertionError, match=rf"1 of 1 calls of {ns}::g are not lowered: it has no out variant: "):
        assert_lowered(lambda x: ops.g(ops.f(x)), torch.randn(4), ops=[ops.f, ops.g.default])


def test_an_op_that_is_not_called_fails_with_what_is(ns: str) -> None:
    f = getattr(torch.ops, ns).f
    with pytest.raises(AssertionError, match=rf"{ns}::g is not called in a compiled graph; called there: {ns}::f"):
        assert_lowered(lambda x: f(x), torch.randn(4), ops=[f"{ns}::g"])
    with pytest.raises(ValueError, match="is not the name of an overload"):
        assert_lowered(lambda x: f(x), torch.randn(4), ops=["f"])


def test_without_the_shim_the_message_says_that(ns: str) -> None:
    f = getattr(torch.ops, ns).f
    compat_shim.deactivate()
    try:
        with pytest.raises(AssertionError, match="the lowering is not applied: the shim is not active"):
            assert_lowered(lambda x: f(x), torch.randn(4), ops=[f])
    finally:
        compat_shim.activate()


def test_the_fixture_gives_an_empty_cache_and_counters_from_zero(ns: str, fresh_compile: Counter[str]) -> None:
    f = getattr(torch.ops, ns).f
    assert not fresh_compile
    x = torch.randn(4)
    assert torch.equal(torch.compile(lambda x: f(x))(x), f(x))
    assert dict(fresh_compile) == {"lowered": 1}
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"]


def test_calls_that_a_cache_hit_brings_are_counted_by_torch_and_lowered_for_the_assertion(
    ns: str, fresh_compile: Counter[str]
) -> None:
    f, x = getattr(torch.ops, ns).f, torch.randn(4)

    def fn(x: torch.Tensor) -> torch.Tensor:
        return f(x)  # type: ignore[no-any-return]

    torch.compile(fn)(x)
    before = counters["inductor"]["compat_shim: lowered"]
    torch._dynamo.reset()
    fresh_compile.clear()
    torch.compile(fn)(x)
    assert (dict(fresh_compile), counters["inductor"]["compat_shim: lowered"] - before) == ({}, 1)
    assert_lowered(fn, x, ops=[f])
    assert not fresh_compile
