"""The table of what the shim changes, a column a contender: what is right, and what a step costs."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable

import torch

from compat_shim.demo import measure
from compat_shim.demo.checks import Reference, Result
from compat_shim.demo.contenders import Contender
from compat_shim.demo.layer_code import call_lines


@dataclasses.dataclass(frozen=True)
class Costs:
    """Of one contender that ran.

    Attributes:
        ratios: its steps' times, each divided by stock torch's of the same round; empty where stock torch did not run.
    """

    memory: measure.Memory
    seconds: list[float]
    ratios: list[float]


def measure_costs(
    contenders: list[Contender], results: list[Result], x: torch.Tensor, rounds: int
) -> list[Costs | None]:
    """Measure the contenders that ran; None for the others.

    Args:
        contenders: stock torch first.
        results: of the contenders.
        x: float32, (rows, width).
        rounds: timed steps of each.
    """
    steps = {
        contender.name: contender.step for contender, result in zip(contenders, results) if result.output is not None
    }
    times = measure.step_times(steps, x, rounds)
    stock = times.get(contenders[0].name, [])
    return [
        Costs(
            measure.memory(contender.step, x),
            times[contender.name],
            [mine / theirs for mine, theirs in zip(times[contender.name], stock)],
        )
        if contender.name in times
        else None
        for contender in contenders
    ]


def print_checks(contenders: list[Contender], results: list[Result], reference: Reference, total: int) -> None:
    """The rows of who calls what, and of what is right."""
    stock = results[0].output
    _row("", [contender.name for contender in contenders])
    _row("calls of an out variant", [f"{contender.out_calls} of {total}" for contender in contenders])
    _row("ops alone, against eager", map(_bits, results))
    _row(f"block, against eager (+-{reference.tolerance:.2g})", map(_accuracy, results))
    _row("block, against stock torch", ["-", *(_equal(stock, result.output) for result in results[1:])])


def _bits(result: Result) -> str:
    if result.output is None:
        return "FAILED"
    return "equal bits" if result.same_bits else "WRONG"


def _accuracy(result: Result) -> str:
    if result.output is None:
        return "FAILED"
    return f"off by {result.worst:.2g}" + (" WRONG" if result.problems else "")


def _equal(stock: torch.Tensor | None, output: torch.Tensor | None) -> str:
    if stock is None or output is None:
        return "-"
    return "equal bits" if torch.equal(stock, output) else "other bits"


def print_costs(contenders: list[Contender], costs: list[Costs | None]) -> None:
    """The rows of time, memory and code."""
    _row("time of a step (median)", [_milliseconds(cost) for cost in costs])
    _row("  divided by stock torch's", [_middle(cost) for cost in costs])
    _row("  in ten parts of the run", [_parts(cost) for cost in costs])
    _row("allocations in a step", [f"{cost.memory.allocations}" if cost else "-" for cost in costs])
    _row("most bytes held in a step", [f"{cost.memory.peak:,}" if cost else "-" for cost in costs])
    codes = [call_lines(contender.code) for contender in contenders]
    _row("buffers that are reused", [f"{sum('# reuse' in line for line in code)}" for code in codes])
    _row("lines of the generated wrapper", [f"{len(code)}" for code in codes])
    if None not in costs:
        print(
            "\nThe first two columns are the same program compiled twice: what their times differ by is noise."
            "\nCalls that have more to compute gain less, for example with --rows 1000."
        )


def _milliseconds(cost: Costs | None) -> str:
    return f"{statistics.median(cost.seconds) * 1e3:.3f} ms" if cost else "-"


def _middle(cost: Costs | None) -> str:
    return f"{statistics.median(cost.ratios):.2f}" if cost and cost.ratios else "-"


def _parts(cost: Costs | None) -> str:
    """How far the median of a tenth of the rounds is from that of another."""
    if not cost or not cost.ratios:
        return "-"
    size = -(-len(cost.ratios) // 10)
    medians = [statistics.median(cost.ratios[start : start + size]) for start in range(0, len(cost.ratios), size)]
    return f"{min(medians):.2f} to {max(medians):.2f}"


def _row(label: str, cells: Iterable[str]) -> None:
    print(f"{label:<36}{''.join(f'{cell:<24}' for cell in cells)}".rstrip())
