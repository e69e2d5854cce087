"""A package that its users did not write: untagged ops, a pair among them. It never imports the shim."""

from __future__ import annotations

import torch
from torch import Tensor

NAMESPACE = "compat_shim_world"
called: list[str] = []
library = torch.library.Library(NAMESPACE, "DEF")


def _implement(schema: str, kernel: object, key: str = "CPU") -> None:
    library.define(schema)
    library.impl(schema.partition("(")[0], kernel, key)


def scale(x: Tensor, by: float) -> Tensor:
    called.append("scale")
    return x * by


def scale_out(x: Tensor, by: float, *, out: Tensor) -> None:
    called.append("scale_out")
    torch.mul(x, by, out=out)


def shift(x: Tensor) -> Tensor:
    return x + 1


def shift_out(x: Tensor, *, out: Tensor) -> None:
    out.copy_(shift(x))


_implement("scale(Tensor x, float by) -> Tensor", scale)
_implement("scale_out(Tensor x, float by, *, Tensor(a!) out) -> ()", scale_out)
_implement("shift(Tensor x) -> Tensor", shift)
_implement("shift.out(Tensor x, *, Tensor(a!) out) -> ()", shift_out)
_implement("clip(Tensor x, float by) -> Tensor", lambda x, by: x.clamp(max=by))
_implement("clip_out(Tensor x, float limit, *, Tensor(a!) out) -> ()", lambda x, limit, out: None)
_implement("half(Tensor x) -> Tensor", lambda x: x / 2)
_implement("half_(Tensor(a!) x) -> ()", lambda x: None)
_implement("inner(Tensor x) -> Tensor", lambda x: x + 2)
_implement("inner.out(Tensor x, *, Tensor(a!) out) -> ()", lambda x, out: None, "CompositeExplicitAutograd")
_implement("alone(Tensor x) -> Tensor", lambda x: x + 3)
torch.library.register_fake(f"{NAMESPACE}::scale", lambda x, by: torch.empty_like(x), lib=library)
