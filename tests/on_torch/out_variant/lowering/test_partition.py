"""Graph partition: the kernel and its outputs are never split, and the functional op's name decides."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config
from torch._inductor.scheduler import BaseSchedulerNode, Scheduler

import compat_shim
from support.checks import compile_and_compare, poisoned_allocations, same
from support.installed import HAS_NATIVE_LOWERING
from support.ops import Ops, define
from support.quantization import chain, quantize, quantize_ops

HAS_PARTITION = hasattr(Scheduler, "should_partition")  # torch 2.7 on
HAS_NAMES = hasattr(config, "custom_should_partition_ops")  # torch 2.9 on


@contextlib.contextmanager
def only_op_is_partitioned_off(op: Any) -> Iterator[None]:
    """Every call of ``op`` is a partition point and nothing else is, as with a CUDA-graph-unsafe op."""

    def should_partition(self: Any, node: Any, *args: Any, **kwargs: Any) -> str | None:
        # A reason or None on the newest torch, read as true or false on the others.
        return "the test's op" if getattr(node.node, "op_overload", None) is op else None

    with (
        mock.patch.object(Scheduler, "should_partition", should_partition),
        config.patch({"graph_partition": True, "triton.cudagraphs": True}),
    ):
        yield


@contextlib.contextmanager
def only_op_is_inside_a_partition(op: Any) -> Iterator[None]:
    """Every call of ``op`` is in a partition and all else is between partitions, torch's own kernels too."""

    def should_partition(self: Any, node: Any, *args: Any, **kwargs: Any) -> str | None:
        return None if getattr(node.node, "op_overload", None) is op else "not the test's op"

    with (
        mock.patch.object(Scheduler, "should_partition", should_partition),
        config.patch({"graph_partition": True, "triton.cudagraphs": True}),
    ):
        yield


@contextlib.contextmanager
def as_on_a_gpu(**settings: Any) -> Iterator[None]:
    """Torch's own ``should_partition`` on nodes that look like a GPU's, with CUDA graphs on."""
    original = Scheduler.should_partition

    def should_partition(self: Any, node: Any, *args: Any, **kwargs: Any) -> bool:
        with mock.patch.object(BaseSchedulerNode, "is_gpu", return_value=True):
            return original(self, node, *args, **kwargs)

    with (
        mock.patch.object(Scheduler, "should_partition", should_partition),
        config.patch({"graph_partition": True, "triton.cudagraphs": True, **settings}),
    ):
        yield


if HAS_PARTITION:

    def test_a_partition_boundary_after_the_kernel_does_not_allocate_its_outputs_again() -> None:
        ops = quantize_ops()
        with only_op_is_partitioned_off(ops.functional), poisoned_allocations():
            code = compile_and_compare(chain(ops), torch.randn(4, 8))
        assert counters["compat_shim"]["lowered"] == 2
        assert "def partition_0" in code, "the graph was not partitioned, so the test shows nothing"


if HAS_NAMES:

    @pytest.mark.parametrize("name", ["::f", "::f.default"])
    def test_custom_should_partition_ops_is_asked_by_the_functional_op_s_name(name: str) -> None:
        ops = quantize_ops()
        with as_on_a_gpu(custom_should_partition_ops=[ops.namespace + name]), poisoned_allocations():
            code = compile_and_compare(chain(ops), torch.randn(4, 8))
        body = code.partition("def call(")[2]
        assert counters["compat_shim"]["lowered"] == 2
        assert "def partition_0" in code
        assert body.count(".f.out(") == 2, "the op is outside of the partitions"

    def test_the_out_variant_s_name_is_not_asked_for_as_the_graph_does_not_have_it() -> None:
        ops = quantize_ops()
        with as_on_a_gpu(custom_should_partition_ops=[f"{ops.namespace}::f.out"]), poisoned_allocations():
            code = compile_and_compare(chain(ops), torch.randn(4, 8))
        assert counters["compat_shim"]["lowered"] == 2
        assert code.partition("def call(")[2].count(".f.out(") == 0

    def test_an_op_that_nobody_names_stays_inside_the_partition() -> None:
        ops = quantize_ops()
        with as_on_a_gpu(), poisoned_allocations():
            code = compile_and_compare(chain(ops), torch.randn(4, 8))
        assert code.partition("def call(")[2].count(".f.out(") == 0
        assert code.count(".f.out(") == 2


def one_output(kernel: Callable[[torch.Tensor], torch.Tensor], **options: Any) -> Ops:
    return define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", kernel, **options)


def memory_of_partitions(code: str) -> tuple[set[str], set[str]]:
    """In the main function: what comes out of partitions, and what is made of its memory."""
    out: set[str] = set()
    taken: set[str] = set()
    for line in code.partition("def call(")[2].splitlines():
        if found := re.search(r"\((.*)\) = self\.partitions\[", line):
            out.update(re.findall(r"\w+", found[1]))
        elif (found := re.search(r"(\w+) = (\w+); +del \w+ +# reuse", line)) and found[2] in out | taken:
            taken.add(found[1])
    return out, taken


if hasattr(torch.Tag, "cudagraph_unsafe"):

    @pytest.mark.parametrize("dynamic", [False, True])
    def test_an_out_buffer_takes_no_memory_that_came_out_of_a_partition(dynamic: bool) -> None:
        unsafe = one_output(lambda x: x * 2 + 1, functional_tags=(torch.Tag.cudagraph_unsafe,))
        safe = one_output(lambda x: x - 3)

        def graph(x: torch.Tensor) -> Any:
            b = safe.functional(unsafe.functional(x))
            c = unsafe.functional(b)
            return unsafe.functional(b), unsafe.functional(c)

        with as_on_a_gpu(), poisoned_allocations():
            code = compile_and_compare(graph, torch.randn(4, 8), dynamic=dynamic)
        out, taken = memory_of_partitions(code)
        assert out, "nothing comes out of a partition, so the test shows nothing"
        assert not taken

    def test_an_out_buffer_takes_no_memory_that_was_written_in_place_of_a_partition_s_output() -> None:
        inside, outside = (one_output(kernel) for kernel in (lambda x: x - 3, lambda x: x * 2 + 1))

        def graph(x: torch.Tensor) -> Any:
            in_place = inside.functional(x) * 2
            return outside.functional(outside.functional(in_place))

        with only_op_is_inside_a_partition(inside.functional), poisoned_allocations():
            code = compile_and_compare(graph, torch.randn(4, 8))
        out, taken = memory_of_partitions(code)
        assert out
        assert len(taken) == 1, "torch's own kernel writes in place, and no out buffer takes that memory"

    def test_between_partitions_a_chain_of_ops_still_takes_two_buffers() -> None:
        unsafe = one_output(lambda x: x * 2 + 1, functional_tags=(torch.Tag.cudagraph_unsafe,))
        safe = one_output(lambda x: x - 3)

        def graph(x: torch.Tensor) -> Any:
            x = safe.functional(x + 1)
            for _ in range(6):
                x = unsafe.functional(x)
            return safe.functional(x)

        with as_on_a_gpu(), poisoned_allocations():
            code = compile_and_compare(graph, torch.randn(4, 8))
        main = code.partition("def call(")[2]
        out, taken = memory_of_partitions(code)
        assert out
        assert not taken
        assert main.count("= empty_strided_cpu(") == 2
        assert main.count("# reuse") == 4

    def test_an_input_is_reused_inside_a_partition_and_between_partitions_only_if_it_is_no_partition_s() -> None:
        unsafe = one_output(lambda x: x * 2 + 1, functional_tags=(torch.Tag.cudagraph_unsafe,), reuses={"out": "x"})
        safe = one_output(lambda x: x - 3, reuses={"out": "x"})

        def graph(x: torch.Tensor) -> Any:
            x = safe.functional(safe.functional(x + 1))  # a partition: both in place
            for _ in range(3):
                x = unsafe.functional(x)  # the first one's input comes out of it
            return safe.functional(x)  # what a partition is given is not its own

        with as_on_a_gpu(), poisoned_allocations():
            code = compile_and_compare(graph, torch.randn(4, 8))
        out, taken = memory_of_partitions(code)
        assert out
        assert not taken
        assert (safe.calls["in place"], unsafe.calls["in place"]) == (2, 2)

    def test_between_partitions_no_out_buffer_is_made_of_what_torch_may_give_a_cuda_graph_s_memory() -> None:
        """Torch's own kernel takes the memory of a partition's output, and its result is no input to reuse."""
        inside = one_output(lambda x: x - 3)
        outside = one_output(lambda x: x * 2 + 1, reuses={"out": "x"})

        def graph(x: torch.Tensor) -> Any:
            made = inside.functional(x)
            return outside.functional((made + outside.functional(made)).t().contiguous().t())

        with only_op_is_inside_a_partition(inside.functional), poisoned_allocations():
            compile_and_compare(graph, torch.randn(4, 4))
        assert outside.calls["in place"] == 0

    def test_without_cuda_graphs_an_out_buffer_takes_any_freed_buffer() -> None:
        unsafe = one_output(lambda x: x * 2 + 1, functional_tags=(torch.Tag.cudagraph_unsafe,))

        def graph(x: torch.Tensor) -> Any:
            y = unsafe.functional(x + 1)
            return unsafe.functional(y) * 2

        code = compile_and_compare(graph, torch.randn(4, 8))
        assert "# reuse" in code

    def test_a_cudagraph_unsafe_functional_op_is_partitioned_off() -> None:
        ops = quantize_ops(functional_tags=(torch.Tag.cudagraph_unsafe,))
        with as_on_a_gpu(), poisoned_allocations():
            code = compile_and_compare(chain(ops), torch.randn(4, 8))
        assert code.partition("def call(")[2].count(".f.out(") == 2


if HAS_NATIVE_LOWERING:

    def test_upstream_s_two_node_lowering_still_gives_wrong_numbers_so_ours_is_still_needed() -> None:
        ops = define(
            "f(Tensor x) -> (Tensor, Tensor)",
            "f.out(Tensor x, *, Tensor(a!) q, Tensor(b!) scale) -> (Tensor(a!), Tensor(b!))",
            quantize,
            tags=(torch.Tag.out_variant, torch.Tag.out),  # torch looks for the first in 2.12, then for the second
        )

        def graph(x: torch.Tensor) -> Any:
            q, scale = ops.functional(x + 1)
            return q * scale

        compat_shim.deactivate()
        x = torch.randn(4, 8)
        with as_on_a_gpu(custom_should_partition_ops=[f"{ops.namespace}::f.out"]), poisoned_allocations():
            compiled = torch.compile(graph)(x.clone())
        assert ops.calls["out"] == 1, "upstream no longer lowers this op"
        assert not same(compiled, graph(x)), (
            "upstream's lowering survives a partition boundary here: the one-node repair may be needless"
        )
