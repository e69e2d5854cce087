"""The program of these tests, compiled once a module for each way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch._inductor.compile_fx  # the features that wait for Inductor are there from the start

import compat_shim
from support.cpp_compiler import trust_the_compiler
from support.short_calls import Sides, set_calls


@pytest.fixture(scope="session", autouse=True)
def _no_probes() -> None:
    trust_the_compiler()


@pytest.fixture(scope="module", autouse=True)
def _as_before() -> Iterator[None]:
    """The tests of other folders find the shim as it is by default."""
    yield
    compat_shim.deactivate()
    compat_shim.activate()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        sides = Sides.of()
        yield sides
        sides.program.destroy()


@pytest.fixture
def sides(compiled: Sides) -> Iterator[Sides]:
    """Both sides, with no body changed, nothing active but the shim, and grad mode off."""
    set_calls("all")
    compiled.program.bodies.clear()
    with torch.no_grad():
        yield compiled
    compiled.program.bodies.clear()
