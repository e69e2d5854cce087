"""``python -m benchmarks.overhead``: where the microseconds of a call in the generated wrapper go.

A chain of calls is run in forms that differ in one thing each, taking turns; the difference of two
neighbours is what that thing costs:

- ``kernel``: what the out variant's kernel does, called by itself
- ``+ dispatcher``: through the overload's function in C++, bound once
- ``+ wrapper``: the generated wrapper's ``call``, which allocates, reuses and deletes
- ``+ runtime``: the compiled function, with Dynamo's guards and AOTAutograd's runtime
- ``overload``: as ``+ dispatcher``, with the overload's Python frame around the function in C++
- ``look-ups``: as ``overload``, with ``torch.ops.ns.op.out`` looked up for each call
- ``stock wrapper``, ``stock``: as ``+ wrapper`` and ``+ runtime``, of stock torch's fallback
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable

import torch
import torch._inductor.compile_fx

import compat_shim
from benchmarks import ops
from benchmarks.contenders import SHIM, STOCK, call_of, contenders
from benchmarks.options import read
from benchmarks.turns import turns
from benchmarks.workloads import FACTOR, Step, chain
from compat_shim.demo.measure import step_time

CALLS = 200


def main() -> None:
    """Print the microseconds of a call, and keep them as JSON."""
    options = read("overhead", __doc__, rounds=200)
    compat_shim.activate()
    library = ops.register()
    x = torch.randn(16, device=options.device)
    with torch.no_grad():
        steps = _steps(x)
        for step in steps.values():
            for _ in range(5):
                step_time(step, x)
        times: dict[str, list[float]] = {name: [] for name in steps}
        for order in turns(list(steps), options.rounds):
            for name in order:
                times[name].append(step_time(steps[name], x) * 1e6 / CALLS)
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    print(f"microseconds a call, {CALLS} calls a step, torch {torch.__version__} on {options.device}")
    before = 0.0
    for name, median in medians.items():
        more = f"{median - before:+8.3f}" if name.startswith(("kernel", "+")) else ""
        print(f"  {name:16}{median:9.3f} {more}")
        before = median
    if options.save:
        head = {"torch": torch.__version__, "device": options.device, "calls": CALLS}
        options.save.write_text(json.dumps({**head, "microseconds": medians}, indent=1) + "\n")
    del library


def _steps(x: torch.Tensor) -> dict[str, Step]:
    workload = chain("", CALLS, x)
    found = {contender.name: contender for contender in contenders(workload, reduce_overhead=False)}
    out = torch.ops.compat_shim_bench.scale.out
    one, two = torch.empty_like(x), torch.empty_like(x)

    def through(call: Callable[..., object]) -> Step:
        def chained(x: torch.Tensor) -> None:
            a, b = one, two
            for _ in range(CALLS):
                call(a, FACTOR, out=b)
                a, b = b, a

        return chained

    def look_ups(x: torch.Tensor) -> None:
        a, b = one, two
        for _ in range(CALLS):
            torch.ops.compat_shim_bench.scale.out(a, FACTOR, out=b)
            a, b = b, a

    return {
        "kernel": through(ops._scale_out),
        "+ dispatcher": through(out._op),
        "+ wrapper": call_of(found[SHIM].code),
        "+ runtime": found[SHIM].run,
        "overload": through(out),
        "look-ups": look_ups,
        "stock wrapper": call_of(found[STOCK].code),
        "stock": found[STOCK].run,
    }


if __name__ == "__main__":
    main()
