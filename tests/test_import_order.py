"""Any module of the package may be what first imports torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

FIRST = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
import torch._inductor.compile_fx, compat_shim
print(json.dumps({feature.id: feature.verdict for feature in compat_shim.status().features}))
"""


@pytest.mark.parametrize("module", ["compat_shim.out_variant.pairing", "compat_shim.out_variant.lowering.decide"])
def test_every_feature_is_there_whichever_module_is_imported_first(module: str, run_python: Callable[..., Any]) -> None:
    verdicts = run_python(FIRST, module).json
    assert set(verdicts.values()) <= {"APPLIED", "NATIVE"}


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
