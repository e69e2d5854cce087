"""Ops of a test's library, each with a number of its own."""

from __future__ import annotations

import itertools
from typing import Any

import torch

TAG = torch.Tag.out_variant
FACTORS = itertools.count(2)


def functional(library: Any, name: str, inputs: str = "Tensor x", key: str = "CompositeExplicitAutograd") -> Any:
    """An op that multiplies its input by a number of its own."""
    factor = next(FACTORS)

    def kernel(x: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        return x * factor

    library.define(f"{name}({inputs}) -> Tensor")
    library.impl(name, kernel, key)
    torch.library.register_fake(f"{library.ns}::{name}", lambda x, *_, **__: torch.empty_like(x), lib=library)
    return factor


def out_variant(
    library: Any, name: str, factor: int, out: str = "out", key: str = "CompositeExplicitAutograd", tags: Any = (TAG,)
) -> None:
    """The out variant of the op of that factor."""

    def kernel(x: torch.Tensor, **outs: torch.Tensor) -> None:
        torch.mul(x, factor, out=outs[out])

    library.define(f"{name}(Tensor x, *, Tensor(a!) {out}) -> ()", tags=tags)
    library.impl(name, kernel, key)


def define_custom_pair(library: Any, name: str, number: int, device_types: str | None = None) -> None:
    """Two custom_ops, the functional one and ``<name>_out``, that add a number."""

    def make(x: torch.Tensor) -> torch.Tensor:
        return x + number

    def write(x: torch.Tensor, out: torch.Tensor) -> None:
        torch.add(x, number, out=out)

    qualified = f"{library.ns}::{name}"
    defined = torch.library.custom_op(qualified, make, mutates_args=(), device_types=device_types)
    defined.register_fake(torch.empty_like)
    torch.library.custom_op(f"{qualified}_out", write, mutates_args={"out"})


def packet(library: Any, name: str) -> Any:
    return getattr(ops(library), name)


def ops(library: Any) -> Any:
    """What ``torch.ops`` has of it."""
    return getattr(torch.ops, library.ns)
