"""Direct calls of out ops in compiled code, as torch 2.13 has them: the same file on every release.

Nothing here knows the shim: the ops in ``out_api.py`` import it, as a user's module does.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from support.checks import compile_and_compare, copy_of, same
from support.out_api import add, add_, inputs, split


# Reads are matrix products: Inductor calls a library for them, and compiles no kernel.
def read(x: Tensor) -> Tensor:
    return torch.mm(x, x.t())


def two_calls(x: Tensor, y: Tensor) -> Any:
    b = torch.empty_like(x)
    add(x, y, out=b)
    c = torch.empty_like(x)
    torch.ops.out_api.add(b, y, out=c)
    return b, c


def chain(x: Tensor, y: Tensor) -> Any:
    b = torch.empty_like(x)
    c = add(add(x, y, out=b), y, out=torch.empty_like(x))
    d = add(c, b, out=torch.empty_like(x))
    return c, d


def several(x: Tensor, y: Tensor) -> Any:
    low, high = split(x, 0.25, low=torch.empty_like(x), high=torch.empty_like(x))
    lower, _ = split(low, low=torch.empty_like(x), high=y)
    return low, high, lower


def into_input(x: Tensor, y: Tensor) -> Any:
    return read(add(x, y, out=y))


def into_input_returned(x: Tensor, y: Tensor) -> Any:
    return add(x, y, out=y)


def reused(x: Tensor, y: Tensor) -> Any:
    b = torch.empty_like(x)
    first = read(add(x, y, out=b))
    add(b, y, out=b)
    return first, b


def reused_while_returned(x: Tensor, y: Tensor) -> Any:
    b = torch.empty_like(x)
    first = add(x, y, out=b)
    second = add(y, y, out=b)
    return read(first), second


def mutated_later(x: Tensor, y: Tensor) -> Any:
    b = torch.empty_like(x)
    result = add(x, y, out=b)
    add_(b, x)
    return read(result), read(b)


def mutated_through_the_result(x: Tensor, y: Tensor) -> Any:
    b = torch.empty_like(x)
    add_(add(x, y, out=b), y)
    return read(b)


def into_view(x: Tensor, y: Tensor) -> Any:
    b = torch.empty(2, *x.shape)
    add(x, y, out=b[0])
    add(x, b[0], out=b[1])
    return b


def into_view_of_input(x: Tensor, y: Tensor) -> Any:
    return read(add(x[:2], y[:2], out=y[2:]))


def views_of_one_buffer(x: Tensor, y: Tensor) -> Any:
    b = torch.empty(2, *x.shape)
    low, high = split(x, low=b[0], high=b[1])
    add_(b[1], y)
    return read(low), read(high)


def in_place(x: Tensor, y: Tensor) -> Any:
    z = add(x, y, out=torch.empty_like(x))
    a = add_(z, y)
    b = add_(a, y)
    c = add_(add(y, y, out=torch.empty_like(x)), b)
    add_(z, x)
    return read(a), read(b), c


def in_place_on_input(x: Tensor, y: Tensor) -> Any:
    add_(x, y)
    return read(add_(x, y))


GRAPHS = [
    two_calls,
    chain,
    several,
    into_input,
    into_input_returned,
    reused,
    reused_while_returned,
    mutated_later,
    mutated_through_the_result,
    into_view,
    into_view_of_input,
    views_of_one_buffer,
    in_place,
    in_place_on_input,
]


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
def test_a_compiled_graph_with_direct_calls_equals_eager(graph: Any) -> None:
    code = compile_and_compare(graph, *inputs())
    assert "torch.ops.out_api." in code


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
def test_a_graph_under_aotautograd_equals_eager(graph: Any) -> None:
    compile_and_compare(graph, *inputs(), backend="aot_eager")


@pytest.mark.parametrize("graph", [two_calls, several, into_input, into_view], ids=lambda graph: graph.__name__)
def test_a_graph_with_dynamic_shapes_equals_eager(graph: Any) -> None:
    compile_and_compare(graph, *inputs(), dynamic=True)


def test_a_direct_call_inside_a_graph_with_gradients_equals_eager() -> None:
    def graph(x: Tensor, y: Tensor) -> Any:
        with torch.no_grad():
            scale = add(y, y, out=torch.empty_like(y))
        return (x * scale).sum()

    x, y = inputs()
    gradients = []
    for call in (graph, torch.compile(graph, fullgraph=True)):
        leaf = x.clone().requires_grad_()
        call(leaf, y).backward()
        gradients.append(leaf.grad)
    assert same(*gradients)


class Model(torch.nn.Module):
    def __init__(self, graph: Any) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.graph(x, y)


@pytest.mark.parametrize("graph", [two_calls, several, into_input, into_view], ids=lambda graph: graph.__name__)
def test_an_exported_program_equals_eager_before_and_after_decomposition(graph: Any) -> None:
    x, y = inputs()
    exported = torch.export.export(Model(graph), (x, y))
    for program in (exported, exported.run_decompositions({})):
        expected_inputs, found_inputs = (tuple(map(copy_of, (x, y))) for _ in range(2))
        expected = graph(*expected_inputs)
        found = program.module()(*found_inputs)
        assert same(found, expected)
        assert same(found_inputs, expected_inputs)
