"""What a step costs: allocations, peak bytes, and time against the other contenders."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Mapping

import torch
from torch.autograd import _disable_profiler_legacy, _enable_profiler_legacy, profiler_legacy

Step = Callable[[torch.Tensor], torch.Tensor]
WARM_UP = 10  # rounds: of torch 2.15's first calls each looks for aliases
MOST_SECONDS = 30.0


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
    # Not the profiler of today: Kineto, below it, prints an error where there is no GPU.
    _enable_profiler_legacy(profiler_legacy.profile(profile_memory=True).config())
    try:
        step(x)
    finally:
        threads = _disable_profiler_legacy()
    changes = [event.cpu_memory_usage() for events in threads for event in events if event.kind() == "memory_alloc"]
    held = peak = 0
    for change in changes:
        held += change
        peak = max(peak, held)
    return Memory(sum(change > 0 for change in changes), peak)


def step_times(steps: Mapping[str, Step], x: torch.Tensor, rounds: int) -> dict[str, list[float]]:
    """Time contenders in turn, in another random order each round.

    So whatever else the machine does then falls on all alike.

    Args:
        steps: compiled blocks by name.
        x: float32, (rows, width).
        rounds: timed steps of each; fewer where these take longer than ``MOST_SECONDS``.

    Returns:
        The seconds of each contender, a value a round.
    """
    order, times = list(steps), {name: list[float]() for name in steps}
    shuffle = random.Random(0).shuffle
    begin = time.perf_counter()
    for number in range(-min(WARM_UP, rounds), rounds):
        shuffle(order)
        for name in order:
            seconds = step_time(steps[name], x)
            if number >= 0:
                times[name].append(seconds)
        if number >= 0 and time.perf_counter() - begin > MOST_SECONDS:
            break
    return times


def step_time(step: Step, x: torch.Tensor) -> float:
    """Seconds that one step takes, the device's work included."""
    start = time.perf_counter()
    step(x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start
