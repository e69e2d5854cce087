"""The program of these tests, compiled once a module for each way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch._inductor.compile_fx  # the features that wait for Inductor are there from the start

import compat_shim
from compat_shim.calls import ways
from support.short_calls import Program, Sides, set_calls


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(ways, "PAYS_FROM", 1)
        program = Program()
        sides = Sides(program, program.code("all"), program.code("off"))
        yield sides
        program.destroy()
    compat_shim.deactivate()
    compat_shim.activate()


@pytest.fixture
def sides(compiled: Sides) -> Iterator[Sides]:
    """Both sides, with no body changed, nothing active but the shim, and grad mode off."""
    set_calls("all")
    compiled.program.bodies.clear()
    with torch.no_grad():
        yield compiled
    compiled.program.bodies.clear()
