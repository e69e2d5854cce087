"""``python -m benchmarks``: run workloads with all contenders, print a table, keep the figures as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch
import torch._inductor.compile_fx

import compat_shim
from benchmarks import ops
from benchmarks.contenders import contenders
from benchmarks.measure import Figures, figures
from benchmarks.workloads import all_workloads

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Returns 1 if the shim failed on a workload."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", help="by default all")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--rounds", type=int, default=150, help="timed steps of each contender, run twice (default 150)"
    )
    parser.add_argument("--save", metavar="NAME", help="write results/NAME.json (or NAME.json, if it is a path)")
    options = parser.parse_args()

    from compat_shim.demo import ops as demo_ops

    compat_shim.activate()
    libraries = [ops.register(), demo_ops.register()]
    head = {
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "device": torch.cuda.get_device_name()
        if options.device == "cuda"
        else f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "compat_shim": compat_shim.__version__,
        "rounds": options.rounds,
    }
    print(" | ".join(f"{name}: {value}" for name, value in head.items()), flush=True)
    with torch.no_grad():  # what every first compile of a process pays falls on none of them
        contenders(all_workloads(options.device, ["block-1"])[0], reduce_overhead=False)
    results: list[dict[str, Any]] = []
    failed = False
    for workload in all_workloads(options.device, options.workloads):
        torch._dynamo.reset()
        with torch.set_grad_enabled(workload.train):
            measured = figures(contenders(workload, options.device == "cuda"), workload.x, options.rounds)
        failed |= any(one.error and one.name.startswith("shim") for one in measured)
        print(table(workload.name, workload.lower_bound, measured), flush=True)
        results.append(
            {
                "workload": workload.name,
                "lower_bound": workload.lower_bound,
                "contenders": [dataclasses.asdict(one) for one in measured],
            }
        )
        if options.save:
            (RESULTS / f"{options.save}.json").write_text(json.dumps({**head, "results": results}, indent=1) + "\n")
        if options.device == "cuda":
            torch.cuda.empty_cache()
    del libraries
    return int(failed)


def table(name: str, lower_bound: int | None, measured: list[Figures]) -> str:
    """The figures of one workload, aligned."""
    bound = f", live ranges need {lower_bound:,} bytes" if lower_bound is not None else ""
    lines = [
        f"\n{name}{bound}",
        f"  {'':32}{'ms':>9} {'ratio':>7} {'quartiles':>15} {'again':>7} {'allocs':>7} {'peak bytes':>15}"
        f" {'live ranges':>15} {'lines':>6} {'compile s':>9} {'hit s':>6}",
    ]
    for one in measured:
        if one.error:
            lines.append(f"  {one.name:32}{one.error}")
            continue
        low, middle, high = one.ratio
        lines.append(
            f"  {one.name:32}{one.median_ms:9.3f} {middle:7.3f} {f'{low:.3f} - {high:.3f}':>15} {one.again:7.3f}"
            f" {one.allocations:7} {one.peak:15,} {f'{one.bound:,}' if one.bound else '':>15} {one.lines or '':>6}"
            f" {one.compile_s:9.2f} {one.hit_s:6.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
