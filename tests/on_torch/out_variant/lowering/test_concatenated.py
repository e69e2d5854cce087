"""Tensors that are slices of what they are concatenated to: torch's own kernel may write its result to such a slice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._inductor import config

from support.checks import compile_and_compare
from support.ops import define


@pytest.mark.parametrize("memory_planning", [False, True])
def test_an_out_buffer_does_not_take_the_whole_while_a_result_lives_in_a_slice(memory_planning: bool) -> None:
    ops = define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> ()", lambda x: x * 2)

    def graph(x: torch.Tensor) -> Any:
        part = x * 3
        whole = ops.functional(torch.cat([part, x * 5]))
        in_a_slice = part + whole[:4]  # torch writes it in place of `part`, and frees what that is a slice of
        return whole, in_a_slice, ops.functional(torch.cat([x * 7, x * 9]))

    with config.patch(memory_planning=memory_planning):
        code = compile_and_compare(graph, torch.arange(32.0).view(4, 8))
    assert "# reuse" in code, "torch writes nothing in place, so the test shows nothing"
