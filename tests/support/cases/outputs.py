"""Shapes of the outputs."""

from __future__ import annotations

from typing import Any

import torch

from support.cases.case import TWO, case, tensor, two


def _mixed(x: Any) -> Any:
    return (
        x.to(torch.bfloat16),
        (x * 8).to(torch.int8),
        x > 0,
        torch.complex(x, -x),
        x.clamp(-1, 1).to(torch.float8_e4m3fn),
    )


OUTPUTS = [
    case("two outputs", *TWO, two, lambda f, x: f(x), tensor()),
    case(
        "two outputs that are returned",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> (Tensor(a!), Tensor(b!))",
        two,
        lambda f, x: f(x),
        tensor(),
    ),
    case("first output unused", *TWO, two, lambda f, x: f(x)[1], tensor()),
    case("second output unused", *TWO, two, lambda f, x: f(f(x)[0])[0], tensor(), calls=2),
    case("all outputs unused", *TWO, two, lambda f, x: (f(x), x * 1)[1], tensor(), calls=0),
    case(
        "output that may be its input",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> ()",
        lambda x: x * 2,
        lambda f, x: f(f(x)),
        tensor(),
        calls=2,
        reuses={"out": "x"},
    ),
    case(
        "five outputs of five dtypes",
        "f(Tensor x) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) a, Tensor(b!) b, Tensor(c!) c, Tensor(d!) d, Tensor(e!) e) -> ()",
        _mixed,
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "transposed output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: (x.t().contiguous() + 1).t(),
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "channels-last output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: (x + 1).contiguous(memory_format=torch.channels_last),
        lambda f, x: f(x),
        tensor(2, 3, 4, 5),
    ),
    case(
        "padded output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: torch.cat([x, x], 1)[:, : x.shape[1]],
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "output with a storage offset",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: torch.cat([x, x + 1])[x.shape[0] :],
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "0-dim output",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) lo, Tensor(b!) hi) -> ()",
        lambda x: (x.amin(), x.amax()),
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "0-size output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x[:0] + 1,
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "views as inputs",
        "f(Tensor x, Tensor y) -> Tensor",
        "f.out(Tensor x, Tensor y, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, y: (x * 2 + y).contiguous(),
        lambda f, x: (f(x[:, ::2], x[0, :1].expand(4, 3)), f(x.t(), x.t().flip(0).flip(0))),
        tensor(),
        calls=2,
    ),
    case(
        "views of outputs",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()",
        two,
        lambda f, x: (lambda y, s: (y.t(), y[1:], f(y[:, 1:])[1], s.unsqueeze(-1).expand(4, 2)))(*f(x)),
        tensor(),
        calls=2,
    ),
    case(
        "output is written in place",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()",
        two,
        lambda f, x: (lambda y, s: (y.mul_(2), f(y)[0], s.add_(1)))(*f(x)),
        tensor(),
        calls=2,
    ),
]
