"""Whole graphs: chains, buffer reuse, control flow, nested regions, training, configurations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch._higher_order_ops.scan import scan
from torch._inductor import config

from compat_shim.out_variant.lowering import releases
from compat_shim.release import within
from support.checks import at_once, compile_and_compare, poisoned_allocations, same
from support.graphs.program import HAS_SCAN
from support.ops import Ops, define

ONE = ("f(Tensor x, float s=2.0) -> Tensor", "f.out(Tensor x, float s=2.0, *, Tensor(a!) out) -> Tensor(a!)")
TWO = ("g(Tensor x) -> (Tensor, Tensor)", "g.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()")


def scaled(x: torch.Tensor, s: float) -> torch.Tensor:
    return x * s


def split(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x + 1, x.sum(-1)


@pytest.fixture
def one() -> Iterator[Ops]:
    ops = define(*ONE, scaled)
    yield ops
    ops.destroy()


@pytest.fixture
def two() -> Iterator[Ops]:
    ops = define(*TWO, split)
    yield ops
    ops.destroy()


def mixed(one: Ops, two: Ops) -> Callable[[torch.Tensor], Any]:
    """Ops and Inductor's own kernels in turn, with an unused output and in-place updates."""

    def graph(x: torch.Tensor) -> Any:
        y, s = two.functional(x.relu())
        for _ in range(4):
            y, _ = two.functional(one.functional(y, 0.5).neg())
        y = y.mul_(s.unsqueeze(-1))
        return one.functional(y), y.t(), s

    return graph


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"memory_planning": True},
        {"memory_planning": True, "memory_pool": "combined"},
        {"allow_buffer_reuse": False},
        {"inplace_buffers": False},
        {"size_asserts": False, "nan_asserts": True},
        {"freezing": True},
        {"combo_kernels": True},
    ],
    ids=lambda settings: ", ".join(f"{key}={value}" for key, value in settings.items()) or "defaults",
)
def test_a_mixed_chain_equals_eager_under_every_configuration_of_the_planner(
    one: Ops, two: Ops, settings: dict[str, Any]
) -> None:
    with config.patch(settings), torch.no_grad(), poisoned_allocations():
        code = compile_and_compare(mixed(one, two), torch.randn(8, 8))
    assert counters["compat_shim"]["lowered"] == 10
    assert ("compat_shim_first" in code) == settings.get("size_asserts", True)


def test_a_buffer_is_reused_as_often_as_in_the_same_graph_of_aten_ops() -> None:
    ops = define("mm(Tensor x, Tensor y) -> Tensor", "mm.out(Tensor x, Tensor y, *, Tensor(a!) out) -> ()", _matmul)

    def graph_of(product: Callable[..., Any]) -> Callable[..., Any]:
        def graph(x: torch.Tensor) -> torch.Tensor:
            y = x
            for _ in range(8):
                y = product(y, x)
            return y

        return graph

    x = torch.randn(8, 8)
    with config.patch({"max_autotune": False}):
        ours = compile_and_compare(graph_of(ops.functional), x)
        torch._dynamo.reset()
        aten = compile_and_compare(graph_of(torch.ops.aten.mm.default), x)
    assert _allocations(ours) == _allocations(aten)
    assert _allocations(ours) < 8


def _matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.mm(x, y)


def _allocations(code: str) -> int:
    return code.partition("def call(")[2].count("= empty_strided_cpu(")


def test_a_call_is_one_line_and_one_for_each_out_buffer_s_assert(two: Ops) -> None:
    code = compile_and_compare(lambda x: two.functional(x), torch.randn(4, 6))
    # Saved code needs nothing of this package, where torch's own assert can name the op (2.8 on).
    assert ("import assert_size_stride as" in code) is not releases.assert_takes_a_name()
    body = code.partition("def call(")[2].partition("\nrunner")[0]
    lines = [line.strip() for line in body.splitlines() if "buf" in line and not line.strip().startswith("#")]
    assert [line.partition(" = ")[0].partition("(")[0].strip() for line in lines] == [
        "buf1",
        "buf2",
        f"torch.ops.{two.namespace}.g.out",
        "compat_shim_first_call[0] and compat_shim_assert_size_stride",
        "compat_shim_first_call[1] and compat_shim_assert_size_stride",
        "return",
    ]


def test_an_op_in_both_branches_of_cond_is_lowered(one: Ops, two: Ops) -> None:
    def yes(x: torch.Tensor) -> torch.Tensor:
        return two.functional(one.functional(x))[0]

    def no(x: torch.Tensor) -> torch.Tensor:
        return two.functional(x)[1].unsqueeze(-1).expand(4, 6) + one.functional(x)

    def graph(x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, yes, no, (x,))

    for sign in (1, -1):
        with poisoned_allocations():
            compile_and_compare(graph, sign * torch.rand(4, 6))
        assert counters["compat_shim"]["lowered"] == 4


def test_scan_is_among_what_is_tested_where_inductor_takes_it() -> None:
    assert HAS_SCAN is within(torch.__version__, "2.8", None)


if HAS_SCAN:

    def test_an_op_in_the_body_of_scan_is_lowered(one: Ops, two: Ops) -> None:
        def step(carry: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y, s = two.functional(carry + x)
            return one.functional(y, 0.5), s + 1

        def compiled_only(init: torch.Tensor, xs: torch.Tensor) -> Any:
            return scan(step, init, xs)

        init, xs = torch.randn(4, 6), torch.randn(3, 4, 6)
        expected = _scan_by_hand(step, init, xs)
        for ops in (one, two):
            ops.calls.clear()
        with poisoned_allocations(), torch._dynamo.config.patch(capture_scalar_outputs=True):  # torch 2.8 needs it
            found = torch.compile(compiled_only, fullgraph=True)(init, xs)
        assert same(found, expected)
        assert one.calls == two.calls == {"out": 3}


def _scan_by_hand(step: Callable[..., Any], carry: torch.Tensor, xs: torch.Tensor) -> Any:
    outputs = []
    for x in xs:
        carry, y = step(carry, x)
        outputs.append(y)
    return carry, torch.stack(outputs)


def test_an_op_in_the_body_of_while_loop_is_lowered(one: Ops, two: Ops) -> None:
    from torch._higher_order_ops.while_loop import while_loop

    def condition(i: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return i < 3

    def body(i: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return i + 1, one.functional(two.functional(x)[0], 0.5)

    x = torch.randn(4, 6)
    expected = x
    for _ in range(3):
        expected = body(x, expected)[1]
    for ops in (one, two):
        ops.calls.clear()
    with poisoned_allocations():
        found = torch.compile(lambda x: while_loop(condition, body, (torch.tensor(0), x))[1], fullgraph=True)(x)
    assert same(found, expected)
    assert one.calls == two.calls == {"out": 3}


if hasattr(torch.compiler, "nested_compile_region"):

    def test_an_op_in_a_nested_compile_region_is_lowered(one: Ops, two: Ops) -> None:
        @torch.compiler.nested_compile_region
        def region(x: torch.Tensor) -> torch.Tensor:
            return two.functional(one.functional(x, 0.5))[0]

        with poisoned_allocations():
            compile_and_compare(lambda x: region(region(x).neg()), torch.randn(4, 6))
        assert counters["compat_shim"]["lowered"] >= 2


def test_forward_and_backward_ops_of_a_training_graph_are_lowered(one: Ops, two: Ops) -> None:
    forward_op, backward_op = two.functional, one.functional

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            y, s = forward_op(x)
            ctx.save_for_backward(s)
            return y * s.unsqueeze(-1)

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            (s,) = ctx.saved_tensors
            return backward_op(grad, 3.0) * s.unsqueeze(-1)

    def step(function: Callable[..., Any], x: torch.Tensor) -> Any:
        x = x.clone().requires_grad_()
        y = function(x)
        y.sum().backward()
        return y.detach(), x.grad

    x = torch.randn(4, 6)
    eager = step(Function.apply, x)
    counters.clear()
    with poisoned_allocations():
        compiled = step(torch.compile(lambda x: Function.apply(x), fullgraph=True), x)
    for found, expected in zip(compiled, eager):
        torch.testing.assert_close(found, expected)
    assert counters["compat_shim"]["lowered"] == 2


def test_a_functional_op_made_by_custom_op_is_lowered_by_an_overload_of_another_library() -> None:
    @torch.library.custom_op("compat_shim_custom::times", mutates_args=())
    def times(x: torch.Tensor, n: int) -> torch.Tensor:
        return x * n

    times.register_fake(lambda x, n: torch.empty_like(x))
    library = torch.library.Library("compat_shim_custom", "FRAGMENT")
    library.define("times.out(Tensor x, SymInt n, *, Tensor(a!) out) -> ()", tags=[torch.Tag.out_variant])

    def times_out(x: torch.Tensor, n: int, *, out: torch.Tensor) -> None:
        torch.mul(x, n, out=out)

    library.impl("times.out", times_out, "CompositeExplicitAutograd")
    for dynamic in (False, True):
        compile_and_compare(lambda x: times(times(x, 2), x.shape[0]), torch.randn(4, 6), dynamic=dynamic)
        assert counters["compat_shim"]["lowered"] == 2


def test_calls_for_an_ordered_effect_keep_torch_s_own_kernel_and_their_order(one: Ops) -> None:
    from torch._higher_order_ops.effects import _EffectType, _register_effectful_op

    order: list[float] = []
    seen = define(ONE[0], ONE[1], lambda x, s: order.append(s) or x * s, fake=scaled)
    registered = _register_effectful_op(seen.functional, _EffectType.ORDERED)
    x = torch.randn(4, 6)
    counters.clear()
    try:
        found = torch.compile(
            lambda x: [
                seen.functional(x, 1.0),
                one.functional(x),
                seen.functional(x, 2.0),
                seen.functional(x, 3.0),
            ],
            fullgraph=True,
        )(x)
    finally:
        if registered is not None:
            registered.destroy()
    assert same(found, [x, x * 2.0, x * 2.0, x * 3.0])
    assert order == [1.0, 2.0, 3.0]
    assert dict(counters["compat_shim"]) == {"declined: EFFECTS": 3, "lowered": 1}


def test_two_threads_compile_at_once(one: Ops, two: Ops) -> None:
    graphs = [mixed(one, two), lambda x: two.functional(one.functional(x, 3.0))]
    inputs = torch.randn(8, 8)
    expected = [graph(inputs.clone()) for graph in graphs]
    found = at_once(*(lambda graph=graph: torch.compile(graph, fullgraph=True)(inputs.clone()) for graph in graphs))
    assert same(found, expected)
