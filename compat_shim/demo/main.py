"""Compile, check, measure, print."""

from __future__ import annotations

import textwrap

import torch

import compat_shim
from compat_shim.demo import ops, table
from compat_shim.demo.block import CALLS_PER_LAYER, Block
from compat_shim.demo.checks import Reference, Result, check
from compat_shim.demo.contenders import Contender, compile_all
from compat_shim.demo.layer_code import layer_lines
from compat_shim.demo.progress import Progress

WIDTH = 100


def run(layers: int, rows: int, width: int, steps: int) -> int:
    """Run the demo; returns its exit code: 0 if all is right with the shim, 1 if not."""
    was_active, threads = compat_shim.is_active(), torch.get_num_threads()
    compat_shim.activate()
    torch.set_num_threads(1)  # a small step has no work for two, and waits where the other core is busy
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
        torch.set_num_threads(threads)
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
    say = Progress().say
    device = "cuda" if torch.cuda.is_available() else "cpu"
    _print_head(device, layers, rows, width)
    block = Block(layers, width).to(device)
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(1)).to(device)
    reference = Reference.eager(block, x)
    contenders = compile_all(block, x, say)
    # From here on nothing may compile: it would be by whichever side is active now.
    with torch._dynamo.config.patch(error_on_recompile=True):
        results = [check(contender, block, reference) for contender in contenders]
        say(f"running: {steps} steps of each in turn")
        costs = table.measure_costs(contenders, results, x, steps)
    total = layers * CALLS_PER_LAYER
    table.print_checks(contenders, results, reference, total)
    table.print_costs(contenders, costs)
    _print_code([contenders[0], contenders[-1]], layers)
    return _print_verdict(contenders, results, total)


def _print_head(device: str, layers: int, rows: int, width: int) -> None:
    where = torch.cuda.get_device_name() if device == "cuda" else "CPU, 1 thread"
    features = ", ".join(f"{feature.id} {feature.verdict}" for feature in compat_shim.status().features)
    print(f"torch     {torch.__version__} on {where}")
    print(f"features  {features}")
    print(f"block     {layers} layers of norm, quantize_rows, linear_dequant, silu, residual; {rows} rows of {width}")
    print(flush=True)


def _print_code(contenders: list[Contender], layers: int) -> None:
    layer = min(1, layers - 1)  # the second, if there is one: its buffers come from the first
    for contender in contenders:
        title = f"--- generated code of layer {layer + 1} of {layers}, {contender.name} (without asserts) "
        print(f"\n{title:-<{WIDTH}}")
        print("\n".join(layer_lines(contender.code, layer, WIDTH)) or "(none)")


def _print_verdict(contenders: list[Contender], results: list[Result], total: int) -> int:
    print()
    for problem in results[0].problems:
        print(textwrap.fill(f"note: {contenders[0].name} fails here by itself: {problem}", WIDTH))
    problems = [*results[-1].problems, *lowering_problems(contenders[-1], total)]
    for problem in problems:
        print(textwrap.fill(f"FAILED: {problem}", WIDTH))
    if not problems:
        print(f"OK: with the shim all {total} quantization calls write into Inductor's buffers, with eager's results")
    return 1 if problems else 0


def lowering_problems(shimmed: Contender, total: int) -> list[str]:
    """What is wrong with how the shim lowered ``total`` calls, in words; empty if nothing."""
    lowered, out_calls = shimmed.counted.get("lowered", 0), shimmed.out_calls
    prefix = "declined: "
    problems = [
        f"a call was declined: {event.removeprefix(prefix)} ({count})"
        for event, count in shimmed.counted.items()
        if event.startswith(prefix)
    ]
    if lowered != total or out_calls != total:
        problems.append(
            f"expected {total} lowered quantization calls, found {lowered} that the shim lowered and"
            f" {out_calls} of out variants in the code"
        )
    return problems
