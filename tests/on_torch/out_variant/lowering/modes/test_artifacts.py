"""Artifacts made with the shim, in processes that lack the out variant or the shim.

A mega-cache (``torch.compiler.save_cache_artifacts``) or a ``standalone_compile`` file holds lowered
code. This file is also the program of those processes, each a fork of one interpreter.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._inductor.codecache  # 2.7 cannot import torch.compiler's cache before it

pytestmark = pytest.mark.processes

HAS_MEGA_CACHE = hasattr(torch.compiler, "save_cache_artifacts")  # torch 2.7 on
HAS_STANDALONE = hasattr(torch._inductor, "standalone_compile")  # torch 2.8 on

# Name → whether the process has the shim, and the out variant.
PROCESSES = {
    "alike": (True, True),
    "no out variant": (True, False),
    "no shim": (False, True),
    "neither": (False, False),
}


def define(shim: bool, with_out: bool) -> dict[str, int]:
    """The ops of a process; returns the counts of their calls."""
    import compat_shim

    if shim:
        compat_shim.activate()
    library = torch.library.Library("artifact", "DEF")
    _kept.append(library)
    calls = {"functional": 0, "out": 0}

    def functional(x: torch.Tensor) -> torch.Tensor:
        calls["functional"] += 1
        return x * 2

    def out_kernel(x: torch.Tensor, *, out: torch.Tensor) -> None:
        calls["out"] += 1
        out.copy_(x * 2)

    library.define("f(Tensor x) -> Tensor")
    library.impl("f", functional, "CompositeExplicitAutograd")
    torch.library.register_fake("artifact::f", torch.empty_like, lib=library)
    if with_out:
        library.define("f.out(Tensor x, *, Tensor(a!) out) -> ()", tags=[torch.Tag.out_variant] if shim else [])
        library.impl("f.out", out_kernel, "CompositeExplicitAutograd")
    return calls


_kept: list[Any] = []


def graph(x: torch.Tensor) -> torch.Tensor:
    return torch.ops.artifact.f(torch.ops.artifact.f(x))


def save(folder: Path) -> dict[str, Any]:
    calls = define(True, True)
    x = torch.ones(3)
    seen = {"right": bool((torch.compile(graph, fullgraph=True)(x) == 4).all()), **calls}
    if HAS_MEGA_CACHE:
        artifacts: Any = torch.compiler.save_cache_artifacts()
        (folder / "mega").write_bytes(artifacts[0])
    if HAS_STANDALONE:
        captured: list[Any] = []
        torch._dynamo.reset()
        torch.compile(graph, backend=lambda *args: captured.append(args) or args[0].forward)(x)
        torch._inductor.standalone_compile(*captured[0], dynamic_shapes="from_example_inputs").save(
            path=str(folder / "standalone"), format="binary"
        )
    return seen


def load(folder: Path, shim: bool, with_out: bool) -> dict[str, Any]:
    calls = define(shim, with_out)
    x = torch.ones(3)
    found: dict[str, Any] = {}
    if HAS_MEGA_CACHE:
        torch.compiler.load_cache_artifacts((folder / "mega").read_bytes())
        right = bool((torch.compile(graph, fullgraph=True)(x) == 4).all())
        found["mega"] = {"right": right, **calls}
    if HAS_STANDALONE:
        calls.update(functional=0, out=0)
        try:
            loaded = torch._inductor.CompiledArtifact.load(path=str(folder / "standalone"), format="binary")
            found["standalone"] = {"right": bool((loaded(x)[0] == 4).all()), **calls}
        except Exception as error:
            found["standalone"] = {"error": f"{type(error).__name__}: {error}"}
    return found


def main(where: str) -> int:
    folder = Path(where)
    roles: dict[str, Callable[[], Any]] = {"save": lambda: save(folder)}
    for name, process in PROCESSES.items():
        roles[name] = lambda process=process: load(folder, *process)
    for name, role in roles.items():
        if (child := os.fork()) == 0:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / f"cache {name}")
            print(json.dumps({"role": name, "seen": role()}), flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            return 1
    return 0


@pytest.fixture(scope="session")
def seen(
    once: Callable[[str, Callable[[], Any]], Any], run_python: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Role → what its process saw."""

    def make() -> dict[str, Any]:
        source = Path(__file__).read_text(encoding="utf-8")
        folder = tmp_path_factory.mktemp("artifacts")
        finished = run_python(source, str(folder), env={"COMPAT_SHIM": "off", "CUDA_VISIBLE_DEVICES": ""})
        lines = [json.loads(line) for line in finished.stdout.splitlines() if line.startswith('{"role"')]
        return {line["role"]: line["seen"] for line in lines}

    return once("test_artifacts", make)


def test_the_process_that_saves_is_lowered(seen: dict[str, Any]) -> None:
    assert seen["save"] == {"right": True, "functional": 0, "out": 2}


if HAS_MEGA_CACHE:

    @pytest.mark.parametrize("name", PROCESSES)
    def test_a_mega_cache_serves_its_like_and_leaves_the_others_to_compile_for_themselves(
        name: str, seen: dict[str, Any], mode_table: dict[str, str]
    ) -> None:
        kernel = "out" if name == "alike" else "functional"
        mode_table[f"mega-cache, loaded in a process: {name}"] = "lowered" if name == "alike" else "fallback"
        assert seen[name]["mega"] == {"right": True, "functional": 0, "out": 0, kernel: 2}


if HAS_STANDALONE:

    @pytest.mark.parametrize("name", ["alike", "no shim"])
    def test_a_standalone_artifact_runs_wherever_the_out_variant_is(
        name: str, seen: dict[str, Any], mode_table: dict[str, str]
    ) -> None:
        mode_table[f"standalone_compile, loaded in a process: {name}"] = "lowered"
        assert seen[name]["standalone"] == {"right": True, "functional": 0, "out": 2}

    @pytest.mark.parametrize("name", ["no out variant", "neither"])
    def test_a_standalone_artifact_without_its_out_variant_is_an_error_that_names_it(
        name: str, seen: dict[str, Any], mode_table: dict[str, str]
    ) -> None:
        mode_table[f"standalone_compile, loaded in a process: {name}"] = "clear error"
        assert "artifact.f" in seen[name]["standalone"]["error"]
        assert "'out'" in seen[name]["standalone"]["error"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
