"""What is emitted for a direct call: the call, and no copy, clone or result of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from support.checks import compile_and_compare


@pytest.fixture(scope="module")
def ops() -> Any:
    """``void`` returns nothing, ``back`` its out; one kernel."""
    library = torch.library.Library("direct_code", "FRAGMENT")
    for name, returns in (("void", "()"), ("back", "Tensor(a!)")):
        library.define(f"{name}.out(Tensor x, Tensor y, *, Tensor(a!) out) -> {returns}", tags=torch.Tag.out_variant)
    library.impl("void.out", lambda x, y, *, out: [out.copy_(x + y)].clear(), "CPU")
    library.impl("back.out", lambda x, y, *, out: out.copy_(x + y), "CPU")
    yield torch.ops.direct_code
    library._destroy()


def new(op: Any, x: torch.Tensor, y: torch.Tensor) -> Any:
    b, c = torch.empty_like(x), torch.empty_like(x)
    op(x, y, out=b)
    op(b, y, out=c)
    return b, c


def into_input(op: Any, x: torch.Tensor, y: torch.Tensor) -> Any:
    op(x, y, out=y)
    return torch.mm(y, y.t())


def into_view_of_input(op: Any, x: torch.Tensor, y: torch.Tensor) -> Any:
    op(x[0], x[1], out=y[2])
    return torch.mm(y, y.t())


def reused(op: Any, x: torch.Tensor, y: torch.Tensor) -> Any:
    b = torch.empty_like(x)
    op(x, y, out=b)
    first = torch.mm(b, b.t())
    op(x, x, out=b)
    return first, b


def body(code: str) -> list[str]:
    lines = (line.strip().replace("direct_code.back", "direct_code.void") for line in code.splitlines())
    calls = [line for line in lines if re.search(r"empty_strided_cpu\(|direct_code\.|extern_kernels|copy|clone", line)]
    return [line for line in calls if not line.startswith(("#", "assert", "empty_strided_cpu =", "from ", "import "))]


@pytest.mark.parametrize("graph", [new, into_input, into_view_of_input, reused], ids=lambda graph: graph.__name__)
def test_a_call_that_returns_its_out_is_emitted_as_one_that_returns_nothing(
    graph: Callable[..., Any], ops: Any
) -> None:
    inputs = torch.randn(4, 5), torch.randn(4, 5)
    back, void = (
        body(compile_and_compare(lambda x, y, op=op: graph(op, x, y), *inputs)) for op in (ops.back.out, ops.void.out)
    )
    assert back == void
    assert sum("direct_code.void" in line for line in back) == (1 if "input" in graph.__name__ else 2)
    assert not [line for line in back if "copy" in line or "clone" in line]


def test_what_reads_a_buffer_is_computed_before_a_call_that_takes_it_writes_there(ops: Any) -> None:
    def graph(x: torch.Tensor) -> Any:
        buffer = torch.zeros_like(x)
        ops.back.out(x, x, out=buffer)
        doubled = buffer * 2
        ops.back.out(doubled, x, out=buffer)
        return buffer, doubled.sum()

    compile_and_compare(graph, torch.arange(9.0).view(3, 3))  # whole numbers: sums are exact in any order
