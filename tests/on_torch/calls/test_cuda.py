"""The short way on a real GPU. Defines no test on a machine without one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._inductor import config

from support.checks import same
from support.short_calls import KINDS, Program, Sides, set_calls

if torch.cuda.is_available():

    @pytest.fixture(scope="module")
    def on_gpu() -> Iterator[Sides]:
        sides = Sides.of("cuda:0")
        yield sides
        sides.program.destroy()

    @pytest.fixture
    def gpu(on_gpu: Sides) -> Iterator[Sides]:
        set_calls("all")
        on_gpu.program.bodies.clear()
        with torch.no_grad():
            yield on_gpu

    def test_on_a_gpu(gpu: Sides) -> None:
        assert gpu.both().short == set(KINDS)
        with torch.inference_mode():
            assert gpu.both().short == set(KINDS)
        with torch.profiler.profile():
            assert gpu.both().short == set()

    def test_in_a_stream_of_its_own(gpu: Sides) -> None:
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            outcome = gpu.both()
        assert outcome.short == set(KINDS)
        assert all(str(stream.cuda_stream) in call.device for call in outcome.seen)

    @pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
    def test_on_another_device_than_the_current(gpu: Sides) -> None:
        other = Sides.of("cuda:1")
        set_calls("all")
        assert torch.cuda.current_device() == 0
        outcome = other.both()
        assert outcome.short == set(KINDS)
        assert torch.cuda.current_device() == 0
        # The generated code makes the device current; what is on the first one stays right.
        assert all("(1," in call.device for call in outcome.seen)
        assert gpu.both().short == set(KINDS)
        other.program.destroy()

    @pytest.mark.parametrize("partition", [False, True])
    @pytest.mark.parametrize("unsafe", [False, True])
    def test_under_cuda_graphs(partition: bool, unsafe: bool) -> None:
        set_calls("all")
        torch._dynamo.reset()
        program = Program("cuda")
        tags = (torch.Tag.cudagraph_unsafe,) if unsafe else ()
        made: Any = torch.library.custom_op(
            f"{program.namespace}::last",
            lambda x, s: x * s,
            mutates_args=(),
            schema="(Tensor x, float s) -> Tensor",
            tags=tags,
        )
        made.register_fake(lambda x, s: torch.empty_like(x))

        def graph(x: Tensor) -> tuple[Tensor, ...]:
            first, *others = program.graph(x + 1)
            return made(first, 2.0) + 1, *others

        with torch.no_grad(), config.patch(graph_partition=partition):
            compiled = torch.compile(graph, fullgraph=True, mode="reduce-overhead")
            for seed in range(6):
                torch.manual_seed(seed)
                x = torch.randn(3, 4, device="cuda")
                found = [one.clone() for one in compiled(x.clone())]
                assert same(found, list(graph(x)))
        program.destroy()

    def test_backward_in_the_device_s_thread() -> None:
        set_calls("all")
        torch._dynamo.reset()
        program = Program("cuda")
        ops = program.ops

        def backward(ctx: Any, gradient: Tensor) -> Any:
            return ops.pair(ops.functional(gradient, 2.0), 1.0), None

        for name in ("functional", "pair"):
            program.definitions[name].register_autograd(backward, setup_context=lambda ctx, inputs, output: None)

        def step(function: Any) -> tuple[Tensor, Any]:
            x = torch.arange(12.0, device="cuda").view(3, 4).requires_grad_()
            loss = function(x)
            loss.backward()
            return loss.detach(), x.grad

        graph = lambda x: ops.functional(ops.pair(x, 2.0), 3.0).sum()  # noqa: E731
        compiled = torch.compile(graph, fullgraph=True)
        for _ in range(3):
            program.seen.clear()
            assert same(step(compiled), step(graph))
        assert [call.kind for call in program.seen if call.short] == [
            "pair",
            "functional",
            "functional",
            "pair",
            "functional",
            "pair",
        ]
        program.destroy()
