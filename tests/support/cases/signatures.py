"""Shapes of the functional op's inputs."""

from __future__ import annotations

from typing import Any

import torch

from support.cases.case import case, tensor, tensors


def _add(x: Any, y: Any, z: Any) -> Any:
    total = x * 2
    for term, weight in ((y, 3), (z, 5)):
        if term is not None:
            total = total + term * weight
    return total


SIGNATURES = [
    case(
        "out argument",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x: x + 1,
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "out argument with another name",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) result) -> Tensor(a!)",
        lambda x: x + 1,
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "returns nothing",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> ()",
        lambda x: x + 1,
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "Tensor! without a letter",
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor! out) -> ()",
        lambda x: x + 1,
        lambda f, x: f(x),
        tensor(),
    ),
    case(
        "overload names",
        "f.per_tensor(Tensor x, float s) -> Tensor",
        "f.per_tensor_out(Tensor x, float s, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, s: x * s,
        lambda f, x: f(x, 2.5),
        tensor(),
    ),
    case(
        "scalars and tensors interleaved",
        "f(Tensor a, float az, Tensor b, int bz, bool flip, Tensor c) -> Tensor",
        "f.out(Tensor a, float az, Tensor b, int bz, bool flip, Tensor c, *, Tensor(a!) out) -> Tensor(a!)",
        lambda a, az, b, bz, flip, c: (a - az) * (b + bz) - (c if flip else -c),
        lambda f, a, b, c: f(a, 0.5, b, 3, True, c),
        tensors(3),
    ),
    case(
        "Tensor[]",
        "f(Tensor x, Tensor[] ys, float s) -> Tensor",
        "f.out(Tensor x, Tensor[] ys, float s, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, ys, s: x - sum(y * (i + 1) for i, y in enumerate(ys)) * s,
        lambda f, x, y, z: f(x, [y, z], 2.0),
        tensors(3),
    ),
    case(
        "Tensor?[]",
        "f(Tensor x, Tensor?[] ys) -> Tensor",
        "f.out(Tensor x, Tensor?[] ys, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, ys: x - sum(y * (i + 1) for i, y in enumerate(ys) if y is not None),
        lambda f, x, y, z: f(x, [None, y, None, z]),
        tensors(3),
    ),
    case(
        "Tensor? left out",
        "f(Tensor x, Tensor? y=None, Tensor? z=None) -> Tensor",
        "f.out(Tensor x, Tensor? y=None, Tensor? z=None, *, Tensor(a!) out) -> Tensor(a!)",
        _add,
        lambda f, x, y: (f(x), f(x, y)),
        tensors(2),
        calls=2,
    ),
    case(
        "None before a tensor",
        "f(Tensor x, Tensor? y, Tensor? z) -> Tensor",
        "f.out(Tensor x, Tensor? y, Tensor? z, *, Tensor(a!) out) -> Tensor(a!)",
        _add,
        lambda f, x, t: (f(x, None, t), f(x, t, None)),
        tensors(2),
        calls=2,
    ),
    case(
        "keyword-only tensor",
        "f(Tensor x, *, Tensor y, float s=1.0) -> Tensor",
        "f.out(Tensor x, *, Tensor y, float s=1.0, Tensor(a!) out) -> Tensor(a!)",
        lambda x, y, s: x - y * s,
        lambda f, x, y: (f(x, y=y), f(x, s=2.0, y=y)),
        tensors(2),
        calls=2,
    ),
    case(
        "keyword-only argument before the out",
        "f(Tensor x, int zero, *, ScalarType? out_dtype=None) -> Tensor",
        "f.out(Tensor x, int zero, *, ScalarType? out_dtype=None, Tensor(a!) out) -> Tensor(a!)",
        lambda x, zero, out_dtype: (x - zero).to(out_dtype or x.dtype),
        lambda f, x: (f(x, 1), f(x, 1, out_dtype=torch.float64)),
        tensor(),
        calls=2,
    ),
    case(
        "defaults left out, given and by keyword",
        "f(Tensor x, float s=2.0, int n=3, bool neg=False) -> Tensor",
        "f.out(Tensor x, float s=2.0, int n=3, bool neg=False, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, s, n, neg: (x * s + n) * (-1 if neg else 1),
        lambda f, x: (f(x), f(x, 4.0), f(x, neg=True), f(x, n=1, s=0.5), f(x, 2.0, 3, True)),
        tensor(),
        calls=5,
    ),
    case(
        "int[], SymInt[], float[], bool[]",
        "f(Tensor x, int[] p, SymInt[] q, float[] r, bool[2] t, int[2] k=1) -> Tensor",
        "f.out(Tensor x, int[] p, SymInt[] q, float[] r, bool[2] t, int[2] k=1, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, p, q, r, t, k: x * (p[0] + 10 * p[1]) + q[0] - r[1] + (k[1] if t[1] else -1),
        lambda f, x: f(x, [1, 2], [x.shape[0], 5], [0.5, 0.25], [False, True]),
        tensor(),
    ),
    case(
        "SymInt and Scalar",
        "f(Tensor x, SymInt n, Scalar s) -> Tensor",
        "f.out(Tensor x, SymInt n, Scalar s, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, n, s: x * n + s,
        lambda f, x: (f(x, x.shape[1], 3), f(x, 2, 0.5)),
        tensor(),
        calls=2,
    ),
    case(
        "str, Device, Layout, MemoryFormat",
        "f(Tensor x, str mode, *, Device? device=None, Layout? layout=None, MemoryFormat? format=None) -> Tensor",
        "f.out(Tensor x, str mode, *, Device? device=None, Layout? layout=None, MemoryFormat? format=None,"
        " Tensor(a!) out) -> Tensor(a!)",
        lambda x, mode, device, layout, format: x + len(mode) + (device is None) + 2 * (layout is None),
        lambda f, x: (
            f(x, 'it\'s "quoted"'),
            f(x, "b", device=torch.device("cpu"), layout=torch.strided, format=torch.contiguous_format),
        ),
        tensor(),
        calls=2,
    ),
    case(
        "no tensor input",
        "f(SymInt n, float s) -> Tensor",
        "f.out(SymInt n, float s, *, Tensor(a!) out) -> Tensor(a!)",
        lambda n, s: torch.full((n, 2), s),
        lambda f, x: f(x.shape[0], 2.5),
        tensor(),
    ),
    case(
        "other default in the out variant",
        "f(Tensor x, float s=2.0) -> Tensor",
        "f.out(Tensor x, float s=3.0, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, s: x * s,
        lambda f, x: f(x),
        tensor(),
    ),
]
