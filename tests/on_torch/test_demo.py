"""``python -m compat_shim demo``."""

from __future__ import annotations

import os
import pty
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.processes import inherited

torch = pytest.importorskip("torch")

SMALL = ("--layers", "2", "--rows", "8", "--width", "32", "--steps", "4")


def demo(*arguments: str, stderr: int = subprocess.PIPE, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "compat_shim", "demo", *arguments],
        env=inherited(**environ),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=300,
    )


def test_the_demo_lowers_every_call_is_right_and_shows_what_changed(tmp_path: Path) -> None:
    terminal, stderr = pty.openpty()
    # With CUDA_HOME, torch warns where there is no GPU.
    done = demo(*SMALL, stderr=stderr, CUDA_HOME=str(tmp_path))
    os.close(stderr)
    said = os.read(terminal, 1 << 16).decode().splitlines()  # what was written is kept
    os.close(terminal)
    assert done.returncode == 0, f"{done.stdout}\n{said}"

    # Nothing of torch's, and what takes long.
    assert [line.partition(":")[0] for line in said] == ["... compiling"] * 3 + ["... running"]
    assert max(map(len, done.stdout.splitlines())) <= 110
    assert re.search(r"^calls of an out variant +(\d of 4) +\1 +4 of 4$", done.stdout, re.M)
    assert re.search(r"^ops alone, against eager( +equal bits){3}$", done.stdout, re.M)
    assert re.search(r"^  divided by stock torch's +1\.00( +\d+\.\d\d){2}$", done.stdout, re.M)
    for row in ("allocations in a step", "lines of the generated wrapper"):
        stock, again, shim = map(int, re.search(rf"^{row} +(\d+) +(\d+) +(\d+)$", done.stdout, re.M).groups())
        assert shim < stock == again, row

    shimmed = done.stdout.partition(", with the shim (without asserts)")[2]
    assert re.search(r"^torch\.ops\.\w+\.quantize_rows\.out\(\w+, q=\w+, scale=\w+\)$", shimmed, re.M)
    assert re.search(r"^torch\.ops\.\w+\.linear_dequant\.out\(.*out=\w+\)$", shimmed, re.M)
    assert ".default(" not in shimmed
    assert "assert" not in shimmed.partition("\n")[2]
    assert "\nOK: " in done.stdout


CODE = """
class Runner:
    def call(self, args):
        arg0_1, = args
        assert_size_stride(arg0_1, (4, ), (1, ))
        compat_shim_call = compat_shim_step()
        call_linear = compat_shim_call(torch.ops.compat_shim_demo.linear_dequant.out, 'cpu', 5)
{}
        return (y3, )

def benchmark_compiled_module():
    torch.ops.compat_shim_demo.linear_dequant.out(x9, out=y9)
"""
LAYER = """
        # Topologically Sorted Source Nodes
        before{0}()
        call_linear(x{0}, out=y{0})
        compat_shim_first_call[{0}] and compat_shim_assert_size_stride(y{0}, (4, ), (1, ))
        del x{0}"""


def test_a_layer_is_shown_as_it_would_be_without_variables_for_overloads() -> None:
    from compat_shim.demo.layer_code import call_lines, layer_lines

    code = CODE.format("".join(map(LAYER.format, range(4))))
    out = "torch.ops.compat_shim_demo.linear_dequant.out"
    assert layer_lines(code, 1, 80) == ["before1()", f"{out}(x1, out=y1)", "del x1"]
    assert layer_lines(code, 1, 20) == ["before1()", f"{out}"[:17] + "...", "del x1"]
    assert layer_lines(code, 4, 80) == []
    assert len(call_lines(code)) == 3 + 4 * 3 + 1


def test_noise_that_comes_and_goes_falls_on_all_contenders_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    from compat_shim.demo import measure

    took = {"stock": 2.0, "again": 2.0, "shim": 1.0}
    now, seen, noise = [0.0], [], random.Random(1)

    def clock() -> float:
        return now[0]

    def step(name: str) -> measure.Step:
        def run(x: object) -> None:
            seen.append(name)
            slow = 10.0 if len(seen) // 300 % 2 else 1.0  # the machine does something else for a hundred rounds
            now[0] += took[name] * slow * noise.uniform(1.0, 1.1)

        return run

    monkeypatch.setattr(time, "perf_counter", clock)
    monkeypatch.setattr(measure, "MOST_SECONDS", float("inf"))
    times = measure.step_times({name: step(name) for name in took}, torch.ones(1), 500)

    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(took, 500)
    assert len({tuple(seen[at : at + 3]) for at in range(0, len(seen), 3)}) == 6
    for name, value in (("again", 1.0), ("shim", 0.5)):
        ratios = sorted(mine / stock for mine, stock in zip(times[name], times["stock"]))
        assert ratios[250] == pytest.approx(value, rel=0.02)


def test_what_takes_too_long_ends_with_a_whole_round(monkeypatch: pytest.MonkeyPatch) -> None:
    from compat_shim.demo import measure

    monkeypatch.setattr(measure, "MOST_SECONDS", 0.0)
    times = measure.step_times({"stock": torch.neg, "shim": torch.neg}, torch.ones(1), 500)
    assert {len(values) for values in times.values()} == {1}


def test_allocations_of_a_step_are_counted_whoever_makes_them() -> None:
    from compat_shim.demo.measure import Memory, memory

    def step(x: torch.Tensor) -> torch.Tensor:
        first = x.new_empty(1000)
        del first
        return torch.neg(torch.neg(x))

    assert memory(step, torch.ones(16)) == Memory(3, 4000)


def test_the_demo_fails_when_lowering_is_disabled() -> None:
    done = demo(*SMALL, COMPAT_SHIM_FEATURES="tag,discovery")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED: feature lowering is DISABLED" in done.stdout


def test_a_call_that_was_not_lowered_is_a_problem() -> None:
    from compat_shim.demo.contenders import Contender
    from compat_shim.demo.main import lowering_problems

    code = "torch.ops.compat_shim_demo.quantize_rows.out(buf0, q=buf1, scale=buf2)\n"
    shimmed = Contender("", True, abs, abs, counted={"lowered": 2}, code=2 * code)
    assert lowering_problems(shimmed, 2) == []
    assert len(lowering_problems(shimmed, 4)) == 1
    shimmed.counted["declined: ALIAS"] = 2
    assert "ALIAS (2)" in lowering_problems(shimmed, 2)[0]
    shimmed.counted = {}
    assert len(lowering_problems(shimmed, 2)) == 1


def test_a_wrong_option_is_exit_code_2() -> None:
    from compat_shim.commands.main import main

    assert main(["demo", "--layers", "0"]) == 2
