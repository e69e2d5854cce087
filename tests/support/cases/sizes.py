"""Sizes that are not known when the graph is compiled."""

from __future__ import annotations

from typing import Any

import torch

from support.cases.case import TWO, case, tensor, two


def _of_data_dependent_size(f: Any, x: Any) -> Any:
    size = x.abs().sum().int().item() + 2
    torch._check_is_size(size)
    torch._check(size >= 2)
    y, s = f(x.new_ones((size, 3)))
    return y.sum(), s.sum()


DYNAMIC = [
    case(
        "dynamic shapes, one output",
        "f(Tensor x, SymInt n) -> Tensor",
        "f.out(Tensor x, SymInt n, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, n: x.repeat(2, 1) * n,
        lambda f, x: f(f(x, 3), x.shape[0]),
        tensor(),
        calls=2,
        dynamic=True,
    ),
    case("dynamic shapes, two outputs", *TWO, two, lambda f, x: f(f(x)[0]), tensor(), calls=2, dynamic=True),
    case(
        "dynamic shapes, three dimensions, permuted",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: (x + 1).permute(1, 2, 0).contiguous().permute(2, 0, 1),
        lambda f, x: f(x),
        tensor(3, 4, 5),
        dynamic=True,
    ),
    case(
        "unbacked input size",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()",
        two,
        _of_data_dependent_size,
        tensor(),
        unbacked=True,
    ),
]
