"""Placement on a real GPU, under real CUDA graphs. Defines no test on a machine without one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config
from torch._inductor.utils import run_and_get_code

from support.checks import same
from support.ops import define
from support.quantization import chain, quantize_ops

HAS_NAMES = hasattr(config, "custom_should_partition_ops")  # torch 2.9 on


# Placement → tags of the functional op; the names in ``custom_should_partition_ops``.
TAGS = ("cudagraph_unsafe", "nondeterministic_seeded", "needs_exact_strides", "flexible_layout")
NAMES = {"named": "f", "named with its overload": "f.default", "named by its out variant": "f.out"}
PLACEMENTS = ["plain", *(tag for tag in TAGS if hasattr(torch.Tag, tag)), *(NAMES if HAS_NAMES else ())]

if torch.cuda.is_available():

    @pytest.mark.parametrize("partition", [False, True])
    @pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
    @pytest.mark.parametrize("placement", PLACEMENTS)
    def test_a_chain_is_right_in_every_placement(placement: str, mode: str, partition: bool) -> None:
        tags = (getattr(torch.Tag, placement),) if placement in TAGS else ()
        ops = quantize_ops(functional_tags=tags, tags=(torch.Tag.out_variant, *tags))
        settings: dict[str, Any] = {"graph_partition": partition}
        if placement in NAMES:
            settings["custom_should_partition_ops"] = [f"{ops.namespace}::{NAMES[placement]}"]
        graph = chain(ops)
        torch._dynamo.reset()
        counters.clear()
        with config.patch(settings):
            compiled = torch.compile(graph, fullgraph=True, mode=mode)
            for seed in range(5):  # warm-up, recording and replays of the CUDA graph, each on new data
                torch.manual_seed(seed)
                x = torch.randn(64, 128, device="cuda")
                found = torch.utils._pytree.tree_map(torch.clone, compiled(x.clone()))
                for left, right in zip(found, graph(x)):
                    torch.testing.assert_close(left, right)
        assert counters["compat_shim"]["lowered"] == 2
        assert not [key for key in counters["compat_shim"] if key.startswith("declined")]

    @pytest.mark.skipif(not hasattr(torch.Tag, "cudagraph_unsafe"), reason="this torch has no such tag")
    @pytest.mark.parametrize("reuses", [None, {"out": "x"}])
    def test_a_result_made_between_partitions_is_kept_over_the_next_step(reuses: Any) -> None:
        schemas = ("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)")
        unsafe = define(*schemas, lambda x: x * 2 + 1, functional_tags=(torch.Tag.cudagraph_unsafe,), reuses=reuses)
        safe = define(*schemas, lambda x: x - 3, reuses=reuses)

        def graph(x: torch.Tensor) -> Any:
            b = safe.functional(safe.functional(unsafe.functional(x)))
            c = unsafe.functional(b)
            return unsafe.functional(b), unsafe.functional(unsafe.functional(unsafe.functional(c)))

        torch._dynamo.reset()
        counters.clear()
        with config.patch({"graph_partition": True}):
            compiled = torch.compile(graph, fullgraph=True, mode="reduce-overhead")
            kept: list[tuple[Any, Any]] = []
            for seed in range(5):  # warm-up, recording and replays of the CUDA graph, each on new data
                torch.manual_seed(seed)
                x = torch.randn(64, 128, device="cuda")
                kept.append((compiled(x.clone()), graph(x)))
        assert counters["compat_shim"]["lowered"] == 8
        assert (unsafe.calls["in place"] > 0) is (reuses is not None)
        for found, expected in kept:  # none is cloned: what stock returns here is a tensor of its own
            assert same(found, expected)

    def test_a_training_step_in_cuda_graphs_is_right_with_ops_forward_and_backward() -> None:
        ops = quantize_ops()

        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
                q, scale = ops.functional(x)
                ctx.save_for_backward(scale)
                return q

            @staticmethod
            def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
                return ops.functional(grad)[0] * ctx.saved_tensors[0]

        def step(function: Any, x: torch.Tensor) -> list[torch.Tensor]:
            x = x.clone().requires_grad_()
            torch.compiler.cudagraph_mark_step_begin()
            y = function(x)
            (y * x.detach()).sum().backward()
            return [y.detach().clone(), x.grad.clone()]

        torch._dynamo.reset()
        counters.clear()
        compiled = torch.compile(lambda x: Function.apply(x * 2), fullgraph=True, mode="reduce-overhead")
        for seed in range(5):
            torch.manual_seed(seed)
            x = torch.randn(64, 128, device="cuda")
            for left, right in zip(step(compiled, x), step(lambda x: Function.apply(x * 2), x)):
                torch.testing.assert_close(left, right)
        assert counters["compat_shim"]["lowered"] == 2

    def test_outputs_of_both_devices_are_allocated_where_the_fake_kernel_says() -> None:
        ops = define(
            "f(Tensor x) -> (Tensor, Tensor)",
            "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) host) -> ()",
            lambda x: (x + 1, x.sum(-1).cpu()),
        )
        x = torch.randn(8, 8, device="cuda")
        found, code = run_and_get_code(torch.compile(lambda x: ops.functional(x), fullgraph=True), x)
        assert [tensor.device.type for tensor in found] == ["cuda", "cpu"]
        assert same(found, ops.functional(x))
        assert "empty_strided_cuda(" in code[0]
        assert "empty_strided_cpu(" in code[0]
