"""Steps that take turns: their times, and the ratios to one of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from benchmarks.turns import turns
from compat_shim.demo.measure import step_time

Step = Callable[[torch.Tensor], torch.Tensor]


def times(steps: dict[str, Step], x: torch.Tensor, rounds: int) -> dict[str, list[float]]:
    """Seconds that each step took in each round, in orders that follow each other equally often."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for order in turns(list(steps), rounds):
        for name in order:
            found[name].append(step_time(steps[name], x))
    return found


def quartiles(found: dict[str, list[float]], name: str, base: str) -> tuple[float, float, float]:
    """Of the rounds' ratios of one step to another: the lower, the median and the upper."""
    low, middle, high = statistics.quantiles([mine / other for mine, other in zip(found[name], found[base])], n=4)
    return low, middle, high
