"""When torch's list of all ops is made anew, and an op that came without being seen."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from compat_shim.out_variant import listing, lookalikes
from support.checks import compile_and_compare


@pytest.fixture
def times_listed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often ``listing.tagged()`` lists all ops now."""
    calls: list[None] = []
    original = torch._C._dispatch_get_all_op_names

    def counted() -> list[str]:
        calls.append(None)
        return original()

    monkeypatch.setattr(torch._C, "_dispatch_get_all_op_names", counted)

    def listed() -> int:
        before = len(calls)
        list(listing.tagged())
        return len(calls) - before

    return listed


def test_all_ops_are_listed_again_only_when_one_may_have_come(
    times_listed: Callable[[], int], library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    times_listed()
    assert times_listed() == 0
    # The code of a compiled graph is a module too.
    monkeypatch.setitem(sys.modules, "torch._inductor.runtime.compile_tasks.made_up", types.ModuleType("made_up"))
    assert times_listed() == 0
    monkeypatch.setitem(sys.modules, "an_extension", types.ModuleType("an_extension"))
    assert [times_listed(), times_listed()] == [1, 0]
    library.define("op(Tensor x) -> Tensor")
    assert [times_listed(), times_listed()] == [1, 0]
    monkeypatch.setattr(torch.ops, "loaded_libraries", {*torch.ops.loaded_libraries, "a_library.so"})
    assert [times_listed(), times_listed()] == [1, 0]


def test_without_torch_s_record_of_python_s_ops_each_time_lists_them(
    times_listed: Callable[[], int], library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.define("op(Tensor x, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    monkeypatch.delattr(torch.library, "_defs")
    assert [times_listed(), times_listed()] == [1, 1]
    assert f"{library.ns}::op" in set(listing.tagged())


def define_unseen(namespace: str) -> Any:
    """Ops as C++ code defines them that registers by a call, long after its import: torch.library does not know."""

    def write(x: torch.Tensor, *, out: torch.Tensor) -> None:
        torch.mul(x, 2.0, out=out)

    unseen = torch._C._dispatch_library("FRAGMENT", namespace, "")
    for name in ("f", "g"):
        unseen.define(f"{name}(Tensor x) -> Tensor", "")
        unseen.define(f"{name}.out(Tensor x, *, Tensor(a!) out) -> ()", "", (torch.Tag.out_variant,))
        unseen.impl(name, "CompositeExplicitAutograd", lambda x: x * 2.0)
        unseen.impl(f"{name}.out", "CompositeExplicitAutograd", write)
        unseen.impl(name, "Meta", torch.empty_like)
    return unseen


@pytest.fixture
def _warm(library: Any) -> None:
    """What torch imports at the first compile is there, and the ops are listed."""
    library.define("seen(Tensor x) -> Tensor")
    library.impl("seen", lambda x: x * 3.0, "CompositeExplicitAutograd")
    library.impl("seen", torch.empty_like, "Meta")
    seen = getattr(torch.ops, library.ns).seen
    compile_and_compare(lambda x: seen(x), torch.randn(5))
    list(listing.tagged())


@pytest.mark.usefixtures("_warm")
def test_an_op_that_came_unseen_is_lowered_from_the_next_graph_on() -> None:
    unseen = define_unseen("compat_shim_unseen")
    ops = torch.ops.compat_shim_unseen
    compile_and_compare(lambda x: ops.f(ops.g(x)), torch.randn(5))
    assert counters["compat_shim"] == {"declined: UNSEEN": 2}
    code = compile_and_compare(lambda x: ops.g(ops.f(x)), torch.randn(5))
    assert counters["compat_shim"] == {"lowered": 2}
    assert "torch.ops.compat_shim_unseen.f.out(" in code
    del unseen


@pytest.mark.usefixtures("_warm")
def test_an_op_that_came_unseen_is_lowered_at_once_where_no_key_is_made() -> None:
    unseen = define_unseen("compat_shim_unseen_uncached")
    ops = torch.ops.compat_shim_unseen_uncached
    with torch._inductor.config.patch(force_disable_caches=True):
        compile_and_compare(lambda x: ops.f(ops.g(x)), torch.randn(5))
    assert counters["compat_shim"] == {"lowered": 2}
    del unseen


def test_an_op_for_direct_calls_is_not_among_those_that_are_tagged_and_in_no_pair(library: Any) -> None:
    for schema in (
        "direct(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        "direct_out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        "other_out(Tensor x, int n, *, Tensor(a!) out) -> Tensor(a!)",  # ns::other takes no n
        "flat_out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        "f.more(Tensor x, int k, *, Tensor(a!) out) -> ()",
    ):
        library.define(schema, tags=torch.Tag.out_variant)
    for name in ("other", "flat", "f"):
        library.define(f"{name}(Tensor x) -> Tensor")
    ns = library.ns
    found = {one.op: (functional, one.reasons) for functional, one in lookalikes.not_taken() if one.op.startswith(ns)}
    assert found == {
        f"{ns}::f.more": (f"{ns}::f", ("the functional op has no input 'k'", lookalikes.AGREE)),
        f"{ns}::flat_out": (
            f"{ns}::flat",
            (lookalikes.OTHER_NAME, f"compat_shim.register_out_variant('{ns}::flat', '{ns}::flat_out') pairs them"),
        ),
    }
