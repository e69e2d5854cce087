"""An op whose out variant keeps the contract, and kernels that break it, each in its own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

ARGUMENTS = (torch.arange(6.0).view(2, 3), 3.0)


def right(x: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    return x * scale, (x * scale).to(torch.int8)


def keeps(x: Any, scale: float, y: Any, q: Any) -> Any:
    y.copy_(x * scale)
    q.copy_((x * scale).to(torch.int8))
    return y, q


def resizes(x: Any, scale: float, y: Any, q: Any) -> Any:
    keeps(x, scale, y, q)
    y.resize_(3, 2)
    return y, q


def ignores(x: Any, scale: float, y: Any, q: Any) -> Any:
    y.copy_(x * scale)
    return y, q


def sets(x: Any, scale: float, y: Any, q: Any) -> Any:
    y.set_(x * scale)
    q.copy_((x * scale).to(torch.int8))
    return y, q


def returns_another(x: Any, scale: float, y: Any, q: Any) -> Any:
    keeps(x, scale, y, q)
    return y.clone(), q


def computes_otherwise(x: Any, scale: float, y: Any, q: Any) -> Any:
    keeps(x, scale, y, q)
    y[0, 1] += 1
    return y, q


def writes_to_its_input(x: Any, scale: float, y: Any, q: Any) -> Any:
    keeps(x, scale, y, q)
    x.zero_()
    return y, q


BREAKS = {
    "resizes": (resizes, "moved or resized its out buffer 'y'"),
    "ignores": (ignores, "out buffer 'q' differs from what .*default returns: .*Mismatched elements: 6 / 6"),
    "sets": (sets, "moved or resized its out buffer 'y'"),
    "returns_another": (returns_another, "returned another tensor than its out buffer 'y'"),
    "computes_otherwise": (computes_otherwise, "out buffer 'y' differs from .*Mismatched elements: 1 / 6"),
    "writes_to_its_input": (writes_to_its_input, "wrote to its input 'x'"),
}


def define(
    library: Any, kernel: Callable[..., Any], name: str = "f", *, fake: Any = None, functional: Any = right
) -> Any:
    """The functional op, by default with a right kernel, and its out variant with ``kernel``."""
    library.define(f"{name}(Tensor x, float scale=2.0) -> (Tensor, Tensor)")
    library.define(
        f"{name}.out(Tensor x, float scale=2.0, *, Tensor(a!) y, Tensor(b!) q) -> (Tensor(a!), Tensor(b!))",
        tags=torch.Tag.out_variant,
    )
    library.impl(name, lambda x, scale=2.0: functional(x, scale), "CPU")
    library.impl(f"{name}.out", lambda x, scale=2.0, *, y, q: kernel(x, scale, y, q), "CPU")
    fake = fake or (lambda x, scale=2.0: (torch.empty_like(x), torch.empty_like(x, dtype=torch.int8)))
    torch.library.register_fake(f"{library.ns}::{name}", fake, lib=library)
    return getattr(getattr(torch.ops, library.ns), name).default
