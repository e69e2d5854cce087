"""What a project finds that moves to torch 2.13 and later."""

from __future__ import annotations

from typing import Any

import torch

import compat_shim
from compat_shim.out_variant import pairing


def test_status_says_what_is_native_for_a_project_that_moves() -> None:
    compat_shim.activate()
    verdicts = {feature.id: feature.verdict for feature in compat_shim.status().features}
    native = not any(int(getattr(torch.Tag, name)) > 1000 for name in ("out", "inplace"))
    assert (verdicts["tag"] == "NATIVE") is native


def test_an_op_moved_from_out_variant_to_out_keeps_its_pair(library: Any) -> None:
    library.define("op(Tensor x) -> Tensor")
    library.define("op.old(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=torch.Tag.out_variant)
    op = getattr(torch.ops, library.ns).op
    assert pairing.find_pair(op.default).out is op.old
    library.define("moved(Tensor x) -> Tensor")
    library.define("moved.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=torch.Tag.out)
    moved = getattr(torch.ops, library.ns).moved
    assert pairing.find_pair(moved.default).out is moved.out
