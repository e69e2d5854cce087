"""A lowered call notices a wrong fake kernel, as torch's fallback does: ``config.size_asserts``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch

from support import ops as ops_of_tests
from support.checks import compile_and_compare

WRONG = "the fake kernel of {0}::f or the out kernel is wrong"


@pytest.fixture
def asserted() -> Iterator[list[tuple[int, ...]]]:
    """The sizes that code compiled in the test asserts, in order."""
    guards: Any = torch._C._dynamo.guards
    genuine, sizes = guards.assert_size_stride, []

    def counted(tensor: torch.Tensor, size: tuple[int, ...], *rest: Any) -> Any:
        sizes.append(tuple(size))
        return genuine(tensor, size, *rest)

    with mock.patch.object(guards, "assert_size_stride", counted):
        yield sizes


def define(library: Any, fake: Any, out: Any = None) -> Any:
    """``f(x)``: ``x + 1`` and the sums of its rows; the fake kernel tells the first one's columns."""
    library.define("f(Tensor x) -> (Tensor, Tensor)")
    library.define(
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) sums) -> (Tensor(a!), Tensor(b!))", tags=torch.Tag.out_variant
    )

    def write(x: torch.Tensor, *, y: torch.Tensor, sums: torch.Tensor) -> Any:
        return torch.add(x, 1, out=y), torch.sum(x, -1, out=sums)

    library.impl("f", lambda x: (x + 1, x.sum(-1)), "CPU")
    library.impl("f.out", out or write, "CPU")
    fake_f = lambda x: (x.new_empty(x.shape[0], fake(x)), x.new_empty(x.shape[0]))  # noqa: E731
    torch.library.register_fake(f"{library.ns}::f", fake_f, lib=library)
    return getattr(torch.ops, library.ns).f.default


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("dynamic", [False, True])
def test_a_wrong_fake_is_noticed_and_named(dynamic: bool, shared_kernels: None, library: Any) -> None:
    op = define(library, lambda x: 8)
    x = torch.randn(4, 6)
    compiled = torch.compile(lambda x: op(x)[0] * 2, fullgraph=True, dynamic=dynamic)
    for _ in range(2):
        with pytest.raises(AssertionError, match=r"expected size 6==8, stride 1==1 at dim=1") as error:
            compiled(x)
        assert f"{library.ns}::f.out, out argument y: {WRONG.format(library.ns)}" in str(error.value)


def test_numbers_are_asserted_in_the_first_step_alone(
    shared_kernels: None, library: Any, asserted: list[tuple[int, ...]]
) -> None:
    op = define(library, lambda x: x.shape[1])
    x = torch.randn(4, 6)
    compiled = torch.compile(lambda x: op(op(x)[0] * 2.0)[1] + 1, fullgraph=True)
    compiled(x)
    assert asserted.count((4,)) == 2  # one of them is of an output that nobody reads
    count = asserted.count((4, 6))
    asserted.clear()
    compiled(x)
    assert set(asserted) == {(4, 6)}
    assert len(asserted) == count - 2  # the input's own


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_sizes_of_a_step_are_asserted_in_each(
    shared_kernels: None, library: Any, asserted: list[tuple[int, ...]]
) -> None:
    def resizes_from_ten_on(x: torch.Tensor, *, y: torch.Tensor, sums: torch.Tensor) -> Any:
        torch.add(x if x.shape[1] < 10 else x[:, :10], 1, out=y)
        return y, torch.sum(x, -1, out=sums)

    op = define(library, lambda x: x.shape[1], resizes_from_ten_on)
    compiled = torch.compile(lambda x: op(x)[0], fullgraph=True, dynamic=True)
    for columns in (6, 9, 10):
        x = torch.randn(4, columns)
        assert torch.equal(compiled(x), x + 1)
    asserted.clear()
    with pytest.raises(AssertionError, match="expected size 10==11"):
        compiled(torch.randn(4, 11))
    assert asserted[-1] == (4, 11)


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_a_branch_is_asserted_when_it_is_first_taken(shared_kernels: None, library: Any) -> None:
    def wrong_below_zero(x: torch.Tensor, *, y: torch.Tensor, sums: torch.Tensor) -> Any:
        torch.add(x[:, :5] if x[0, 0] < 0 else x, 1, out=y)
        return y, torch.sum(x, -1, out=sums)

    op = define(library, lambda x: x.shape[1], wrong_below_zero)

    def graph(x: torch.Tensor) -> torch.Tensor:
        x = op(x.abs())[0]
        return torch.cond(x.sum() > 100, lambda x: op(x)[0], lambda x: op(-x)[0], (x,))

    with torch.no_grad():
        compiled = torch.compile(graph, fullgraph=True)
        compiled(torch.full((4, 6), 20.0))
        with pytest.raises(AssertionError, match="expected size 5==6"):
            compiled(torch.ones(4, 6))


def test_memory_that_another_buffer_had_is_no_false_alarm(shared_kernels: None) -> None:
    rows_after = {4: 12, 12: 6, 6: 2, 2: 4}

    def turned(x: torch.Tensor) -> torch.Tensor:  # 24 elements in another shape each time, by columns
        rows = rows_after[x.shape[0]]
        return (x + 1).reshape(24 // rows, rows).t()

    ops = ops_of_tests.define("t(Tensor x) -> Tensor", "t.out(Tensor x, *, Tensor(a!) out) -> ()", turned)

    def graph(x: torch.Tensor) -> Any:
        for _ in range(3):
            x = ops.functional(ops.functional(x))
        return x

    with torch.no_grad():
        code = compile_and_compare(graph, torch.randn(4, 6))
    assert "= reinterpret_tensor(buf" in code
    assert ops.calls["out"] == 6
