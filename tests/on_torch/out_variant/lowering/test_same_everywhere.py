"""The calls of out overloads in generated code are the same on every release, up to buffer names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from support.checks import compile_and_compare
from support.ops import Ops, define


def _number_buffers(calls: list[str]) -> list[str]:
    """Names of buffers and inputs by their first appearance: ``v0``, ``v1``, ..."""
    names: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"v{len(names)}")

    return [re.sub(r"\b(?:buf\d+|arg\d+_1|primals_\d+)\b", number, call) for call in calls]


def _calls(code: str, namespace: str) -> list[str]:
    lines = [line.strip() for line in code.splitlines() if f"torch.ops.{namespace}." in line]
    calls = [line.partition(f"torch.ops.{namespace}.")[2] for line in lines if not line.startswith(("#", "assert"))]
    return _number_buffers(calls)


def _chain(ops: Ops) -> Callable[..., Any]:
    def graph(x: torch.Tensor) -> Any:
        y, s = ops.functional(x)
        z, _ = ops.functional(y)
        return ops.functional(z)[0], s

    return graph


GRAPHS: dict[str, tuple[tuple[Any, ...], Callable[[Ops], Callable[..., Any]], int, list[str]]] = {
    "one output": (
        (
            "f(Tensor x, float s=2.0) -> Tensor",
            "f.out(Tensor x, float s=2.0, *, Tensor(a!) out) -> Tensor(a!)",
            lambda x, s: x * s,
        ),
        lambda ops: lambda x: ops.functional(ops.functional(x, 3.0), 4.0),
        1,
        ["f.out(v0, 3.0, out=v1)", "f.out(v1, 4.0, out=v2)"],
    ),
    "a chain of two outputs, some unused": (
        (
            "f(Tensor x) -> (Tensor, Tensor)",
            "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()",
            lambda x: (x + 1, x.sum(-1)),
        ),
        _chain,
        1,
        ["f.out(v0, y=v1, s=v2)", "f.out(v1, y=v3, s=v4)", "f.out(v3, y=v5, s=v6)"],
    ),
    "interleaved, optional and keyword arguments": (
        (
            "f(Tensor a, int n, Tensor? b, Tensor[] cs, *, Tensor k, ScalarType? dtype=None) -> Tensor",
            "f.out(Tensor a, int n, Tensor? b, Tensor[] cs, *, Tensor k, ScalarType? dtype=None, Tensor(a!) res) -> ()",
            lambda a, n, b, cs, k, dtype: (a * n + cs[0] - k).to(dtype or a.dtype),
        ),
        lambda ops: lambda a, c, k: ops.functional(a, 3, None, [c, a], k=k, dtype=torch.float64),
        3,
        ["f.out(v0, 3, None, [v1, v0], k=v2, dtype=torch.float64, res=v3)"],
    ),
    "a view as input": (
        ("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", lambda x: (x + 1).contiguous()),
        lambda ops: lambda x: ops.functional(x.t()),
        1,
        ["f.out(reinterpret_tensor(v0, (6, 4), (1, 6), 0), out=v1)"],
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_calls_of_out_overloads_are_the_same_on_every_release(name: str) -> None:
    schemas, make_graph, count, expected = GRAPHS[name]
    # The tag keeps an input's strides; what torch does without it differs between releases.
    ops = define(*schemas, functional_tags=(torch.Tag.needs_fixed_stride_order,))
    code = compile_and_compare(make_graph(ops), *(torch.randn(4, 6) for _ in range(count)))
    assert _calls(code, ops.namespace) == expected
    ops.destroy()
