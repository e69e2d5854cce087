"""Fixtures of the lowering's tests, and what they leave for the tables of all releases."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._inductor import config

import compat_shim
from compat_shim.calls import ways


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    torch._dynamo.reset()
    compat_shim.activate()
    yield
    compat_shim.activate()  # a test may have deactivated it
    torch._dynamo.reset()


@pytest.fixture(autouse=True)
def _few_calls_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs of a few calls take the short way too, so that what these tests prove, they prove of it."""
    monkeypatch.setattr(ways, "PAYS_FROM", 1)


@pytest.fixture
def shared_kernels(fresh_inductor_cache: Path, monkeypatch: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Inductor's C++ kernels are compiled once for all tests that ask for this, and no graph is cached."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "kernels"))
    with config.patch(fx_graph_cache=False):
        yield


def _table(variable: str) -> Iterator[dict[str, str]]:
    """Row → what became of it. Written to the folder ``$variable`` for the table of all releases."""
    found: dict[str, str] = {}
    yield found
    directory = os.environ.get(variable)
    if directory and found:
        path = Path(directory, f"{torch.__version__.partition('+')[0]}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:  # pytest-xdist's workers share the file
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            path.write_text(json.dumps({**before, **found}, indent=1), encoding="utf-8")


@pytest.fixture(scope="session")
def catalogue() -> Iterator[dict[str, str]]:
    """Op shape → what became of it."""
    yield from _table("SHAPE_TABLE")


@pytest.fixture(scope="session")
def mode_table() -> Iterator[dict[str, str]]:
    """Way of compiling → what became of it."""
    yield from _table("MODE_TABLE")
