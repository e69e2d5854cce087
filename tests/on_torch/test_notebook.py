"""A real notebook kernel: the cells that a user runs, and what a cell's last line shows.

Run where ``tox.ini`` installs ``ipykernel``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from support.processes import inherited

# What a first cell holds; run again, it defines the library again.
OPS = """
import torch

if "lib" in globals():
    lib._destroy()  # up to torch 2.12 the ops of a library that is dropped without it are called all the same
lib = torch.library.Library("nb", "FRAGMENT")
lib.define("scale(Tensor x, float by) -> Tensor")
lib.define("scale_out(Tensor x, float by, *, Tensor(a!) out) -> ()")

def scale(x, by):
    return x * by

def scale_out(x, by, *, out):
    torch.mul(x, by, out=out)

def fake(x, by):
    return torch.empty_like(x)

lib.impl("scale", scale, "CPU")
lib.impl("scale_out", scale_out, "CPU")
torch.library.register_fake("nb::scale", fake, lib=lib);
"""
CUSTOM = """
@torch.library.custom_op("nb::shift", mutates_args=())
def shift(x: torch.Tensor, by: float) -> torch.Tensor:
    return {0}

@torch.library.custom_op("nb::shift_out", mutates_args=("out",))
def shift_out(x: torch.Tensor, by: float, out: torch.Tensor) -> None:
    out.copy_({0})

@shift.register_fake
def _(x, by):
    return torch.empty_like(x)

compat_shim.register_out_variant("nb::shift", "nb::shift_out")
"""
COMPILED = """
@torch.compile(fullgraph=True)
def fn(x):
    return torch.ops.nb.scale(torch.ops.nb.scale(x, 2.0), 3.0)

x = torch.ones(2)
fn(x)
"""
PAIR = 'import compat_shim\ncompat_shim.register_out_variant("nb::scale", "nb::scale_out")'
LOWERED = "[call.lowered for call in compat_shim.explain(fn, x).calls]"
CALLED = 'torch._dynamo.utils.counters["compat_shim"]["lowered"]'


class Notebook:
    """A kernel of this environment. ``run`` runs a cell and returns what its last line shows, as text."""

    def __init__(self, folder: Path) -> None:
        env = inherited(IPYTHONDIR=str(folder))  # not the user's own settings
        self._manager, self._client = start_new_kernel(kernel_name="python3", env=env, cwd=str(folder))

    def run(self, cell: str) -> str:
        messages: list[dict[str, Any]] = []
        reply = self._client.execute_interactive(cell, timeout=300, allow_stdin=False, output_hook=messages.append)
        assert reply["content"]["status"] == "ok", "\n".join(reply["content"]["traceback"])
        shown = [one["content"]["data"]["text/plain"] for one in messages if one["msg_type"] == "execute_result"]
        return "".join(shown)

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    opened = Notebook(tmp_path)
    yield opened
    opened.close()


def test_the_shim_is_imported_after_a_compile_and_a_cell_is_run_again(notebook: Notebook) -> None:
    notebook.run(OPS)
    assert notebook.run(COMPILED) == "tensor([6., 6.])"
    notebook.run(PAIR)
    # Compiled before: nothing has changed until Dynamo forgets it.
    assert notebook.run(f"fn(x), {CALLED}") == "(tensor([6., 6.]), 0)"
    assert notebook.run(f"torch._dynamo.reset()\nfn(x), {CALLED}") == "(tensor([6., 6.]), 2)"

    # The library goes away with its pairs; what was compiled calls the new kernels.
    notebook.run(OPS.replace("x * by", "x + by").replace("torch.mul", "torch.add"))
    assert notebook.run("fn(2 * x)") == "tensor([7., 7.])"
    assert notebook.run(LOWERED) == "[False, False]"
    notebook.run(PAIR)
    assert notebook.run(LOWERED) == "[True, True]"
    assert notebook.run("torch._dynamo.reset()\nfn(2 * x)") == "tensor([7., 7.])"


def test_a_cell_with_custom_ops_is_run_again_as_it_is(notebook: Notebook) -> None:
    notebook.run("import torch\nimport compat_shim")
    for shift, shown in ("x + by", "tensor([6., 6.])"), ("x - by", "tensor([-4., -4.])"):
        notebook.run(CUSTOM.format(shift))
        assert notebook.run(COMPILED.replace("nb.scale", "nb.shift")) == shown
        assert notebook.run(LOWERED) == "[True, True]"


def test_what_the_last_line_of_a_cell_shows_is_a_screen(notebook: Notebook) -> None:
    notebook.run(OPS)
    notebook.run(PAIR)
    notebook.run(COMPILED)
    for line in ("compat_shim.status()", "compat_shim.explain(fn, x)", 'compat_shim.pair_namespace("nb")'):
        shown = notebook.run(line).splitlines()
        assert 1 <= len(shown) <= 50, line
        assert max(map(len, shown)) <= 100, line
