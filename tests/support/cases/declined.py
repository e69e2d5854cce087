"""Shapes that the lowering declines."""

from __future__ import annotations

from typing import Any

import torch

from support.cases.case import NO_PAIR, TWO, case, tensor


def _nonzero_fake(x: Any) -> Any:
    return x.new_empty((torch.library.get_ctx().new_dynamic_size(), x.dim()), dtype=torch.int64)


DECLINED = [
    case(
        "data-dependent size",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x.nonzero().contiguous(),
        lambda f, x: f(x),
        tensor(),
        fake=_nonzero_fake,
        unbacked=True,
        expect="DATA_DEPENDENT",
    ),
    case(
        "overlapping output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: (x.sum(-1, keepdim=True)).expand(4, 6),
        lambda f, x: f(x),
        tensor(),
        expect="OVERLAP",
    ),
    case(
        "outputs that share storage",
        *TWO,
        lambda x: (lambda both: (both[:4], both[4:, 0]))(torch.cat([x, x + 1])),
        lambda f, x: f(x),
        tensor(),
        expect="ALIAS",
    ),
    case(
        "output that is an input in the fake",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x + 1,
        lambda f, x: f(x),
        tensor(),
        fake=lambda x: x,
        expect="ALIAS",
    ),
    case(
        "no kernel of the out variant for the device",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x + 1,
        lambda f, x: f(x),
        tensor(),
        out_key="CUDA",
        expect="NO_KERNEL",
    ),
    case(
        "Tensor[] is returned",
        "f(Tensor x) -> Tensor[]",
        None,
        lambda x: [x + 1, x + 2],
        lambda f, x: f(x),
        tensor(),
        expect=NO_PAIR,
    ),
    case(
        "an int is returned",
        "f(Tensor x) -> (Tensor, int)",
        "f.out(Tensor x, *, Tensor(a!) out) -> int",
        lambda x: (x + 1, 3),
        lambda f, x: f(x),
        tensor(),
        expect=NO_PAIR,
    ),
]
