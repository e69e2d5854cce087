"""Placement on a real GPU, under real CUDA graphs. Defines no test on a machine without one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks import same
from ops import define
from quantization import chain, quantize_ops
from torch._dynamo.utils import counters
from torch._inductor import config
from torch._inductor.utils import run_and_get_code

HAS_NAMES = hasattr(config, "custom_should_partition_ops")  # torch 2.9 on


if torch.cuda.is_available():

    @pytest.mark.parametrize("partition", [False, True])
    @pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
    @pytest.mark.parametrize("placement", ["plain", "cudagraph_unsafe", "named"])
    def test_a_chain_is_right_in_every_placement(placement: str, mode: str, partition: bool) -> None:
        tags = (torch.Tag.cudagraph_unsafe,) if placement == "cudagraph_unsafe" else ()
        ops = quantize_ops(functional_tags=tags)
        settings: dict[str, Any] = {"graph_partition": partition}
        if placement == "named" and HAS_NAMES:
            settings["custom_should_partition_ops"] = [f"{ops.namespace}::f"]
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
