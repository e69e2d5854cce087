"""Compile, check, measure, print."""

from __future__ import annotations

import sys

import torch

import compat_shim
from compat_shim.demo import measure, ops
from compat_shim.demo.block import CALLS_PER_LAYER, Block
from compat_shim.demo.checks import Reference, Result, check
from compat_shim.demo.contenders import Contender, compile_both
from compat_shim.demo.listing import layer_lines

WIDTH = 110


def run(layers: int, rows: int, width: int, steps: int) -> int:
    """Run the demo; returns its exit code: 0 if all is right with the shim, 1 if not."""
    was_active = compat_shim.is_active()
    compat_shim.activate()
    try:
        library = ops.register()
    except AttributeError as error:
        print(f"FAILED: the ops cannot be tagged ({error}); see python -m compat_shim status", file=sys.stderr)
        return 1
    try:
        with torch.no_grad():
            return _run(layers, rows, width, steps)
    finally:
        library._destroy()
        if not was_active:
            compat_shim.deactivate()


def _run(layers: int, rows: int, width: int, steps: int) -> int:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    block = Block(layers, width).to(device)
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(1)).to(device)
    reference = Reference.eager(block, x)
    contenders = compile_both(block, x)
    # From here on nothing may compile: it would be by whichever side is active now.
    with torch._dynamo.config.patch(error_on_recompile=True):
        results = [check(contender, block, reference) for contender in contenders]
        _print_head(device, layers, rows, width)
        _print_checks(contenders, results, reference, layers * CALLS_PER_LAYER)
        _print_costs(contenders, results, x, steps)
    _print_code(contenders, layers)
    return _print_verdict(contenders, results, layers * CALLS_PER_LAYER)


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


def _print_costs(contenders: tuple[Contender, Contender], results: list[Result], x: torch.Tensor, steps: int) -> None:
    memories = [
        None if result.output is None else measure.memory(contender.step, x)
        for contender, result in zip(contenders, results)
    ]
    _row("allocations per step", [f"{memory.allocations}" if memory else "-" for memory in memories])
    _row("peak bytes of a step", [f"{memory.peak:,}" if memory else "-" for memory in memories])
    if None not in memories:
        times = measure.paired_times(contenders[0].step, contenders[1].step, x, steps)
        low, middle, high = times.ratios
        _row("median time of a step", [f"{times.first * 1e3:.3f} ms", f"{times.second * 1e3:.3f} ms"])
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
        print(f"note: {contenders[0].name} fails here by itself: {problem}")
    problems = list(results[1].problems)
    lowered = contenders[1].counted.get("lowered", 0)
    if lowered != total or contenders[1].out_calls != total:
        problems.append(
            f"the shim lowered {lowered} of {total} quantization calls, and the code has"
            f" {contenders[1].out_calls} calls of out variants"
        )
    problems += [f"a call was declined: {reason}" for reason in _declines(contenders[1])]
    for problem in problems:
        print(f"FAILED: {problem}")
    if not problems:
        print(f"OK: with the shim all {total} quantization calls write into Inductor's buffers, with eager's results")
    return 1 if problems else 0


def _declines(contender: Contender) -> list[str]:
    prefix = "declined: "
    return [
        f"{event.removeprefix(prefix)} ({count})"
        for event, count in contender.counted.items()
        if event.startswith(prefix)
    ]


def _row(label: str, cells: list[str]) -> None:
    print(f"{label:<36}{cells[0]:<37}{cells[1]}".rstrip())
