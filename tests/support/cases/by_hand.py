"""Shapes of out variants that are registered by hand."""

from __future__ import annotations

import torch

from support.cases.case import case, tensor, tensors

BY_HAND = [
    case(
        "flat name, positional out",
        "linear(Tensor x, Tensor w, str config_key) -> Tensor",
        "linear_out(Tensor x, Tensor w, str config_key, Tensor(a!) out) -> ()",
        lambda x, w, config_key: x * w + len(config_key),
        lambda f, x, w: f(x, w, "key"),
        tensors(2),
        by_hand=True,
    ),
    case(
        "out in the middle",
        "rowwise(Tensor x, Tensor w, Tensor? bias=None, bool fast=True) -> Tensor",
        "rowwise_out(Tensor x, Tensor w, Tensor(a!) output, Tensor? bias=None, bool fast=True) -> ()",
        lambda x, w, bias, fast: x * w + (0 if bias is None else bias) + (1 if fast else 2),
        lambda f, x, w, b: (f(x, w), f(x, w, b), f(x, w, b, False), f(x, w, fast=False)),
        tensors(3),
        calls=4,
        by_hand=True,
    ),
    case(
        "out before the inputs",
        "f(Tensor x, Tensor y, float s=2.0) -> Tensor",
        "f_out(Tensor(a!) out, Tensor x, Tensor y, float s=2.0) -> Tensor(a!)",
        lambda x, y, s: x - y * s,
        lambda f, x, y: (f(x, y), f(x, y, 3.0), f(x, y=y, s=0.5)),
        tensors(2),
        calls=3,
        by_hand=True,
    ),
    case(
        "two positional outs, untagged, vLLM-shaped",
        "fp4_quant(Tensor input, Tensor input_scale, bool swizzled) -> (Tensor, Tensor)",
        "fp4_quant.out(Tensor input, Tensor input_scale, bool swizzled, *, Tensor(a!) output,"
        " Tensor(b!) output_scale) -> ()",
        lambda input, input_scale, swizzled: ((input * 4).to(torch.int8), input_scale * (2 if swizzled else 1)),
        lambda f, x, s: f(x, s, True),
        tensors(2),
        by_hand=True,
    ),
    case(
        "two outs around the inputs",
        "f(Tensor x, float s=1.0) -> (Tensor, Tensor)",
        "f_out(Tensor(a!) first, Tensor x, Tensor(b!) second, float s=1.0) -> ()",
        lambda x, s: (x * s, x.sum(-1)),
        lambda f, x: (f(x), f(x, 2.0)),
        tensor(),
        calls=2,
        by_hand=True,
    ),
]
