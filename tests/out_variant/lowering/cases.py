"""The op shapes of the catalogue: what users have, and what upstream's lowering gets wrong."""

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
        kernel: see ``ops.define``.
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


def _x(*shape: int) -> Callable[[], tuple[torch.Tensor]]:
    return lambda: (torch.randn(*(shape or (4, 6))),)


def _xs(count: int) -> Callable[[], tuple[torch.Tensor, ...]]:
    return lambda: tuple(torch.randn(4, 6) for _ in range(count))


def _add(x: Any, y: Any, z: Any) -> Any:
    total = x * 2
    for term, weight in ((y, 3), (z, 5)):
        if term is not None:
            total = total + term * weight
    return total


def _case(name: str, schema: str, out: str | None, kernel: Any, run: Any, inputs: Any, **more: Any) -> Case:
    return Case(name, schema, out, kernel, run, inputs, **more)


SIGNATURES = [
    _case(
        "out argument",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x + 1,
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "out argument with another name",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) result) -> Tensor(a!)",
        lambda x: x + 1,
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "returns nothing",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> ()",
        lambda x: x + 1,
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "Tensor! without a letter",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor! out) -> ()",
        lambda x: x + 1,
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "overload names",
        "f.per_tensor(Tensor x, float s) -> Tensor",
        "f.per_tensor_out(Tensor x, float s, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, s: x * s,
        lambda f, x: f(x, 2.5),
        _x(),
    ),
    _case(
        "scalars and tensors interleaved",
        "f(Tensor a, float az, Tensor b, int bz, bool flip, Tensor c) -> Tensor",
        "f.out(Tensor a, float az, Tensor b, int bz, bool flip, Tensor c, *, Tensor(a!) out) -> Tensor(a!)",
        lambda a, az, b, bz, flip, c: (a - az) * (b + bz) - (c if flip else -c),
        lambda f, a, b, c: f(a, 0.5, b, 3, True, c),
        _xs(3),
    ),
    _case(
        "Tensor[]",
        "f(Tensor x, Tensor[] ys, float s) -> Tensor",
        "f.out(Tensor x, Tensor[] ys, float s, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, ys, s: x - sum(y * (i + 1) for i, y in enumerate(ys)) * s,
        lambda f, x, y, z: f(x, [y, z], 2.0),
        _xs(3),
    ),
    _case(
        "Tensor?[]",
        "f(Tensor x, Tensor?[] ys) -> Tensor",
        "f.out(Tensor x, Tensor?[] ys, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, ys: x - sum(y * (i + 1) for i, y in enumerate(ys) if y is not None),
        lambda f, x, y, z: f(x, [None, y, None, z]),
        _xs(3),
    ),
    _case(
        "Tensor? left out",
        "f(Tensor x, Tensor? y=None, Tensor? z=None) -> Tensor",
        "f.out(Tensor x, Tensor? y=None, Tensor? z=None, *, Tensor(a!) out) -> Tensor(a!)",
        _add,
        lambda f, x, y: (f(x), f(x, y)),
        _xs(2),
        calls=2,
    ),
    _case(
        "None before a tensor",
        "f(Tensor x, Tensor? y, Tensor? z) -> Tensor",
        "f.out(Tensor x, Tensor? y, Tensor? z, *, Tensor(a!) out) -> Tensor(a!)",
        _add,
        lambda f, x, t: (f(x, None, t), f(x, t, None)),
        _xs(2),
        calls=2,
    ),
    _case(
        "keyword-only tensor",
        "f(Tensor x, *, Tensor y, float s=1.0) -> Tensor",
        "f.out(Tensor x, *, Tensor y, float s=1.0, Tensor(a!) out) -> Tensor(a!)",
        lambda x, y, s: x - y * s,
        lambda f, x, y: (f(x, y=y), f(x, s=2.0, y=y)),
        _xs(2),
        calls=2,
    ),
    _case(
        "keyword-only argument before the out",
        "f(Tensor x, int zero, *, ScalarType? out_dtype=None) -> Tensor",
        "f.out(Tensor x, int zero, *, ScalarType? out_dtype=None, Tensor(a!) out) -> Tensor(a!)",
        lambda x, zero, out_dtype: (x - zero).to(out_dtype or x.dtype),
        lambda f, x: (f(x, 1), f(x, 1, out_dtype=torch.float64)),
        _x(),
        calls=2,
    ),
    _case(
        "defaults left out, given and by keyword",
        "f(Tensor x, float s=2.0, int n=3, bool neg=False) -> Tensor",
        "f.out(Tensor x, float s=2.0, int n=3, bool neg=False, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, s, n, neg: (x * s + n) * (-1 if neg else 1),
        lambda f, x: (f(x), f(x, 4.0), f(x, neg=True), f(x, n=1, s=0.5), f(x, 2.0, 3, True)),
        _x(),
        calls=5,
    ),
    _case(
        "int[], SymInt[], float[], bool[]",
        "f(Tensor x, int[] p, SymInt[] q, float[] r, bool[2] t, int[2] k=1) -> Tensor",
        "f.out(Tensor x, int[] p, SymInt[] q, float[] r, bool[2] t, int[2] k=1, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, p, q, r, t, k: x * (p[0] + 10 * p[1]) + q[0] - r[1] + (k[1] if t[1] else -1),
        lambda f, x: f(x, [1, 2], [x.shape[0], 5], [0.5, 0.25], [False, True]),
        _x(),
    ),
    _case(
        "SymInt and Scalar",
        "f(Tensor x, SymInt n, Scalar s) -> Tensor",
        "f.out(Tensor x, SymInt n, Scalar s, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, n, s: x * n + s,
        lambda f, x: (f(x, x.shape[1], 3), f(x, 2, 0.5)),
        _x(),
        calls=2,
    ),
    _case(
        "str, Device, Layout, MemoryFormat",
        "f(Tensor x, str mode, *, Device? device=None, Layout? layout=None, MemoryFormat? format=None) -> Tensor",
        "f.out(Tensor x, str mode, *, Device? device=None, Layout? layout=None, MemoryFormat? format=None,"
        " Tensor(a!) out) -> Tensor(a!)",
        lambda x, mode, device, layout, format: x + len(mode) + (device is None) + 2 * (layout is None),
        lambda f, x: (
            f(x, 'it\'s "quoted"'),
            f(x, "b", device=torch.device("cpu"), layout=torch.strided, format=torch.contiguous_format),
        ),
        _x(),
        calls=2,
    ),
    _case(
        "no tensor input",
        "f(SymInt n, float s) -> Tensor",
        "f.out(SymInt n, float s, *, Tensor(a!) out) -> Tensor(a!)",
        lambda n, s: torch.full((n, 2), s),
        lambda f, x: f(x.shape[0], 2.5),
        _x(),
    ),
    _case(
        "other default in the out variant",
        "f(Tensor x, float s=2.0) -> Tensor",
        "f.out(Tensor x, float s=3.0, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, s: x * s,
        lambda f, x: f(x),
        _x(),
    ),
]

BY_HAND = [
    _case(
        "flat name, positional out",
        "linear(Tensor x, Tensor w, str config_key) -> Tensor",
        "linear_out(Tensor x, Tensor w, str config_key, Tensor(a!) out) -> ()",
        lambda x, w, config_key: x * w + len(config_key),
        lambda f, x, w: f(x, w, "key"),
        _xs(2),
        by_hand=True,
    ),
    _case(
        "out in the middle",
        "rowwise(Tensor x, Tensor w, Tensor? bias=None, bool fast=True) -> Tensor",
        "rowwise_out(Tensor x, Tensor w, Tensor(a!) output, Tensor? bias=None, bool fast=True) -> ()",
        lambda x, w, bias, fast: x * w + (0 if bias is None else bias) + (1 if fast else 2),
        lambda f, x, w, b: (f(x, w), f(x, w, b), f(x, w, b, False), f(x, w, fast=False)),
        _xs(3),
        calls=4,
        by_hand=True,
    ),
    _case(
        "out before the inputs",
        "f(Tensor x, Tensor y, float s=2.0) -> Tensor",
        "f_out(Tensor(a!) out, Tensor x, Tensor y, float s=2.0) -> Tensor(a!)",
        lambda x, y, s: x - y * s,
        lambda f, x, y: (f(x, y), f(x, y, 3.0), f(x, y=y, s=0.5)),
        _xs(2),
        calls=3,
        by_hand=True,
    ),
    _case(
        "two positional outs, untagged, vLLM-shaped",
        "fp4_quant(Tensor input, Tensor input_scale, bool swizzled) -> (Tensor, Tensor)",
        "fp4_quant.out(Tensor input, Tensor input_scale, bool swizzled, *, Tensor(a!) output,"
        " Tensor(b!) output_scale) -> ()",
        lambda input, input_scale, swizzled: ((input * 4).to(torch.int8), input_scale * (2 if swizzled else 1)),
        lambda f, x, s: f(x, s, True),
        _xs(2),
        by_hand=True,
    ),
    _case(
        "two outs around the inputs",
        "f(Tensor x, float s=1.0) -> (Tensor, Tensor)",
        "f_out(Tensor(a!) first, Tensor x, Tensor(b!) second, float s=1.0) -> ()",
        lambda x, s: (x * s, x.sum(-1)),
        lambda f, x: (f(x), f(x, 2.0)),
        _x(),
        calls=2,
        by_hand=True,
    ),
]


def _two(x: Any) -> Any:
    return (x + 1, x.sum(-1))


def _mixed(x: Any) -> Any:
    return (
        x.to(torch.bfloat16),
        (x * 8).to(torch.int8),
        x > 0,
        torch.complex(x, -x),
        x.clamp(-1, 1).to(torch.float8_e4m3fn),
    )


_TWO = ("f(Tensor x) -> (Tensor, Tensor)", "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()")

OUTPUTS = [
    _case("two outputs", *_TWO, _two, lambda f, x: f(x), _x()),
    _case(
        "two outputs that are returned",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> (Tensor(a!), Tensor(b!))",
        _two,
        lambda f, x: f(x),
        _x(),
    ),
    _case("first output unused", *_TWO, _two, lambda f, x: f(x)[1], _x()),
    _case("second output unused", *_TWO, _two, lambda f, x: f(f(x)[0])[0], _x(), calls=2),
    _case("all outputs unused", *_TWO, _two, lambda f, x: (f(x), x * 1)[1], _x(), calls=0),
    _case(
        "five outputs of five dtypes",
        "f(Tensor x) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) a, Tensor(b!) b, Tensor(c!) c, Tensor(d!) d, Tensor(e!) e) -> ()",
        _mixed,
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "transposed output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: (x.t().contiguous() + 1).t(),
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "channels-last output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: (x + 1).contiguous(memory_format=torch.channels_last),
        lambda f, x: f(x),
        _x(2, 3, 4, 5),
    ),
    _case(
        "padded output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: torch.cat([x, x], 1)[:, : x.shape[1]],
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "output with a storage offset",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: torch.cat([x, x + 1])[x.shape[0] :],
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "0-dim output",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) lo, Tensor(b!) hi) -> ()",
        lambda x: (x.amin(), x.amax()),
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "0-size output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x[:0] + 1,
        lambda f, x: f(x),
        _x(),
    ),
    _case(
        "views as inputs",
        "f(Tensor x, Tensor y) -> Tensor",
        "f.out(Tensor x, Tensor y, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, y: (x * 2 + y).contiguous(),
        lambda f, x: (f(x[:, ::2], x[0, :1].expand(4, 3)), f(x.t(), x.t().flip(0).flip(0))),
        _x(),
        calls=2,
    ),
    _case(
        "views of outputs",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()",
        _two,
        lambda f, x: (lambda y, s: (y.t(), y[1:], f(y[:, 1:])[1], s.unsqueeze(-1).expand(4, 2)))(*f(x)),
        _x(),
        calls=2,
    ),
    _case(
        "output is written in place",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()",
        _two,
        lambda f, x: (lambda y, s: (y.mul_(2), f(y)[0], s.add_(1)))(*f(x)),
        _x(),
        calls=2,
    ),
]


def _of_data_dependent_size(f: Any, x: Any) -> Any:
    size = x.abs().sum().int().item() + 2
    torch._check_is_size(size)
    torch._check(size >= 2)
    y, s = f(x.new_ones((size, 3)))
    return y.sum(), s.sum()


DYNAMIC = [
    _case(
        "dynamic shapes, one output",
        "f(Tensor x, SymInt n) -> Tensor",
        "f.out(Tensor x, SymInt n, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, n: x.repeat(2, 1) * n,
        lambda f, x: f(f(x, 3), x.shape[0]),
        _x(),
        calls=2,
        dynamic=True,
    ),
    _case("dynamic shapes, two outputs", *_TWO, _two, lambda f, x: f(f(x)[0]), _x(), calls=2, dynamic=True),
    _case(
        "dynamic shapes, three dimensions, permuted",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: (x + 1).permute(1, 2, 0).contiguous().permute(2, 0, 1),
        lambda f, x: f(x),
        _x(3, 4, 5),
        dynamic=True,
    ),
    _case(
        "unbacked input size",
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()",
        _two,
        _of_data_dependent_size,
        _x(),
        unbacked=True,
    ),
]


def _nonzero_fake(x: Any) -> Any:
    return x.new_empty((torch.library.get_ctx().new_dynamic_size(), x.dim()), dtype=torch.int64)


DECLINED = [
    _case(
        "data-dependent size",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x.nonzero().contiguous(),
        lambda f, x: f(x),
        _x(),
        fake=_nonzero_fake,
        unbacked=True,
        expect="DATA_DEPENDENT",
    ),
    _case(
        "overlapping output",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: (x.sum(-1, keepdim=True)).expand(4, 6),
        lambda f, x: f(x),
        _x(),
        expect="OVERLAP",
    ),
    _case(
        "outputs that share storage",
        *_TWO,
        lambda x: (lambda both: (both[:4], both[4:, 0]))(torch.cat([x, x + 1])),
        lambda f, x: f(x),
        _x(),
        expect="ALIAS",
    ),
    _case(
        "output that is an input in the fake",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x + 1,
        lambda f, x: f(x),
        _x(),
        fake=lambda x: x,
        expect="ALIAS",
    ),
    _case(
        "no kernel of the out variant for the device",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x + 1,
        lambda f, x: f(x),
        _x(),
        out_key="CUDA",
        expect="NO_KERNEL",
    ),
    _case(
        "Tensor[] is returned",
        "f(Tensor x) -> Tensor[]",
        None,
        lambda x: [x + 1, x + 2],
        lambda f, x: f(x),
        _x(),
        expect=NO_PAIR,
    ),
    _case(
        "an int is returned",
        "f(Tensor x) -> (Tensor, int)",
        "f.out(Tensor x, *, Tensor(a!) out) -> int",
        lambda x: (x + 1, 3),
        lambda f, x: f(x),
        _x(),
        expect=NO_PAIR,
    ),
]

CASES = [*SIGNATURES, *BY_HAND, *OUTPUTS, *DYNAMIC, *DECLINED]
