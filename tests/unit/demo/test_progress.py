"""What takes long says on a terminal what it is doing, and nothing into a pipe."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from compat_shim.demo import progress
from support.processes import ROOT, finding_support


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_each_step_is_a_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    lines = progress.Progress()
    lines.say("compiling")
    lines.say("running")
    assert sys.stderr.getvalue() == "... compiling\n... running\n"


def test_a_pipe_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    progress.Progress().say("compiling")
    assert sys.stderr.getvalue() == ""


def test_small_steps_are_told_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.Progress(pause=10)
    for number in range(25):
        now[0] = float(number)
        lines.say(f"graph {number}")
    assert sys.stderr.getvalue() == "... graph 0\n... graph 10\n... graph 20\n"


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_long_test_says_past_pytests_capture_what_it_is_at(workers: tuple[str, ...], tmp_path: Path) -> None:
    tmp_path.joinpath("test_long.py").write_text("def test_long(progress):\n    progress('graph 1 of 50')\n")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", *workers, str(tmp_path)]
    environ = finding_support()
    environ["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
    terminal, stderr = pty.openpty()
    done = subprocess.run(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=stderr, timeout=60)
    os.close(stderr)
    said = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert done.returncode == 0, done.stdout
    assert said.strip() == "... graph 1 of 50"
