"""Compile, check, measure, print."""

from __future__ import annotations

import dataclasses
import textwrap

import torch

import compat_shim
from compat_shim.demo import measure, ops
from compat_shim.demo.block import CALLS_PER_LAYER, Block
from compat_shim.demo.checks import Reference, Result, check
from compat_shim.demo.contenders import Contender, compile_both
from compat_shim.demo.layer_code import layer_lines

WIDTH = 110


def run(layers: int, rows: int, width: int, steps: int) -> int:
    """Run the demo; returns its exit code: 0 if all is right with the shim, 1 if not."""
    was_active = compat_shim.is_active()
    compat_shim.activate()
    try:
        missing = _missing_features()
        for feature in missing:
            print(f"FAILED: feature {feature}; see python -m compat_shim status")
        if missing:
            return 1
        library = ops.register()
        try:
            with torch.no_grad():
                return _run(layers, rows, width, steps)
        finally:
            library._destroy()
    finally:
        if not was_active:
            compat_shim.deactivate()


def _missing_features() -> list[str]:
    # The features wait for these and decide now, and not before the shim is activated.
    import torch._inductor.compile_fx
    import torch._inductor.scheduler  # noqa: F401

    return [
        f"{feature.id} is {feature.verdict}: expected {feature.expected or 'it applied'}, found {feature.found or '-'}"
        for feature in compat_shim.status().features
        if not feature.good and feature.verdict != "PENDING"
    ]


def _run(layers: int, rows: int, width: int, steps: int) -> int:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    block = Block(layers, width).to(device)
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(1)).to(device)
    reference = Reference.eager(block, x)
    contenders = compile_both(block, x)
    # From here on nothing may compile: it would be by whichever side is active now.
    with torch._dynamo.config.patch(error_on_recompile=True):
        results = [check(contender, block, reference) for contender in contenders]
        costs = _measure(contenders, results, x, steps)
    total = layers * CALLS_PER_LAYER
    _print_head(device, layers, rows, width)
    _print_checks(contenders, results, reference, total)
    _print_costs(costs, steps)
    _print_code(contenders, layers)
    return _print_verdict(contenders, results, total)


def _print_head(device: str, layers: int, rows: int, width: int) -> None:
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    features = ", ".join(f"{feature.id} {feature.verdict}" for feature in compat_shim.status().features)
    print(f"torch     {torch.__version__} on {where}")
    print(f"features  {features}")
    print(f"block     {layers} layers of norm, quantize_rows, linear_dequant, silu, residual; {rows} rows of {width}\n")


def _print_checks(
    contenders: tuple[Contender, Contender], results: list[Result], reference: Reference, total: int
) -> None:
    _row("", [contender.name for contender in contenders])
    _row("calls of an out variant", [f"{contender.out_calls} of {total}" for contender in contenders])
    _row("lowered by the shim", ["-", f"{contenders[1].counted.get('lowered', 0)} of {total}"])
    _row("declined by the shim", ["-", ", ".join(_declines(contenders[1])) or "none"])
    _row("ops alone, against eager", [_bits(result) for result in results])
    _row(f"block, against eager (+-{reference.tolerance:.2g})", [_accuracy(result) for result in results])
    outputs = [result.output for result in results]
    if outputs[0] is not None and outputs[1] is not None:
        _row("block, against stock", ["-", "equal bits" if torch.equal(*outputs) else "other bits"])


def _bits(result: Result) -> str:
    if result.output is None:
        return "FAILED"
    return "equal bits" if result.same_bits else "WRONG"


def _accuracy(result: Result) -> str:
    if result.output is None:
        return "FAILED"
    return f"off by {result.worst:.2g}" + (" WRONG" if result.problems else "")


@dataclasses.dataclass(frozen=True)
class _Costs:
    """Of the contenders that ran; times only where both did."""

    memories: list[measure.Memory | None]
    times: measure.Times | None


def _measure(contenders: tuple[Contender, Contender], results: list[Result], x: torch.Tensor, steps: int) -> _Costs:
    memories = [
        None if result.output is None else measure.memory(contender.step, x)
        for contender, result in zip(contenders, results)
    ]
    both = None not in memories
    return _Costs(memories, measure.paired_times(contenders[0].step, contenders[1].step, x, steps) if both else None)


def _print_costs(costs: _Costs, steps: int) -> None:
    _row("allocations per step", [f"{memory.allocations}" if memory else "-" for memory in costs.memories])
    _row("peak bytes of a step", [f"{memory.peak:,}" if memory else "-" for memory in costs.memories])
    if costs.times is not None:
        low, middle, high = costs.times.ratios
        _row("median time of a step", [f"{costs.times.first * 1e3:.3f} ms", f"{costs.times.second * 1e3:.3f} ms"])
        _row(f"shim / stock, {steps} pairs", ["-", f"{middle:.3f} (half of them {low:.3f} to {high:.3f})"])


def _print_code(contenders: tuple[Contender, Contender], layers: int) -> None:
    layer = min(1, layers - 1)  # the second, if there is one: its buffers come from the first
    for contender in contenders:
        title = f"--- generated code of layer {layer + 1} of {layers}, {contender.name} (trimmed) "
        print(f"\n{title:-<{WIDTH}}")
        print("\n".join(layer_lines(contender.code, layer, WIDTH)) or "(none)")


def _print_verdict(contenders: tuple[Contender, Contender], results: list[Result], total: int) -> int:
    print()
    for problem in results[0].problems:
        print(textwrap.fill(f"note: {contenders[0].name} fails here by itself: {problem}", WIDTH))
    problems = [*results[1].problems, *lowering_problems(contenders[1], total)]
    for problem in problems:
        print(textwrap.fill(f"FAILED: {problem}", WIDTH))
    if not problems:
        print(f"OK: with the shim all {total} quantization calls write into Inductor's buffers, with eager's results")
    return 1 if problems else 0


def lowering_problems(shimmed: Contender, total: int) -> list[str]:
    """What is wrong with how the shim lowered ``total`` calls, in words; empty if nothing."""
    lowered, out_calls = shimmed.counted.get("lowered", 0), shimmed.out_calls
    problems = [f"a call was declined: {reason}" for reason in _declines(shimmed)]
    if lowered != total or out_calls != total:
        problems.append(
            f"expected {total} lowered quantization calls, found {lowered} that the shim lowered and"
            f" {out_calls} of out variants in the code"
        )
    return problems


def _declines(contender: Contender) -> list[str]:
    prefix = "declined: "
    return [
        f"{event.removeprefix(prefix)} ({count})"
        for event, count in contender.counted.items()
        if event.startswith(prefix)
    ]


def _row(label: str, cells: list[str]) -> None:
    print(f"{label:<36}{cells[0]:<37}{cells[1]}".rstrip())
