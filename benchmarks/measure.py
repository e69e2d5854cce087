"""Paired times: every contender runs one step in turn, in an order that changes each round."""

from __future__ import annotations

import dataclasses
import re
import statistics

import torch

from benchmarks.contenders import STOCK, Contender
from benchmarks.live_ranges import lower_bound
from benchmarks.turns import turns
from compat_shim.demo.measure import memory, step_time

_LINE = re.compile(r"^(?!\s*(?:assert_|\(?compat_shim_first_)).*\S", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Figures:
    """Of one contender on one workload.

    Attributes:
        median_ms: of a step.
        ratio: median of the rounds' ratios to stock's fallback, with the quartiles.
        again: the same ratio when the whole was repeated.
        allocations, peak: of a step; bytes beyond the input.
        bound: bytes that the generated wrapper needs by the live ranges of its buffers; 0 where there is no such code.
        lines: of the generated wrapper that are not blank, without asserts, of which torch 2.6 has fewer.
        compile_s, hit_s: seconds to compile it in an empty cache, and again from that cache.
    """

    name: str
    median_ms: float
    ratio: tuple[float, float, float]
    again: float
    allocations: int
    peak: int
    bound: int
    lines: int
    compile_s: float
    hit_s: float
    error: str = ""


def figures(found: list[Contender], x: torch.Tensor, rounds: int) -> list[Figures]:
    """Measure the contenders that run; the others keep their error."""
    running = [contender for contender in found if not contender.error]
    for contender in running:
        for _ in range(5):
            step_time(contender.run, x)
    first, second = _rounds(running, x, rounds), _rounds(running, x, rounds)
    names = [contender.name for contender in running]
    stock = names.index(STOCK)
    measured = []
    for index, contender in enumerate(running):
        ratios = [row[index] / row[stock] for row in first]
        again = statistics.median(row[index] / row[stock] for row in second)
        use = memory(contender.run, x)  # type: ignore[arg-type]
        quartiles = tuple(round(value, 4) for value in statistics.quantiles(ratios, n=4))
        measured.append(
            Figures(
                contender.name,
                round(statistics.median(row[index] for row in first) * 1e3, 4),
                (quartiles[0], quartiles[1], quartiles[2]),
                round(again, 4),
                use.allocations,
                use.peak,
                lower_bound(contender.code) or 0,
                len(_LINE.findall(contender.code)),
                round(contender.compile_s, 3),
                round(contender.hit_s, 3),
            )
        )
    failed = [
        Figures(contender.name, 0.0, (0.0, 0.0, 0.0), 0.0, 0, 0, 0, 0, 0.0, 0.0, contender.error)
        for contender in found
        if contender.error
    ]
    return measured + failed


def _rounds(running: list[Contender], x: torch.Tensor, rounds: int) -> list[list[float]]:
    """One row a round: each contender's seconds."""
    rows = []
    for order in turns(range(len(running)), rounds):
        row = [0.0] * len(running)
        for index in order:
            row[index] = step_time(running[index].run, x)
        rows.append(row)
    return rows
