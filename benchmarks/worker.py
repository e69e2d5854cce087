"""``python -m benchmarks.worker WORKLOAD``: one contender of ``benchmarks.releases``, which waits for commands.

``step N``, ``cold N`` and ``hit N`` measure N steps, compiles in an empty cache, or cache hits; the answer
is a line of JSON with the seconds. Compiling is measured in processor time, each command at another depth
of the stack.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import tempfile
from unittest import mock

import compat_shim

import torch  # isort: skip
import torch._inductor.compile_fx
from torch._inductor.graph import GraphLowering

from benchmarks import ops
from benchmarks.compiling import DEPTHS, compile_seconds, deeper
from benchmarks.workloads import Step, Workload, all_workloads
from compat_shim.demo.measure import step_time
from compat_shim.out_variant.lowering.generated_code import spelled_out


def main() -> None:
    """Serve until stdin ends."""
    torch.set_num_threads(1)
    # Torch's own lowering asks for the first from 2.13 on, in 2.12 for the second.
    library = ops.register(("out_variant",) if compat_shim.status().active else ("out", "out_variant"))
    (workload,) = all_workloads("cpu", sys.argv[1:2])
    code: list[str] = []
    with torch.no_grad(), tempfile.TemporaryDirectory() as warm:
        step = torch.compile(workload.step, fullgraph=True, dynamic=False)
        with (
            mock.patch.object(GraphLowering, "save_output_code", code.append),
            mock.patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=warm),
        ):
            step(workload.x)
        out_calls = len(re.findall(r"torch\.ops\.\w+\.\w+\.out\(", spelled_out("".join(code))))
        print(json.dumps({"torch": torch.__version__, "out_calls": out_calls}), flush=True)
        for number, line in enumerate(sys.stdin):
            what, _, count = line.partition(" ")
            depth = DEPTHS[number % len(DEPTHS)] if what != "step" else 0
            once = functools.partial(_seconds, what, workload, step, warm)
            seconds = [deeper(depth, once) for _ in range(int(count))]
            print(json.dumps({"seconds": seconds}), flush=True)
    del library


def _seconds(what: str, workload: Workload, step: Step, warm: str) -> float:
    if what == "step":
        return step_time(step, workload.x)
    if what == "hit":
        return compile_seconds(workload, warm)
    with tempfile.TemporaryDirectory() as empty:
        return compile_seconds(workload, empty)


if __name__ == "__main__":
    main()
