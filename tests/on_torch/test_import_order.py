"""Whichever module is imported first, torch's or ours, every feature is applied."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

from compat_shim.release import within
from support.processes import ROOT

# Each order in a process of its own, two at a time: forks of one interpreter that has imported torch.
ORDERS = """
import concurrent.futures, importlib, json, multiprocessing, sys
import torch

def verdicts(first):
    import compat_shim
    importlib.import_module(first)
    torch.compile(lambda x: x.view(-1))(torch.ones(2))
    return {feature.id: feature.verdict for feature in compat_shim.status().features}

def bound_before():
    from torch.library import custom_op
    import compat_shim

    def add(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        return torch.add(x, 1, out=out)

    options = {"mutates_args": {"out"}, "tags": torch.Tag.out}
    try:
        custom_op("early::add", **options)(add)
    except (TypeError, NotImplementedError) as error:
        torch.library.custom_op("early::add", **options)(add)  # by its own name it is ours
        return str(error)
    return ""

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    with fork.Pool(2, maxtasksperchild=1) as pool:
        found = dict(zip(sys.argv[1:], pool.map(verdicts, sys.argv[1:], chunksize=1)))
        print(json.dumps({**found, "bound before": pool.apply(bound_before)}))
"""

FIRST = [
    "torch._dynamo.utils",
    "torch._functorch._aot_autograd.autograd_cache",
    "torch._inductor.codecache",
    "torch._inductor.codegen.wrapper",
    "torch._inductor.ir",
    "torch._inductor.lowering",
    "torch._inductor.scheduler",
    "torch._inductor.utils",
    "compat_shim.out_variant.lowering.decide",
]


@pytest.fixture(scope="session")
def verdicts(once: Callable[[str, Callable[[], Any]], Any], run_python: Callable[..., Any]) -> Any:
    return once("test_import_order", lambda: run_python(ORDERS, *FIRST, env={"CUDA_VISIBLE_DEVICES": ""}).json)


@pytest.mark.parametrize("module", FIRST)
def test_every_feature_is_there_whichever_module_is_imported_first(module: str, verdicts: Any) -> None:
    assert set(verdicts[module].values()) <= {"APPLIED", "NATIVE"}, verdicts[module]


def test_a_name_of_custom_op_bound_before_the_shim_keeps_stock_s_errors_as_the_page_says(verdicts: Any) -> None:
    page = (ROOT / "docs" / "activation.md").read_text(encoding="utf-8")
    error = verdicts["bound before"].partition(". Please")[0]
    assert (f"`{error}`" in page) if within(version("torch"), None, "2.12") else not error


def test_every_feature_is_there_if_a_module_of_ours_imports_torch(run_python: Callable[..., Any]) -> None:
    found = run_python(
        "import compat_shim.out_variant.pairing, compat_shim.out_variant.lowering.decide, json\n"
        "print(json.dumps([feature.verdict for feature in compat_shim.status().features]))"
    ).json
    assert set(found) <= {"APPLIED", "NATIVE"}


STRICT = """
import compat_shim.patching.fingerprint as fingerprint
recorded = fingerprint.load()["torch._inductor.ir:FallbackKernel.create"]
recorded.update((release, "0" * 16) for release in list(recorded))
import torch
import torch._inductor.compile_fx
"""


def test_strict_raises_where_auto_would_warn(run_python: Callable[..., Any]) -> None:
    lenient = run_python(STRICT)
    assert re.search(r"compat_shim: lowering: DRIFTED: found \w+, expected .*FallbackKernel.create", lenient.stderr)
    strict = run_python(STRICT, env={"COMPAT_SHIM": "strict"}, expect=1)
    assert "ShimError: lowering: DRIFTED" in strict.stderr
