"""``python -m benchmarks.compiling``: compile time of a graph of 200 calls, and the time of a cache hit.

Stock torch and the shim take turns, each compile in an empty cache of its own; then each loads
what it has compiled from that cache.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from unittest import mock

import torch
import torch._inductor.compile_fx
from torch._dynamo.utils import counters

import compat_shim
from benchmarks import ops
from benchmarks.options import read
from benchmarks.workloads import chain

CALLS = 200


def main() -> None:
    """Print the ratios shim / stock, and keep the seconds as JSON."""
    options = read("compiling", __doc__, rounds=9)
    compat_shim.activate()
    library = ops.register()
    workload = chain("", CALLS, torch.randn(16, device=options.device))

    def seconds(shim: bool, folder: str) -> float:
        (compat_shim.activate if shim else compat_shim.deactivate)()
        torch._dynamo.reset()
        with (
            torch.no_grad(),
            torch._inductor.config.patch(fx_graph_cache=True),
            mock.patch.dict("os.environ", TORCHINDUCTOR_CACHE_DIR=folder),
        ):
            start = time.perf_counter()
            torch.compile(workload.step, fullgraph=True, dynamic=False)(workload.x)
            return time.perf_counter() - start

    found: dict[str, list[float]] = {f"{side} {what}": [] for side in ("stock", "shim") for what in ("cold", "hit")}
    for number in range(options.rounds + 1):
        for shim in (False, True) if number % 2 else (True, False):
            side = "shim" if shim else "stock"
            with tempfile.TemporaryDirectory() as folder:
                cold = seconds(shim, folder)
                counters.clear()
                hit = seconds(shim, folder)
                assert counters["inductor"]["fxgraph_cache_hit"] or counters["aot_autograd"]["autograd_cache_hit"]
            if number:  # the first round compiles what all others share
                found[f"{side} cold"].append(cold)
                found[f"{side} hit"].append(hit)
    compat_shim.activate()
    for what in ("cold", "hit"):
        print(f"{what}: {_ratio(found[f'shim {what}'], found[f'stock {what}'])}")
    if options.save:
        head = {"torch": torch.__version__, "device": options.device, "calls": CALLS}
        options.save.write_text(json.dumps({**head, "seconds": found}, indent=1) + "\n")
    del library


def _ratio(shim: list[float], stock: list[float]) -> str:
    ratios = [ours / theirs for ours, theirs in zip(shim, stock)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return (
        f"shim / stock {middle:.3f} (half of the rounds {low:.3f} to {high:.3f}), medians"
        f" {statistics.median(shim):.3f} and {statistics.median(stock):.3f} s"
    )


if __name__ == "__main__":
    main()
