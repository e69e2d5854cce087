"""What is run: chains of custom ops, the demo's quantized block, large outputs, training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from compat_shim.demo.block import Block

Step = Callable[[torch.Tensor], object]
FACTOR = 1.0009765625


@dataclasses.dataclass(frozen=True)
class Workload:
    """One graph.

    Attributes:
        step: what is compiled, and run as it is for "eager".
        x: its input.
        held: the same in eager code, in buffers that are made once; None where there is no such thing.
        by_hand: the same as the best wrapper that a person would write for these kernels.
        lower_bound: the most bytes that live at once beyond the input, by the live ranges of the graph.
        train: whether a step is forward and backward.
    """

    name: str
    step: Step
    x: torch.Tensor
    held: Step | None = None
    by_hand: Step | None = None
    lower_bound: int | None = None
    train: bool = False


def all_workloads(device: str, names: list[str]) -> list[Workload]:
    """The workloads asked for, on ``device`` ("cpu" or "cuda")."""
    makers: dict[str, Callable[[], Workload]] = {
        "chain": lambda: chain("chain", 64, torch.randn(16, 1024, device=device)),
        "chain-200": lambda: chain("chain-200", 200, torch.randn(16, device=device)),
        "small": lambda: chain("small", 500, torch.randn(16, device=device)),
        "block-1": lambda: block(1, 16, device),
        "block-8": lambda: block(8, 16, device),
        "block-32": lambda: block(32, 16, device),
        "block-32-rows-2048": lambda: block(32, 2048, device),
        **{
            f"large-{mebibytes}MB": lambda m=mebibytes: large(m, device)  # type: ignore[misc]
            for mebibytes in (1, 16, 256, 1024)
        },
        "training": lambda: training(device),
    }
    return [makers[name]() for name in names or makers]


def chain(name: str, length: int, x: torch.Tensor) -> Workload:
    """``length`` calls of a one-output op, each on the last one's output: two buffers take turns."""
    scale, out = torch.ops.compat_shim_bench.scale.default, torch.ops.compat_shim_bench.scale.out
    buffers = [torch.empty_like(x) for _ in range(length)]
    size, stride, dtype = tuple(x.shape), x.stride(), x.dtype
    empty = torch._C._dynamo.guards._empty_strided_cuda if x.is_cuda else torch._C._dynamo.guards._empty_strided_cpu

    def step(x: torch.Tensor) -> torch.Tensor:
        for _ in range(length):
            x = scale(x, FACTOR)
        return x

    def held(x: torch.Tensor) -> torch.Tensor:
        for buffer in buffers:
            x = out(x, FACTOR, out=buffer)
        return x

    def by_hand(x: torch.Tensor) -> torch.Tensor:
        one = empty(size, stride, dtype)
        out(x, FACTOR, out=one)
        two = empty(size, stride, dtype)
        for _ in range(length - 1):
            out(one, FACTOR, out=two)
            one, two = two, one
        return one

    return Workload(name, step, x, held, by_hand, lower_bound=2 * x.numel() * x.element_size())


def block(layers: int, rows: int, device: str, width: int = 1024) -> Workload:
    """The demo's quantized block: layer norm, two-output quantize, linear, silu, residual."""
    model = Block(layers, width).to(device)
    suffix = "" if rows == 16 else f"-rows-{rows}"

    def step(x: torch.Tensor) -> object:
        return model(x)

    x = torch.randn(rows, width, device=device)
    return Workload(f"block-{layers}{suffix}", step, x, _block_in_held_buffers(model, x))


def _block_in_held_buffers(model: Block, x: torch.Tensor) -> Step:
    """Eager code that allocates nothing but the layer norm's result, of which torch has no out variant."""
    ops = torch.ops.compat_shim_demo
    quantize, linear, silu = ops.quantize_rows.out, ops.linear_dequant.out, torch.ops.aten.silu.out
    q, scale = torch.empty_like(x, dtype=torch.int8), x.new_empty((x.shape[0], 1))
    result, one, two = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x)

    def held(x: torch.Tensor) -> torch.Tensor:
        after, other = one, two
        for layer in model:
            quantize(torch.nn.functional.layer_norm(x, layer.gain.shape, layer.gain), q=q, scale=scale)
            linear(q, scale, layer.weight_q, layer.weight_scale, layer.bias, out=result)
            silu(result, out=result)
            torch.add(x, result, out=after)
            x, after, other = after, other, after
        return x

    return held


def large(mebibytes: int, device: str) -> Workload:
    """A two-output op and three calls on its outputs, each of ``mebibytes`` MiB."""
    halves, scale = torch.ops.compat_shim_bench.halves.default, torch.ops.compat_shim_bench.scale.default
    x = torch.randn(mebibytes << 18, device=device)

    def step(x: torch.Tensor) -> object:
        low, high = halves(x)
        return scale(scale(low, 3.0), 5.0), scale(high, 7.0)

    # low and high, then three while low or high turns into its successor.
    return Workload(f"large-{mebibytes}MB", step, x, lower_bound=3 * (mebibytes << 20))


def training(device: str) -> Workload:
    """Forward and backward of 16 calls with matrix products between them."""
    scale = torch.ops.compat_shim_bench.scale.default
    weights = [torch.randn(512, 512, device=device, requires_grad=True) for _ in range(16)]

    def step(x: torch.Tensor) -> torch.Tensor:
        for weight in weights:
            x = scale(x @ weight, 0.05)
        return x.sum()

    return Workload("training", step, torch.randn(64, 512, device=device), train=True)
