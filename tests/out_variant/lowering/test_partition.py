"""Graph partition: the kernel and its outputs are never split, and the functional op's name decides."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from checks import compile_and_compare, poisoned_allocations, same
from ops import define
from quantization import chain, quantize, quantize_ops
from torch._dynamo.utils import counters
from torch._inductor import config
from torch._inductor.scheduler import BaseSchedulerNode, Scheduler

import compat_shim

HAS_PARTITION = hasattr(Scheduler, "should_partition")  # torch 2.7 on
HAS_NAMES = hasattr(config, "custom_should_partition_ops")  # torch 2.9 on
HAS_NATIVE_LOWERING = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 12)


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


if hasattr(torch.Tag, "cudagraph_unsafe"):

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
