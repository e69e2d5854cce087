"""An overload that a graph calls often is looked up once a call of the wrapper, by a variable."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

import compat_shim
from compat_shim.calls import ways
from support.checks import code_as_written, poisoned_allocations, same
from support.ops import Ops, define


@pytest.fixture(autouse=True)
def _few_calls_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls go through the dispatcher here: each is one of too few."""
    monkeypatch.setattr(ways, "PAYS_FROM", 1000)


ONE = ("f(Tensor x, float s) -> Tensor", "f.out(Tensor x, float s, *, Tensor(a!) out) -> Tensor(a!)")


def scaled(x: torch.Tensor, s: float) -> torch.Tensor:
    return x * s


def chain(ops: Ops, calls: int) -> Any:
    def graph(x: torch.Tensor) -> torch.Tensor:
        for number in range(calls):
            x = ops.functional(x, number + 0.5)
        return x

    return graph


def test_a_variable_from_the_fourth_call_on(shared_kernels: None) -> None:
    ops = define(*ONE, scaled)
    with torch.no_grad(), poisoned_allocations():
        few = code_as_written(chain(ops, 3), torch.randn(4, 5))
        many = code_as_written(chain(ops, 4), torch.randn(4, 5))
    assert few.count(f"torch.ops.{ops.namespace}.f.out(") == 3
    variable = f"call_{ops.namespace}_f_out"
    # Torch 2.15's overload chooses between two functions in C++.
    chooses = "_cpp_dispatch_handle" in torch._ops.OpOverload.__call__.__code__.co_names
    assert many.count(f" {variable} = torch.ops.{ops.namespace}.f.out{'' if chooses else '._op'}\n") == 1
    assert many.count(f" {variable}(") == 4
    assert many.count(f"torch.ops.{ops.namespace}.") == 1


def test_an_overload_s_own_call_is_kept_where_it_does_more(
    shared_kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops = define(*ONE, scaled)
    counted: list[Any] = []

    def instrumented(self: Any, *args: Any, **kwargs: Any) -> Any:
        counted.append(self)
        return self._op(*args, **kwargs)

    monkeypatch.setattr(torch._ops.OpOverload, "__call__", instrumented)
    with torch.no_grad():
        code = code_as_written(chain(ops, 4), torch.randn(4, 5))
    assert f" = torch.ops.{ops.namespace}.f.out\n" in code
    assert sum(op is getattr(torch.ops, ops.namespace).f.out for op in counted) >= 4


def test_explain_finds_the_calls(shared_kernels: None) -> None:
    ops = define(*ONE, scaled)
    with torch.no_grad():
        calls = compat_shim.explain(chain(ops, 4), torch.randn(4, 5)).calls
    emitted = [call.call for call in calls]
    assert len(set(emitted)) == 4
    assert all(re.fullmatch(rf"call_{ops.namespace}_f_out\(\w+, \d\.5, out=buf\d\)", line) for line in emitted)


def test_names_that_read_alike_stay_apart(shared_kernels: None) -> None:
    one = define("f(Tensor x) -> Tensor", "f.g_out(Tensor x, *, Tensor(a!) out) -> ()", lambda x: x + 1)
    two = define(
        "f_g(Tensor x) -> Tensor",
        "f_g.out(Tensor x, *, Tensor(a!) out) -> ()",
        lambda x: x * 3,
        namespace=one.namespace,
    )

    def graph(x: torch.Tensor) -> torch.Tensor:
        for _ in range(4):
            x = two.functional(one.functional(x))
        return x

    with torch.no_grad(), poisoned_allocations():
        code = code_as_written(graph, torch.randn(4, 5))
    assert code.count(f" = torch.ops.{one.namespace}.f") == 2
    assert one.calls["out"] == two.calls["out"] == 4


def test_calls_in_branches_and_after_them(shared_kernels: None) -> None:
    ops = define(*ONE, scaled)

    def graph(x: torch.Tensor) -> torch.Tensor:
        x = torch.cond(x.sum() > 0, chain(ops, 4), chain(ops, 5), (x,))
        return chain(ops, 6)(x)

    with torch.no_grad(), poisoned_allocations():
        compiled = torch.compile(graph, fullgraph=True)
        for sign in (1.0, -1.0):
            x = torch.rand(4, 5) * sign
            expected = graph(x)
            ops.calls.clear()
            assert same(compiled(x), expected)
            assert not ops.calls["functional"]


def test_an_op_that_went_away_is_an_error_and_no_crash(shared_kernels: None) -> None:
    ops = define(*ONE, scaled)
    x = torch.randn(4, 5)
    with torch.no_grad():
        compiled = torch.compile(chain(ops, 6), fullgraph=True)
        compiled(x)
        ops.destroy()
        with pytest.raises(AttributeError, match="f"):
            compiled(x)


@pytest.mark.parametrize("calls", [1, 4])
def test_compiled_code_names_the_out_overload_whose_library_alone_has_gone(shared_kernels: None, calls: int) -> None:
    """A limit, which docs/differs-from-upstream.md tells: stock's code runs.

    What is compiled after it calls the functional op.
    """
    ops = define(ONE[0], None, scaled)
    library = torch.library.Library(ops.namespace, "FRAGMENT")
    library.define(ONE[1], tags=torch.Tag.out_variant)
    library.impl("f.out", lambda x, s, *, out: torch.mul(x, s, out=out), "CPU")
    x = torch.randn(4, 5)
    expected = chain(ops, calls)(x)
    with torch.no_grad():
        compiled = torch.compile(chain(ops, calls), fullgraph=True)
        assert same(compiled(x), expected)
        library._destroy()
        with pytest.raises(AttributeError, match="'out'"):
            compiled(x)
        torch._dynamo.reset()
        assert same(compiled(x), expected)
