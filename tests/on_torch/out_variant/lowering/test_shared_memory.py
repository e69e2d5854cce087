"""Buffers in which others live, unknown to torch: slices of a concatenation, and operands that control flow returns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._inductor import config

from support.checks import compile_and_compare, poisoned_allocations, same
from support.graphs.oracle import EAGER, TRACED
from support.ops import Ops, define

X = torch.arange(32.0).view(4, 8)


def one(**options: Any) -> Ops:
    return define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> ()", lambda x: x * 2, **options)


@pytest.mark.parametrize("memory_planning", [False, True])
def test_an_out_buffer_does_not_take_the_whole_while_a_result_lives_in_a_slice(memory_planning: bool) -> None:
    ops = one()

    def graph(x: torch.Tensor) -> Any:
        part = x * 3
        whole = ops.functional(torch.cat([part, x * 5]))
        in_a_slice = part + whole[:4]  # torch writes it in place of `part`, and frees what that is a slice of
        return whole, in_a_slice, ops.functional(torch.cat([x * 7, x * 9]))

    with config.patch(memory_planning=memory_planning):
        code = compile_and_compare(graph, X)
    assert "# reuse" in code, "torch writes nothing in place, so the test shows nothing"


def unchanged(a: torch.Tensor) -> torch.Tensor:
    """Torch returns the argument itself."""
    return a + torch.zeros_like(a)


@pytest.mark.parametrize("reuses", [None, {"out": "x"}])
def test_an_operand_that_control_flow_may_return_is_kept(reuses: Any) -> None:
    ops, made = one(reuses=reuses), one()

    def graph(hop: Any, x: torch.Tensor) -> Any:
        a, b, c = (made.functional(x + place) for place in range(3))
        chosen = hop.cond(x.sum() > 0, unchanged, lambda a: a - 1, (a,))
        looped = hop.while_loop(lambda i, b: i < 0, lambda i, b: (i + 1, b + 1), (torch.tensor(0), b))[1]
        results = [ops.functional(a), ops.functional(b)]  # which nothing else needs
        alive = hop.cond(x.sum() > 0, unchanged, lambda a: a - 1, (c,)).sum()
        kept = made.functional(x * alive)  # after the result of the branch, whose memory is c's, is dead
        return [chosen, looped, *results, kept, c * kept.sum(), *(made.functional(kept + place) for place in range(3))]

    with poisoned_allocations():
        found = torch.compile(lambda x: graph(TRACED, x), fullgraph=True)(X)
    assert ops.calls["in place"] == 0
    assert same(found, graph(EAGER, X))
