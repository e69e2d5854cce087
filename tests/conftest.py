"""What every test shares. Nothing here imports torch: tests/unit runs without it."""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import hashlib
import json
import logging
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.processes import inherited


@dataclasses.dataclass(frozen=True)
class Finished:
    """An interpreter that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What its last line of output says."""
        return json.loads(self.stdout.strip().splitlines()[-1])


RunPython = Callable[..., Finished]


def _run_python(code: str, *arguments: str, **options: Any) -> Finished:
    """Run ``code`` in an interpreter of its own; ``options`` as in ``_run_command``."""
    return _run_command(sys.executable, "-c", code, *arguments, **options)


def _run_command(*words: str, env: Mapping[str, str] | None = None, expect: int | None = 0) -> Finished:
    """Run a command.

    The environment is this process's without the shim's variables, then ``env``. The exit code
    must be ``expect``; None takes any.
    """
    process = subprocess.run(
        words,
        env=inherited(**(env or {})),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if expect is not None and process.returncode != expect:
        raise AssertionError(f"exit code {process.returncode}, not {expect}\n{process.stdout}\n{process.stderr}")
    return Finished(process.returncode, process.stdout, process.stderr)


@pytest.fixture(scope="session")
def run_python() -> RunPython:
    """A function that runs Python source in an interpreter of its own and returns ``Finished``."""
    return _run_python


@pytest.fixture(scope="session")
def run_command() -> RunPython:
    """A function that runs a command and returns ``Finished``."""
    return _run_command


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """``once(name, make)``: what ``make()`` returned in the one xdist worker that came first (JSON)."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of this test run, shared by its workers

    def made(name: str, make: Callable[[], Any]) -> Any:
        result = folder / f"{name}.json"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not result.exists():
                result.write_text(json.dumps(make()))
        return json.loads(result.read_text())

    return made


@pytest.fixture(autouse=True)
def fresh_inductor_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for this test alone, in this process and in those that it starts."""
    folder = tmp_path / "inductor"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    return folder


@pytest.fixture
def progress(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """A function by which a long test says on the terminal what it is at: a line each ten seconds, by each worker."""
    # Activates the shim, which most tests of `tests/unit` do themselves.
    from compat_shim.demo.progress import Progress

    lines = Progress(pause=10)

    def say(doing: str) -> None:
        with capfd.disabled():
            lines.say(doing)

    return say


@pytest.fixture(autouse=True)
def own_log_level() -> Iterator[None]:
    """The shim sets the level of its logger where the user asks for its lines; here for that test alone."""
    logger = logging.getLogger("compat_shim")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def library(request: pytest.FixtureRequest) -> Any:
    """A ``torch.library.Library`` of a namespace of its own. The shim is active.

    It lives as long as the process: up to torch 2.10 (at least), destroying a library that
    defines three overloads of one op crashes the interpreter.
    """
    import torch

    import compat_shim  # noqa: F401

    namespace = "test_" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    library = torch.library.Library(namespace, "FRAGMENT")
    # Not at the end of the process either: neither by its finalizer nor by the last reference.
    for finalizer in list(weakref.finalize._registry):
        if (alive := finalizer.peek()) is not None and alive[0] is library:
            finalizer.atexit = False
    for kept in (library, library.m):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    return library
