"""A package that one did not write, in a program that nobody edits: ``run --pair`` and ``run --import``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat_shim.activation import BOOTSTRAP
from support.processes import SUPPORT

PROGRAM = str(SUPPORT / "programs" / "serve.py")
PROGRAMS = {"PYTHONPATH": os.pathsep.join([str(Path(BOOTSTRAP).parents[2]), str(SUPPORT / "programs")])}
SHIM = (sys.executable, "-m", "compat_shim")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
WORLD = ["inner", "scale", "shift"]

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def asked_for(run_command: Run, once: Callable[[str, Callable[[], Any]], Any]) -> dict[str, Any]:
    """What the program and its workers see under ``--pair``."""

    def make() -> dict[str, Any]:
        words = ("run", "--pair", "compat_shim_world,nowhere", "--", sys.executable, PROGRAM)
        done = run_command(*SHIM, *words, env=PROGRAMS)
        return {**done.json, "stderr": done.stderr, "stdout": done.stdout}

    return once("test_unedited", make)


def test_a_namespace_that_is_imported_late_is_paired(asked_for: dict[str, Any]) -> None:
    main = asked_for["main"]
    assert main["called"] == ["scale_out", "scale_out"]
    assert main["result"] == [6.0, 6.0, 6.0]
    assert main["pairs"] == WORLD


def test_workers_pair_alike_and_have_the_same_cache_key(asked_for: dict[str, Any]) -> None:
    assert asked_for["spawn"] == asked_for["main"]
    assert asked_for["loader"] == WORLD


def test_what_cannot_be_paired_is_one_warning_a_process_and_nothing_else_is_printed(asked_for: dict[str, Any]) -> None:
    said = [line for line in asked_for["stderr"].splitlines() if "COMPAT_SHIM_PAIR" in line]
    assert len(said) == 2  # the program and the worker that compiles
    assert all("nowhere: no library that is loaded by now defines an op of this namespace" in line for line in said)
    assert len(asked_for["stdout"].splitlines()) == 1


def test_ranks_of_torchrun_are_paired(run_command: Run) -> None:
    done = run_command(
        *SHIM, "run", "--pair", "compat_shim_world::scale", "--", sys.executable, *TORCHRUN, PROGRAM, env=PROGRAMS
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [["scale"], ["scale"]]


def test_user_code_runs_first_once_torch_is_there_and_what_fails_is_a_warning(run_command: Run, tmp_path: Path) -> None:
    tmp_path.joinpath("beside.py").write_text("NAMESPACE = 'compat_shim_world'\n")
    registers = tmp_path / "registers.py"
    registers.write_text(
        "import beside, compat_shim, torch, world\n"
        "assert __name__ != '__main__'\n"
        "torch.nn.Linear  # torch is whole\n"
        "compat_shim.register_out_variant(f'{beside.NAMESPACE}::shift', f'{beside.NAMESPACE}::shift.out')\n"
    )
    fails = tmp_path / "fails.py"
    fails.write_text("import torch\nraise SystemExit('not today')\n")
    program = (
        "import os, sys; assert 'torch' not in sys.modules; path = list(sys.path)\n"
        "import torch; assert sys.path == path, sys.path\n"
        "import serve; print(serve.pairs(), sys.modules['compat_shim'].status().problems)"
    )
    words = ["run", *(f"--import={name}" for name in (os.path.relpath(registers), fails, "no_such_module"))]
    done = run_command(*SHIM, *words, "--", sys.executable, "-c", program, env=PROGRAMS)
    assert done.stdout.startswith("['shift'] (")  # and none that nobody asked for
    for text in (done.stdout, done.stderr):
        assert f"{fails}" in text
        assert "SystemExit: not today" in text
        assert "no_such_module" in text
