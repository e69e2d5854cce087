"""The ops of the tests here, written against torch 2.13, and inputs for them."""

from __future__ import annotations

import torch
from torch import Tensor

import compat_shim  # noqa: F401


@torch.library.custom_op("out_api::add", mutates_args={"out"}, tags=torch.Tag.out)
def add(x: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
    return torch.add(x, y, out=out)


@torch.library.custom_op("out_api::split", mutates_args=("low", "high"), tags=[torch.Tag.out])
def split(x: Tensor, at: float = 0.0, *, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    low.copy_(x.clamp(max=at))
    high.copy_(x.clamp(min=at))
    return low, high


@torch.library.custom_op("out_api::add_", mutates_args={"x"}, tags=torch.Tag.inplace)
def add_(x: Tensor, y: Tensor) -> Tensor:
    return x.add_(y)


def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 5, generator=generator), torch.randn(4, 5, generator=generator)
