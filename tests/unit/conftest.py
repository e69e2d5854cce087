"""Fixtures of the tests that need no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_shim.patching import log
from support.workbench import PREFIX, Bench, fake_torch


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test hears every warning, and leaves no module or finder behind."""
    monkeypatch.setattr(log, "_said", set())
    modules, finders = set(sys.modules), list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    for name in set(sys.modules) - modules:
        if name.startswith(PREFIX):
            del sys.modules[name]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(tmp_path, monkeypatch)
    yield bench
    for engine in bench.engines:
        engine.stop()


@pytest.fixture
def torch(tmp_path: Path) -> Path:
    """The fake torch, in a folder of its own."""
    return fake_torch(tmp_path)
