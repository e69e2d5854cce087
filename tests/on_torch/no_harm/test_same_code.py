"""Graphs without an out variant get the same code, byte for byte, with the shim and without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.processes import SUPPORT, finding_support

GRAPHS = 200  # at least


def dump(folder: Path, sides: dict[str, dict[str, str]], *words: str) -> dict[str, Any]:
    """What ``dump.py`` found in each of these environments, all processes at once."""
    # Generated code holds the path of the cache folder.
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-W", "ignore", SUPPORT / "no_harm" / "dump.py", str(folder / name), *words],
            env={
                **finding_support(TORCHINDUCTOR_CACHE_DIR=str(folder / "inductor"), PYTHONHASHSEED="0"),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, environment in sides.items()
    }
    for process in processes.values():
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 0, output
    return {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in processes}


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The code with ``COMPAT_SHIM`` off and strict."""
    return dump(tmp_path_factory.mktemp("dumps"), {value: {"COMPAT_SHIM": value} for value in ("off", "strict")})


def test_calls_of_custom_ops_by_the_short_way_give_the_same_results(tmp_path: Path) -> None:
    sides = {"off": {"COMPAT_SHIM": "off"}, "all": {"COMPAT_SHIM_CALLS": "all"}}
    found = dump(tmp_path, sides, "results", "custom")
    assert len(found["off"]["code"]) >= 10
    assert found["off"]["code"] == found["all"]["code"]


def test_the_shim_was_active_in_one_of_the_two_processes(dumps: dict[str, Any]) -> None:
    assert dumps["off"]["verdict"] is None
    assert dumps["strict"]["verdict"] == "APPLIED"


def test_every_graph_has_the_same_code_with_the_shim_and_without(dumps: dict[str, Any]) -> None:
    without, with_shim = dumps["off"]["code"], dumps["strict"]["code"]
    assert [name for name in without if without[name] != with_shim.get(name)] == []
    assert list(without) == list(with_shim)


def test_every_graph_has_code_and_a_training_step_has_that_of_its_backward_too(dumps: dict[str, Any]) -> None:
    found = {name: len(code) for name, code in dumps["off"]["code"].items()}
    assert len(found) >= GRAPHS
    assert [name for name, count in found.items() if count < (2 if name.endswith("training") else 1)] == []
