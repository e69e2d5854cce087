"""``python -m benchmarks.releases [NAME=]PYTHON...``: the shim on one release against others and their own lowering.

Each argument is an interpreter with its own torch: ``shim=path/to/python`` compiles with the shim,
``native=...`` and ``stock=...`` without it. They cannot share a process, so each has one that waits for
commands; they take turns, some steps each, in an order that changes. What differs between two
processes for other reasons stays in the figures: the whole is done with ``--processes`` sets of them.
Ratios are to the first argument.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.turns import turns

ROOT = Path(__file__).parent.parent


class Worker:
    """A process with one contender; ``ask(command, ...)`` returns the seconds that it measured."""

    def __init__(self, argument: str, workload: str) -> None:
        self.side, _, self.python = argument.rpartition("=")
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
        # By default glibc gives the heap's top back where a step's last free happens to be there, and
        # each page of it faults again in the next: up to twice the step's time, in any contender.
        environ |= {"MALLOC_TRIM_THRESHOLD_": str(1 << 33), "MALLOC_MMAP_THRESHOLD_": str(1 << 33)}
        if self.side != "shim":
            environ["COMPAT_SHIM"] = "off"
        command = [self.python, "-W", "ignore", "-m", "benchmarks.worker", workload]
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        about = self._answer()
        self.name = f"{about['torch'].partition('+')[0]} {self.side}"
        self.out_calls: int = about["out_calls"]

    def ask(self, *command: str | int) -> list[float]:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, command)) + "\n")
        self._process.stdin.flush()
        return self._answer()["seconds"]  # type: ignore[no-any-return]

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.python} ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Print the ratios, and keep the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.releases", description=__doc__)
    parser.add_argument("pythons", nargs="+", metavar="SIDE=PYTHON")
    parser.add_argument("--workloads", nargs="+", default=["chain", "small", "large-1MB", "large-16MB"])
    parser.add_argument("--what", choices=("step", "cold", "hit"), nargs="+", default=["step"])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--processes", type=int, default=3, help="how often the processes are made anew (default 3)")
    parser.add_argument("--save", metavar="FILE", type=Path)
    options = parser.parse_args()
    results = []
    for workload in options.workloads:
        for what in options.what:
            measured = _measure(options, workload, what)
            for name, figures in measured.items():
                print(f"{workload:12} {what:5} {name:16} {figures}", flush=True)
            results.append({"workload": workload, "what": what, "contenders": measured})
    if options.save:
        head = {"command": " ".join(["python -m benchmarks.releases", *sys.argv[1:]]), "rounds": options.rounds}
        options.save.write_text(json.dumps({**head, "results": results}, indent=1) + "\n")


def _measure(options: argparse.Namespace, workload: str, what: str) -> dict[str, dict[str, Any]]:
    times: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    calls: dict[str, int] = {}
    for _ in range(options.processes):
        workers = [Worker(argument, workload) for argument in options.pythons]
        rows: list[dict[str, float]] = []
        for order in turns(workers, options.rounds):
            rows.append({one.name: statistics.median(one.ask(what, 20 if what == "step" else 1)) for one in order})
        first = workers[0].name
        for worker in workers:
            calls[worker.name] = worker.out_calls
            times.setdefault(worker.name, []).append(statistics.median(row[worker.name] for row in rows) * 1e3)
            of_rows = [row[worker.name] / row[first] for row in rows]
            ratios.setdefault(worker.name, []).append(round(statistics.median(of_rows), 3))
            worker.close()
    return {
        name: {
            "ms": round(statistics.median(times[name]), 3),
            "ratio": statistics.median(ratios[name]),
            "of each set": ratios[name],
            "out calls": calls[name],
        }
        for name in times
    }


if __name__ == "__main__":
    main()
