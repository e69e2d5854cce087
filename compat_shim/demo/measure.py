"""What a step costs: allocations, peak bytes, and time against the other contender."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable

import torch
from torch.autograd.profiler import profile

Step = Callable[[torch.Tensor], torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Memory:
    """Tensor memory of one step: allocations, and the most bytes held at once beyond its input."""

    allocations: int
    peak: int


def memory(step: Step, x: torch.Tensor) -> Memory:
    """Measure one step that has run before.

    Every allocation counts, whoever makes it: buffers, what a fallback returns, a kernel's scratch.

    Args:
        step: a compiled block.
        x: float32, (rows, width), on the CPU or CUDA.
    """
    return _memory_cuda(step, x) if x.is_cuda else _memory_cpu(step, x)


def _memory_cuda(step: Step, x: torch.Tensor) -> Memory:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    count = "allocation.all.allocated"
    held, before = torch.cuda.memory_allocated(), torch.cuda.memory_stats()[count]
    step(x)
    torch.cuda.synchronize()
    return Memory(torch.cuda.memory_stats()[count] - before, torch.cuda.max_memory_allocated() - held)


def _memory_cpu(step: Step, x: torch.Tensor) -> Memory:
    with profile(profile_memory=True) as profiler:
        step(x)
    changes = [event.nbytes() for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for change in changes:
        held += change
        peak = max(peak, held)
    return Memory(sum(change > 0 for change in changes), peak)


@dataclasses.dataclass(frozen=True)
class Times:
    """Medians in seconds of each contender, and quartiles of the ratios second / first of the pairs."""

    first: float
    second: float
    ratios: tuple[float, float, float]


def paired_times(first: Step, second: Step, x: torch.Tensor, steps: int) -> Times:
    """Time two contenders step by step in turn, the order changing with each pair.

    Whatever else the machine does then falls on both alike.

    Args:
        first, second: compiled blocks.
        x: float32, (rows, width).
        steps: timed steps of each.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for index in range(steps):
        for side in (0, 1) if index % 2 == 0 else (1, 0):
            times[side].append(step_time(second if side else first, x))
    ratios = [later / earlier for earlier, later in zip(*times)]
    low, middle, high = statistics.quantiles(ratios, n=4) if steps > 1 else ratios * 3
    return Times(statistics.median(times[0]), statistics.median(times[1]), (low, middle, high))


def step_time(step: Step, x: torch.Tensor) -> float:
    """Seconds that one step takes, the device's work included."""
    start = time.perf_counter()
    step(x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start
