"""``python -m benchmarks.compiling``: compile time of a graph, and the time of a cache hit.

Stock torch and the shim take turns, each compile in an empty cache of its own; then they take turns in
loading what they have compiled. What is measured is this process's processor time, which other
processes disturb little (nothing of these graphs is compiled in a worker). Each round compiles at another
depth of Python's stack (``deeper`` says why).
"""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any, TypeVar
from unittest import mock

import torch
import torch._inductor.compile_fx
from torch._dynamo.utils import counters

import compat_shim
from benchmarks import ops
from benchmarks.contenders import was_cache_hit
from benchmarks.options import read
from benchmarks.turns import turns
from benchmarks.workloads import Workload, chain
from compat_shim.out_variant.lowering import cache_key

CALLS = (20, 200)
HITS = 4  # a round
DEPTHS = range(0, 126, 9)  # frames; 16 KB of them
T = TypeVar("T")


def main() -> None:
    """Print the ratios shim / stock, and keep the seconds as JSON."""
    options = read("compiling", __doc__, rounds=len(DEPTHS))
    compat_shim.activate()
    library = ops.register()
    found: dict[str, Any] = {"torch": torch.__version__, "device": options.device}
    for calls in CALLS:
        workload = chain("", calls, torch.randn(16, device=options.device))
        found[f"{calls} calls"] = times = _measure(workload, options.rounds)
        for what in ("cold", "hit"):
            print(f"{calls} calls, {what}: {_ratio(times[f'shim {what}'], times[f'stock {what}'])}", flush=True)
    found["the key's part, ms"] = milliseconds = _milliseconds(cache_key.salt)
    print(f"the key's part: {milliseconds} ms")
    if options.save:
        options.save.write_text(json.dumps(found, indent=1) + "\n")
    del library


def _measure(workload: Workload, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {f"{side} {what}": [] for side in ("stock", "shim") for what in ("cold", "hit")}
    for number, order in enumerate(turns(("stock", "shim"), rounds + 1)):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            folders = {"stock": one, "shim": two}
            depth = DEPTHS[number % len(DEPTHS)]
            for side in order:
                cold = _compile_as(side, workload, folders[side], depth)
                if number:  # the first round compiles what all others share
                    found[f"{side} cold"].append(cold)
            for _ in range(HITS):
                for side in order:
                    counters.clear()
                    hit = _compile_as(side, workload, folders[side], depth)
                    assert was_cache_hit()
                    if number:
                        found[f"{side} hit"].append(hit)
    compat_shim.activate()
    return found


def _compile_as(side: str, workload: Workload, folder: str, depth: int) -> float:
    (compat_shim.activate if side == "shim" else compat_shim.deactivate)()
    return deeper(depth, lambda: compile_seconds(workload, folder))


def deeper(frames: int, call: Callable[[], T]) -> T:
    """``call()``, from that many more frames of Python's stack.

    CPython (3.11 on) keeps frames in chunks of 16 KB and gives a chunk back when its first frame ends, so
    a loop whose calls cross from one chunk to the next maps and faults memory at each. Which loops of a
    compile do depends on how deep in the stack it starts; its time differs by a quarter with that.
    """
    return call() if frames == 0 else deeper(frames - 1, call)


def compile_seconds(workload: Workload, folder: str) -> float:
    """Processor time of compiling and calling the workload's step once, with the cache in ``folder``."""
    torch._dynamo.reset()
    gc.collect()
    gc.disable()
    try:
        with (
            torch.no_grad(),
            torch._inductor.config.patch(fx_graph_cache=True),
            mock.patch.dict("os.environ", TORCHINDUCTOR_CACHE_DIR=folder),
        ):
            start = time.process_time()
            torch.compile(workload.step, fullgraph=True, dynamic=False)(workload.x)
            return time.process_time() - start
    finally:
        gc.enable()


def _milliseconds(function: Any) -> float:
    def once() -> float:
        start = time.process_time()
        function()
        return time.process_time() - start

    return round(statistics.median(once() for _ in range(50)) * 1e3, 3)


def _ratio(shim: list[float], stock: list[float]) -> str:
    ratios = [ours / theirs for ours, theirs in zip(shim, stock)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return (
        f"shim / stock {middle:.3f} (half of the rounds {low:.3f} to {high:.3f}), medians"
        f" {statistics.median(shim) * 1e3:.0f} and {statistics.median(stock) * 1e3:.0f} ms"
    )


if __name__ == "__main__":
    main()
