"""Upstream's silent error with two optional tensors, shown on stock torch and right with us.

The other silent error, the partition split, is in ``test_partition.py``.
"""

from __future__ import annotations

from typing import Any

import torch

import compat_shim
from support.checks import same
from support.installed import HAS_NATIVE_LOWERING
from support.ops import define


def _add(x: torch.Tensor, y: torch.Tensor | None, z: torch.Tensor | None) -> torch.Tensor:
    return x + (0 if y is None else 2 * y) + (0 if z is None else 3 * z)


def _none_before_a_tensor() -> tuple[Any, Any]:
    ops = define(
        "f(Tensor x, Tensor? y=None, Tensor? z=None) -> Tensor",
        "f.out(Tensor x, Tensor? y=None, Tensor? z=None, *, Tensor(a!) out) -> Tensor(a!)",
        _add,
        tags=(torch.Tag.out_variant, torch.Tag.out),  # torch looks for the first in 2.12, then for the second
    )
    return ops, lambda x, t: ops.functional(x, None, t)


def test_none_before_a_tensor_is_passed_as_none() -> None:
    ops, graph = _none_before_a_tensor()
    x, t = torch.randn(4, 6), torch.randn(4, 6)
    assert same(torch.compile(graph, fullgraph=True)(x, t), _add(x, None, t))
    assert ops.calls == {"out": 1}


if HAS_NATIVE_LOWERING:

    def test_upstream_still_drops_the_none_silently_so_our_call_is_still_needed() -> None:
        ops, graph = _none_before_a_tensor()
        compat_shim.deactivate()
        x, t = torch.randn(4, 6), torch.randn(4, 6)
        found = torch.compile(graph, fullgraph=True)(x, t)
        assert ops.calls == {"out": 1}, "upstream no longer lowers this op"
        assert same(found, _add(x, t, None)), "upstream passes the None here: this repair may be needless"
        assert not same(found, _add(x, None, t))
