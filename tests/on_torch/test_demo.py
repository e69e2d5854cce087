"""``python -m compat_shim demo``."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from support.processes import inherited

torch = pytest.importorskip("torch")

SMALL = ("--layers", "2", "--rows", "8", "--width", "32", "--steps", "4")


def demo(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "compat_shim", "demo", *arguments],
        env=inherited(**environ),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_demo_lowers_every_call_is_right_and_shows_the_code() -> None:
    done = demo(*SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^lowered by the shim +- +4 of 4$", done.stdout, re.M)
    assert re.search(r"^ops alone, against eager .* equal bits$", done.stdout, re.M)
    shimmed = done.stdout.partition(", with the shim (trimmed)")[2]
    assert re.search(r"quantize_rows\.out\(\w+, q=\w+, scale=\w+\)", shimmed)
    assert re.search(r"linear_dequant\.out\(.*out=\w+\)", shimmed)
    assert ".default(" not in shimmed
    assert "\nOK: " in done.stdout


def test_a_layer_is_found_whose_ops_are_called_by_a_variable() -> None:
    from compat_shim.demo.layer_code import layer_lines

    code = "def call(args):\n    call_linear = torch.ops.compat_shim_demo.linear_dequant.out._op\n"
    code += "".join(f"    before{n}()\n    call_linear(x{n}, out=y{n})\n    del x{n}\n" for n in range(4))
    assert layer_lines(code, 1, 80) == ["before1()", "call_linear(x1, out=y1)", "del x1"]


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
