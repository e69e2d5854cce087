"""Out buffers that take over the memory of an input (``may_reuse_input``): where that is right, and nowhere else.

The kernels here are right in place. They count the calls in which an out buffer is an input's memory, so a call that
must not be in place shows, also where the numbers are right by luck.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch import distributed
from torch._dynamo.utils import counters
from torch._higher_order_ops.scan import scan
from torch._inductor import config, ir
from torch._inductor.codegen.wrapper import PythonWrapperCodegen
from torch._inductor.scheduler import ExternKernelSchedulerNode, Scheduler
from torch._inductor.utils import run_and_get_code
from torch.distributed._functional_collectives import all_gather_tensor
from torch.testing._internal.distributed.fake_pg import FakeStore

import compat_shim
from compat_shim.out_variant.lowering import announce, donation
from support.checks import compile_and_compare, poisoned_allocations, same
from support.graphs.oracle import EAGER, TRACED
from support.graphs.program import HAS_SCAN
from support.ops import Ops, define

X = torch.arange(32.0).view(4, 8)


def one(kernel: Callable[..., Any] = lambda x: x * 1.5, **options: Any) -> Ops:
    return define(
        "f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> ()", kernel, reuses={"out": "x"}, **options
    )


def two(kernel: Callable[..., Any] = lambda x, y: (x + y, x - y), **reuses: Any) -> Ops:
    """``f(x, y) -> (Tensor, Tensor)`` with the out arguments ``p`` and ``q``."""
    return define(
        "f(Tensor x, Tensor y) -> (Tensor, Tensor)",
        "f.out(Tensor x, Tensor y, *, Tensor(a!) p, Tensor(b!) q) -> ()",
        kernel,
        reuses=reuses,
    )


@pytest.fixture(autouse=True)
def _poison() -> Iterator[None]:
    with poisoned_allocations():
        yield


# --- where it is done


def test_a_chain_of_calls_takes_one_buffer() -> None:
    ops = one()

    def graph(x: torch.Tensor) -> torch.Tensor:
        for _ in range(16):
            x = ops.functional(x)
        return x

    code = compile_and_compare(graph, X)
    assert ops.calls["in place"] == 15, "the first input is the graph's own"
    assert code.count("= empty_strided_cpu(") == 1


def test_what_fits_is_taken_whoever_made_it_and_however_many_outs_there_are() -> None:
    """The donor is made by torch's own kernel, by another op, or is the second that is named."""
    ops, pair = one(), two(p=("x", "y"), q="y")

    def graph(x: torch.Tensor) -> Any:
        made = ops.functional(x * 3 + 1)
        p, q = pair.functional(made, x * 5)  # p is x, q is y
        kept = q * 2
        p, q = pair.functional(kept, p)  # kept lives on, so p is y, and q has memory of its own
        return p, q, kept

    compile_and_compare(graph, X)
    assert (ops.calls["in place"], pair.calls["in place"]) == (1, 3)


@pytest.mark.parametrize("settings", [{"memory_planning": True}, {"freezing": True}, {"triton.cudagraphs": True}])
def test_it_is_done_in_every_way_of_planning(settings: dict[str, Any]) -> None:
    ops = one()
    weight = torch.nn.Parameter(X / 7, requires_grad=False)

    def graph(x: torch.Tensor) -> Any:
        a = ops.functional(ops.functional(x)) + 1
        return ops.functional(a), ops.functional(weight)

    with config.patch(settings), torch.no_grad():
        compile_and_compare(graph, X)
    assert ops.calls["in place"] == 2, "the graph's input and the parameter are not ours"


def test_sizes_known_at_run_time_only_and_no_elements_at_all() -> None:
    ops = one(lambda x: x * 2)

    def graph(x: torch.Tensor, empty: torch.Tensor) -> Any:
        return ops.functional(ops.functional(x)), ops.functional(ops.functional(empty)), x.shape[0]

    code = compile_and_compare(graph, X, X[:, :0], dynamic=True)
    assert "s" in code.partition("empty_strided_cpu((")[2].partition(",")[0], "the graph is not symbolic"
    assert ops.calls["in place"] == 1
    assert code.count("# reuse") == 2


def test_a_size_that_data_decides() -> None:
    ops = one(lambda x: x * 2)

    def graph(x: torch.Tensor) -> Any:
        found = ops.functional(x[x > 3])
        return ops.functional(found)

    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compile_and_compare(graph, X)
    assert ops.calls["in place"] == 1


def test_backward_ops_of_three_in_a_row_and_equal_gradients() -> None:
    ops = one()
    f = ops.functional

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = f(x)
            ctx.save_for_backward(result)
            return result

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = f(f(f(grad * ctx.saved_tensors[0])))
            return result

    def graph(x: torch.Tensor) -> Any:
        return Function.apply(Function.apply(Function.apply(x))).sum()

    def gradient(fn: Callable[..., Any]) -> torch.Tensor:
        x = X.clone().requires_grad_()
        fn(x).backward()
        assert x.grad is not None
        return x.grad

    expected = gradient(graph)
    ops.calls.clear()
    assert same(gradient(torch.compile(graph, fullgraph=True)), expected)
    assert ops.calls["out"] == 12
    # What the forward graph saves are outputs of it. Torch's own kernel multiplies the last of them in place, which
    # the backward graph is given: that memory is not the function's.
    assert ops.calls["in place"] == 8


# --- where it is not


def test_a_backward_graph_keeps_to_what_was_said_when_the_key_of_its_forward_graph_was_made() -> None:
    """It is compiled when it is first run, and kept in the caches under that key, too."""
    ops = define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> ()", lambda x: x * 2, in_place=True)

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x * 3

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> Any:
            return ops.functional(ops.functional(grad * 3))

    x = X.clone().requires_grad_()
    with torch._functorch.config.patch(enable_autograd_cache=True):
        y = torch.compile(Function.apply, fullgraph=True)(x)
        compat_shim.may_reuse_input(ops.out, {"out": "x"})
        counters.clear()
        y.sum().backward()
    assert x.grad is not None
    assert bool((x.grad == 12).all())
    assert ops.calls["in place"] == 0
    assert counters["compat_shim"] == {"declined: UNSEEN": 2}


def test_what_is_said_while_a_graph_is_compiled_counts_in_the_next() -> None:
    """Its cache key is made, and another process would load the code under it."""
    ops = define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> ()", lambda x: x * 2, in_place=True)

    def graph(x: torch.Tensor) -> torch.Tensor:
        return ops.functional(ops.functional(x))

    def another_thread(decision: Any) -> None:
        compat_shim.may_reuse_input(ops.functional, {"out": "x"})

    with mock.patch.object(announce, "observers", [another_thread]):
        found = torch.compile(graph, fullgraph=True)(X)
    assert same(found, X * 4)
    assert ops.calls == {"out": 2}
    torch._dynamo.reset()
    torch.compile(graph, fullgraph=True)(X)
    assert ops.calls == {"out": 4, "in place": 1}


def makes() -> Ops:
    """``f(x, y)`` makes a buffer of its own for each call; a cheap kernel of torch's is written again for each use."""
    return define(
        "f(Tensor x, float y) -> Tensor", "f.out(Tensor x, float y, *, Tensor(a!) out) -> ()", lambda x, y: x + y
    )


def needed_later(make: Callable[..., Any], f: Callable[..., Any], x: torch.Tensor) -> list[Any]:
    """What ``f`` is called with is read later, one way or another, by what depends on that call."""

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        a = make(x, len(results))
        return a, f(a)

    results: list[Any] = []
    a, b = both()
    results.append(a.view(-1) * b.sum())
    a, b = both()
    results.append(a[1:] + b[:3])
    a, b = both()
    results.append(a.chunk(2, dim=1)[1] + b.chunk(2, dim=1)[0])
    a, b = both()
    results.append(a.t().contiguous() * b.sum())
    a, b = both()
    results.append((a, b))
    a, b = both()
    results.append(a.view(torch.int32) + b.to(torch.int32))
    a = make(x, 0.5)
    v = torch.view_as_complex(a.view(4, 4, 2))  # an alias that a fallback makes before
    results.append((f(a), v))
    return results


def test_an_input_that_is_needed_later_is_kept() -> None:
    ops, made = one(), makes()
    compile_and_compare(lambda x: needed_later(made.functional, ops.functional, x), X)
    assert ops.calls["in place"] == 0


def test_an_alias_that_is_returned_and_was_made_before_keeps_its_buffer() -> None:
    """Nothing reads it after the call, so the order of the nodes does not tell: those who use the alias do."""
    ops = define(
        "f(Tensor x, Tensor y) -> Tensor",
        "f.out(Tensor x, Tensor y, *, Tensor(a!) out) -> ()",
        lambda x, y: x + y,
        reuses={"out": "x"},
    )
    made, sums = makes(), define("f(Tensor x) -> Tensor", None, lambda x: x.real.sum())

    def graph(x: torch.Tensor) -> Any:
        a = made.functional(x, 1.0)
        v = torch.view_as_complex(a.view(4, 4, 2))
        return ops.functional(a, sums.functional(v)), v

    compile_and_compare(graph, X)
    assert ops.calls["in place"] == 0


def never_last(node: Any, *_: Any) -> None:
    node.last_usage = set()


@pytest.mark.parametrize(
    ("owner", "name", "answer"),
    [
        (ExternKernelSchedulerNode, "set_last_usage", never_last),
        (PythonWrapperCodegen, "can_reuse", lambda *_: False),
    ],
)
def test_a_buffer_that_torch_does_not_give_away_is_kept(owner: Any, name: str, answer: Any) -> None:
    ops = one()
    with mock.patch.object(owner, name, answer):
        compile_and_compare(lambda x: ops.functional(ops.functional(x)), X)
    assert ops.calls["in place"] == 0


def test_an_input_that_is_passed_more_than_once_is_kept() -> None:
    ops = define(
        "f(Tensor x, Tensor? y=None, Tensor[]? more=None) -> Tensor",
        "f.out(Tensor x, Tensor? y=None, Tensor[]? more=None, *, Tensor(a!) out) -> ()",
        lambda x, y, more: x + (0 if y is None else y.real.sum()) + sum(more or []),
        reuses={"out": "x"},
    )

    made = makes()

    def graph(x: torch.Tensor) -> Any:
        f = ops.functional
        a, b, c, d = (made.functional(x, y) for y in (1.0, 2.0, 3.0, 4.0))
        alias = torch.view_as_complex(d.view(4, 4, 2))
        return f(a, a), f(b, b.view(8, 4)), f(c, more=[x, c]), f(d, alias)

    compile_and_compare(graph, X)
    assert ops.calls["in place"] == 0


def test_an_input_of_another_layout_is_kept() -> None:
    square = torch.arange(64.0).view(8, 8)
    kernels: list[Callable[..., Any]] = [
        lambda x: x.to(torch.int32),
        lambda x: x.reshape(4, 16) + 1,
        lambda x: x.t().contiguous().t(),
        lambda x: (x[:1] * 2).contiguous(),
        lambda x: torch.empty_like(x)[:, :6].copy_(x[:, :6]),  # of almost its size, and its strides
    ]
    others = [one(kernel) for kernel in kernels]
    any_strides = torch.Tag.flexible_layout  # up to 2.6 the view is copied otherwise
    tags = {"functional_tags": any_strides, "tags": (torch.Tag.out_variant, any_strides)}
    transposed, made = one(lambda x: x.contiguous() * 2, **tags), makes()

    def graph(x: torch.Tensor) -> Any:
        results = [ops.functional(x + place) for place, ops in enumerate(others)]
        a = made.functional(x, 10.0)
        results.append(transposed.functional(a.t()))  # the buffer behind the view would fit
        results.append(transposed.functional(made.functional(x.view(64), 11.0).view(8, 8)))  # the view would
        return results

    compile_and_compare(graph, square)
    assert [ops.calls["in place"] for ops in (*others, transposed)] == [0] * 6


def test_memory_that_the_function_has_not_allocated_is_kept() -> None:
    ops = one(lambda x: x * 2)
    # Its outputs are slices of one tensor and overlap; schemas of torch's own say so much of none.
    slices = define("g(Tensor x) -> (Tensor, Tensor)", None, lambda x: (x + 1, x - 1))

    def overlapping(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        whole = torch.cat([x, x + 1])
        return whole[:4], whole[2:6]

    slices.library.impl("g", overlapping, "CPU")

    def graph(x: torch.Tensor, z: torch.Tensor) -> Any:
        first, second = slices.functional(x)
        done = ops.functional(first)
        viewed = torch.view_as_real(z)
        return done, second + done, ops.functional(viewed), z + 1

    compile_and_compare(graph, X, torch.randn(4, 8, dtype=torch.complex64))
    assert ops.calls["in place"] == 0


def test_what_other_buffers_live_in_or_another_op_writes_to_is_kept() -> None:
    ops = one(lambda x: x * 2)
    writes = define("w(Tensor(a!) x) -> ()", None, lambda x: None)
    writes.library.impl("w", lambda x: (x.add_(3), None)[1], "CPU")

    def graph(x: torch.Tensor) -> Any:
        part = x * 3
        concatenated = ops.functional(torch.cat([part, x * 5]))
        alone = ops.functional(torch.cat([x * 7, x * 9]))  # torch does not write in place of these either
        written = x + 5
        writes.functional(written)
        return concatenated, part + concatenated[:4], alone, ops.functional(written)

    compile_and_compare(graph, X)
    assert ops.calls["in place"] == 0


def test_one_input_goes_to_one_out_and_none_to_an_out_that_nobody_reads() -> None:
    shared, dead = two(p="x", q="x"), two(p="x", q="y")

    def graph(x: torch.Tensor) -> Any:
        p, q = shared.functional(x + 1, x)
        _, alone = dead.functional(x + 2, x + 3)
        return p, q, alone

    compile_and_compare(graph, X)
    assert (shared.calls["in place"], dead.calls["in place"]) == (1, 1)


def test_the_operands_of_control_flow_are_kept_and_what_a_branch_makes_is_not() -> None:
    inside, made = one(), makes()
    f = inside.functional

    def chain(a: torch.Tensor) -> Any:
        return f(f(a))

    def graph(hop: Any, region: Any, x: torch.Tensor) -> Any:
        a, b = made.functional(x, 1.0), made.functional(x, 2.0)
        chosen = hop.cond(x.sum() > 0, chain, lambda a: f(a + 1), (a,))
        looped = hop.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, chain(a)), (torch.tensor(0), b))[1]
        results = [chosen, a * chosen.sum(), looped, b * looped.sum()]
        return [*results, region(a), a]

    region = chain if TRACED.region is None else TRACED.region(chain)  # torch 2.8 on
    found = torch.compile(lambda x: graph(TRACED, region, x), fullgraph=True)(X)
    assert inside.calls["in place"] == 4, "the second call of the branch, of each of two steps, and of the region"
    assert same(found, graph(EAGER, chain, X))


if HAS_SCAN:

    def test_the_operands_of_scan_are_kept_and_what_its_body_makes_is_not() -> None:
        ops, made = one(), makes()
        f = ops.functional

        def step(carry: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            carry = f(f(carry + x))
            return carry, f(carry * 2)

        def graph(x: torch.Tensor) -> Any:
            carry, rows = scan(step, made.functional(x[0], 1.0), made.functional(x, 2.0))
            return carry, rows

        with torch._dynamo.config.patch(capture_scalar_outputs=True):  # torch 2.8 needs it
            found = torch.compile(graph, fullgraph=True)(X)
        assert ops.calls == {"out": 12, "in place": 12}, "three calls of each of four steps"
        carry, rows = X[0] + 1, []
        for x in X + 2:
            carry, row = step(carry, x)
            rows.append(row)
        assert same(found, (carry, torch.stack(rows)))


@pytest.fixture
def process_group() -> Iterator[str]:
    """The name of a group of two, of which the other does nothing."""
    distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield distributed.group.WORLD.group_name
    distributed.destroy_process_group()


def test_what_a_collective_in_flight_reads_is_kept(process_group: str) -> None:
    ops, made = one(), makes()

    def graph(x: torch.Tensor) -> Any:
        a = made.functional(x, 1.0)
        gathered = all_gather_tensor(a, 0, process_group)
        b = ops.functional(a)
        return b, (gathered * b.sum()).sum()

    late = {"reorder_for_compute_comm_overlap": True, "reorder_for_compute_comm_overlap_passes": ["sink_waits"]}
    with config.patch(late):
        found, (code,) = run_and_get_code(torch.compile(graph, fullgraph=True), X)
    assert same(found[0], (X + 1) * 1.5)
    start, wait = (code.index(f"{name}.default(") for name in ("all_gather_into_tensor", "wait_tensor"))
    assert start < re.search(r"\bf?\w*[._]out\(buf", code).start() < wait, "the call is not between start and wait"
    assert ops.calls["in place"] == 0


@pytest.mark.parametrize("setting", ["inplace_buffers", "allow_buffer_reuse"])
def test_torch_s_settings_turn_it_off(setting: str) -> None:
    ops = one()
    with config.patch({setting: False}):
        compile_and_compare(lambda x: ops.functional(ops.functional(x)), X)
    assert ops.calls["in place"] == 0
    assert counters["compat_shim"]["lowered"] == 2


def layout(**options: Any) -> Any:
    return ir.FixedLayout(torch.device("cpu"), torch.float32, [4, 8], [8, 1], **options)


def test_only_a_plain_layout_fits() -> None:
    kinds = [layout(), layout(offset=4), ir.CommBufferLayout.__new__(ir.CommBufferLayout)]
    kinds[2].__dict__.update(vars(layout()))
    pinned = layout()
    pinned.is_pinned = True  # torch 2.7 on
    out = ir.Buffer(name="out", layout=layout())
    graph = mock.Mock(**{"sizevars.statically_known_list_equals": lambda left, right: left == right})
    with (
        mock.patch.object(donation.releases, "can_match_buffer_size", return_value=True),
        donation.V.set_graph_handler(graph),
    ):
        fits = [donation._fits(ir.Buffer(name="x", layout=kind), out) for kind in (*kinds, pinned)]
    assert fits == [True, False, False, False]


ELSEWHERE = [  # torch 2.12 and 2.14 on
    (name, answer)
    for name, answer in (("has_cross_stream_hazard", True), ("get_buf_mempool", (0, 1)))
    if hasattr(Scheduler, name)
]

if ELSEWHERE:

    @pytest.mark.parametrize(("asked", "answer"), ELSEWHERE)
    def test_a_buffer_on_another_stream_or_of_another_pool_is_kept(asked: str, answer: Any) -> None:
        ops = one()
        with mock.patch.object(Scheduler, asked, return_value=answer):
            compile_and_compare(lambda x: ops.functional(ops.functional(x)), X)
        assert ops.calls["in place"] == 0
