"""One op shape, and what the lists of them are written with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

LOWERED = "lowered"
NO_PAIR = "no pair"


@dataclasses.dataclass(frozen=True)
class Case:
    """One op shape.

    Attributes:
        schema, out_schema: of the functional op and its out variant.
        kernel, reuses: see ``ops.define``.
        run: calls the op (given as its overload packet's overload) on the inputs.
        inputs: makes the inputs.
        expect: ``LOWERED``, ``NO_PAIR`` or the name of a ``Decline``.
        calls: how many calls the graph has.
    """

    name: str
    schema: str
    out_schema: str | None
    kernel: Callable[..., Any]
    run: Callable[..., Any]
    inputs: Callable[[], tuple[Any, ...]]
    expect: str = LOWERED
    calls: int = 1
    fake: Callable[..., Any] | None = None
    by_hand: bool = False
    dynamic: bool = False
    unbacked: bool = False
    out_key: str = "CompositeExplicitAutograd"
    reuses: Any = None


def tensor(*shape: int) -> Callable[[], tuple[torch.Tensor]]:
    return lambda: (torch.randn(*(shape or (4, 6))),)


def tensors(count: int) -> Callable[[], tuple[torch.Tensor, ...]]:
    return lambda: tuple(torch.randn(4, 6) for _ in range(count))


def case(name: str, schema: str, out: str | None, kernel: Any, run: Any, inputs: Any, **more: Any) -> Case:
    return Case(name, schema, out, kernel, run, inputs, **more)


def two(x: Any) -> Any:
    return (x + 1, x.sum(-1))


TWO = ("f(Tensor x) -> (Tensor, Tensor)", "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()")
