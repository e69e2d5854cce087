"""``COMPAT_SHIM_FEATURES`` without the lowering leaves the lowering of the installed torch as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

HAS_NATIVE_LOWERING = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 12)

COMPILE = """
import json
import compat_shim, torch
from torch._dynamo.utils import counters
from torch._inductor import ir
from torch._inductor.utils import run_and_get_code

library = torch.library.Library("features", "DEF")
library.define("f(Tensor x) -> Tensor")
library.define("f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=torch.Tag.out)
library.impl("f", lambda x: x + 1, "CompositeExplicitAutograd")
library.impl("f.out", lambda x, *, out: torch.add(x, 1, out=out), "CompositeExplicitAutograd")
torch.library.register_fake("features::f", lambda x: torch.empty_like(x))
found, code = run_and_get_code(torch.compile(lambda x: torch.ops.features.f(x), fullgraph=True), torch.zeros(3))
print(json.dumps({
    "verdicts": {feature.id: feature.verdict for feature in compat_shim.status().features},
    "right": bool((found == 1).all()),
    "lowered": "torch.ops.features.f.out(" in code[0],
    "ours": dict(counters["compat_shim"]),
    "create": ir.FallbackKernel.create.__func__.__code__.co_filename == ir.__file__,
}))
"""


def test_without_the_feature_upstream_s_own_lowering_serves_where_there_is_one(run_python: Callable[..., Any]) -> None:
    found = run_python(COMPILE, env={"COMPAT_SHIM_FEATURES": "tag,discovery"}).json
    assert found["verdicts"]["lowering"] == "DISABLED"
    assert found["right"]
    assert found["lowered"] is HAS_NATIVE_LOWERING
    assert found["ours"] == {}
    assert found["create"]
