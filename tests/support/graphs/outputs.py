"""Random outputs: shape, dtype and strides. All values are small whole numbers, so results are exact."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

MODULUS = 13  # exact in every dtype below


def digest(value: Any) -> Any:
    """A whole number, or a tensor of one, that tells the values of an argument apart."""
    if value is None:
        return 7
    if isinstance(value, torch.Tensor):
        return real(value).sum()
    if isinstance(value, float) and not (value.is_integer() or (value * 4).is_integer()):
        return 5 if math.isnan(value) else 9 if math.isinf(value) else 3
    if isinstance(value, int | float | torch.SymInt):
        return value * 4
    if isinstance(value, (list, tuple)):
        return sum((index + 1) * digest(item) for index, item in enumerate(value)) + 3 * len(value)
    return sum(map(ord, str(value))) % 17


def real(value: torch.Tensor) -> torch.Tensor:
    return (value.real if value.dtype.is_complex else value).to(torch.float32)


Shape = tuple[int, ...]

# Name → the values, and the shape that they have for an input of a given shape.
SHAPES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], Callable[[Shape], Shape]]] = {
    "same": (lambda t: t, lambda s: s),
    "rows": (lambda t: t.sum(-1) if t.dim() else t, lambda s: s[:-1]),
    "0-dim": (lambda t: t.sum(), lambda s: ()),
    "0-size": (lambda t: t.new_zeros(0, 3), lambda s: (0, 3)),
    "one": (lambda t: t.sum().reshape(1, 1), lambda s: (1, 1)),
    "column": (lambda t: t.sum(-1, keepdim=True) if t.dim() else t, lambda s: (*s[:-1], 1) if s else s),
    "rank 4": (
        lambda t: t.sum(0) + t.new_zeros(2, 3, 2, 4) if t.dim() == 1 else t.sum() + t.new_zeros(2, 3, 2, 4),
        lambda s: (2, 3, 2, 4),
    ),
    "tall": (lambda t: torch.cat([t, t + 1]) if t.dim() else t, lambda s: (2 * s[0], *s[1:]) if s else s),
}


def _restride(t: torch.Tensor, base: torch.Tensor, view: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    view(base).copy_(t)
    return view(base)


def _transposed(t: torch.Tensor) -> torch.Tensor:
    order = list(reversed(range(t.dim())))
    return _restride(t, t.new_empty([t.shape[i] for i in order]), lambda base: base.permute(order))


def _padded(t: torch.Tensor) -> torch.Tensor:
    if not t.dim():
        return t
    return _restride(t, t.new_empty([*t.shape[:-1], t.shape[-1] + 2]), lambda base: base[..., : t.shape[-1]])


def _offset(t: torch.Tensor) -> torch.Tensor:
    if not t.dim():
        return t
    return _restride(t, t.new_empty([t.shape[0] + 1, *t.shape[1:]]), lambda base: base[1:])


def _overlapping(t: torch.Tensor) -> torch.Tensor:
    return t[:1].expand_as(t) if t.dim() else t


def _channels_last(t: torch.Tensor) -> torch.Tensor:
    return t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t


STRIDES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "plain": lambda t: t,
    "transposed": _transposed,
    "channels last": _channels_last,
    "padded": _padded,
    "offset": _offset,
    "overlapping": _overlapping,
}

DTYPES = [
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int8,
    torch.uint8,
    torch.int64,
    torch.bool,
    torch.complex64,
]


@dataclasses.dataclass(frozen=True)
class Output:
    """One output. ``alias`` makes it a view of the output before it (or of the input, for the first)."""

    shape: str = "same"
    dtype: torch.dtype = torch.float32
    strides: str = "plain"
    alias: bool = False

    @property
    def keeps(self) -> bool:
        """Whether it looks like a contiguous float32 input."""
        return (self.shape, self.dtype, self.strides, self.alias) == ("same", torch.float32, "plain", False)

    def make(self, total: torch.Tensor) -> torch.Tensor:
        values = torch.remainder(SHAPES[self.shape][0](total), MODULUS).to(self.dtype)
        # Not contiguous(): that keeps the odd strides of dimensions of size 1.
        return STRIDES[self.strides](values.clone(memory_format=torch.contiguous_format))

    def shape_for(self, shape: Shape) -> Shape:
        return SHAPES[self.shape][1](shape)


def make_outputs(outputs: tuple[Output, ...], total: torch.Tensor) -> Any:
    made: list[torch.Tensor] = []
    for index, output in enumerate(outputs):
        made.append(made[-1].view_as(made[-1]) if output.alias and made else output.make(total + index))
    return made[0] if len(made) == 1 else tuple(made)


@st.composite
def outputs(draw: st.DrawFn, keeps: bool) -> tuple[Output, ...]:
    """1 to 5 outputs, of which one looks like the input if ``keeps``."""
    count = draw(st.integers(1, 5))
    found: list[Output] = []
    for index in range(count):
        if index and draw(st.integers(0, 19)) == 0:
            found.append(dataclasses.replace(found[-1], alias=True))
            continue
        strides = [*STRIDES] if draw(st.integers(0, 7)) == 0 else [s for s in STRIDES if s != "overlapping"]
        found.append(
            Output(
                draw(st.sampled_from(["same", "same", *SHAPES])),
                draw(st.sampled_from([torch.float32, torch.float32, *DTYPES])),
                draw(st.sampled_from(["plain", *strides])),
            )
        )
    if keeps:
        found[draw(st.integers(0, count - 1))] = Output()
    for index in range(1, count):
        if found[index].alias:
            found[index] = dataclasses.replace(found[index - 1], alias=True)
    return tuple(found)
