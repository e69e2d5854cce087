"""Functions of a few tensors over aten, and custom ops that have no out variant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

Function = Callable[..., Any]

POINTWISE: list[Function] = [
    torch.abs, torch.ceil, torch.cos, torch.erf, torch.exp, torch.expm1, torch.floor, torch.frac, torch.isnan,
    torch.lgamma, torch.log1p, torch.neg, torch.reciprocal, torch.round, torch.rsqrt, torch.sigmoid, torch.sign,
    torch.sinh, torch.tan, torch.trunc, torch.digamma, torch.special.i0, F.elu, F.gelu, F.hardtanh, F.leaky_relu,
    F.logsigmoid, F.mish, F.relu6, F.selu, F.silu, F.softplus, F.softsign,
]  # fmt: skip

TWO: list[Function] = [
    torch.add, torch.atan2, torch.copysign, torch.div, torch.eq, torch.fmod, torch.hypot, torch.maximum, torch.pow,
    torch.remainder, torch.floor_divide, torch.logaddexp, torch.nextafter, torch.ldexp,
]  # fmt: skip

OTHERS: dict[str, Function] = {
    # reductions
    "sum": lambda x, y: (x * y).sum(),
    "mean of rows": lambda x, y: x.mean(-1),
    "max": lambda x, y: x.max(dim=0),
    "argmin": lambda x, y: x.argmin(-1),
    "var_mean": lambda x, y: torch.var_mean(x, dim=-1),
    "prod": lambda x, y: x.prod(-1),
    "logsumexp": lambda x, y: torch.logsumexp(x, -1),
    "any, all": lambda x, y: ((x > 1).any(0), (y < 1).all()),
    "norm": lambda x, y: (x.norm(), torch.linalg.vector_norm(y, 3, dim=0)),
    "cumsum": lambda x, y: x.cumsum(-1),
    "cumprod": lambda x, y: x.cumprod(0),
    "logcumsumexp": lambda x, y: x.logcumsumexp(-1),
    "softmax": lambda x, y: torch.softmax(x + y, -1),
    "cross entropy": lambda x, y: F.cross_entropy(x, y.argmax(-1)),
    "kl_div": lambda x, y: F.kl_div(x.log_softmax(-1), y.softmax(-1), reduction="batchmean"),
    "histc": lambda x, y: torch.histc(x, 8),
    # indexing
    "gather": lambda x, y: x.gather(1, y.argsort(-1)),
    "scatter": lambda x, y: x.scatter(1, y.argsort(-1), 2.0),
    "scatter_add": lambda x, y: x.scatter_add(0, y.argsort(0), y),
    "scatter_reduce": lambda x, y: x.scatter_reduce(0, y.argsort(0), y, "amax"),
    "index_put": lambda x, y: x.index_put((torch.tensor([0, 2]),), y[:2], accumulate=True),
    "index_add": lambda x, y: x.index_add(0, torch.tensor([1, 3]), y[:2]),
    "index_select": lambda x, y: x.index_select(1, torch.tensor([3, 1])),
    "advanced indexing": lambda x, y: x[torch.tensor([0, 3]), :, None][..., torch.tensor([0])],
    "where": lambda x, y: torch.where(x > y, x, 0),
    "masked_fill": lambda x, y: x.masked_fill(y > 0, float("-inf")),
    "tril": lambda x, y: (x.tril(), y.triu(1)),
    "select_scatter": lambda x, y: x.select_scatter(y[0], 0, 1),
    "slice assignment": lambda x, y: x.clone().index_fill_(0, torch.tensor([1]), 3).narrow(0, 1, 2).mul_(2),
    "embedding": lambda x, y: F.embedding(x.argsort(-1), y),
    "one_hot": lambda x, y: F.one_hot(x.argmax(-1), 16),
    "take_along_dim": lambda x, y: torch.take_along_dim(x, y.argsort(-1), 1),
    "bucketize": lambda x, y: torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])),
    "searchsorted": lambda x, y: torch.searchsorted(x.sort(-1)[0], y),
    # sorting
    "sort": lambda x, y: x.sort(-1),
    "stable sort of a sum": lambda x, y: (x + y).sort(stable=True, dim=0),
    "topk": lambda x, y: x.topk(3),
    "kthvalue": lambda x, y: x.kthvalue(2),
    "median": lambda x, y: x.median(-1),
    # shapes
    "cat": lambda x, y: torch.cat([x, y + 1, x]),
    "stack": lambda x, y: torch.stack([x, y]).transpose(0, 2).contiguous(),
    "split": lambda x, y: [part * 2 for part in x.split([4, 12], 1)],
    "roll and flip": lambda x, y: (x.roll(3, 1), y.flip(0)),
    "pad": lambda x, y: (F.pad(x, (1, 2)), F.pad(y[None], (2, 1), mode="reflect")),
    "unfold": lambda x, y: x.unfold(1, 4, 2).sum(-1),
    "as_strided": lambda x, y: x.as_strided((4, 4), (1, 2)) + 1,
    "repeat": lambda x, y: (x.repeat(2, 3), y.repeat_interleave(2, 0)),
    "meshgrid": lambda x, y: torch.meshgrid(x[0], y[0], indexing="ij"),
    "channels last": lambda x, y: x.view(1, 4, 8, 8).contiguous(memory_format=torch.channels_last) + 1,
    # linear algebra
    "mm": lambda x, y: x @ y,
    "addmm": lambda x, y: torch.addmm(x, x, y, beta=0.5),
    "bmm": lambda x, y: torch.bmm(x[None], y[None]).relu(),
    "einsum": lambda x, y: torch.einsum("ij,kj->ik", x, y),
    "baddbmm": lambda x, y: torch.baddbmm(x[None], x[None], y[None]),
    "det, inv": lambda x, y: (torch.linalg.det(x), torch.linalg.inv(y)),
    "qr": lambda x, y: torch.linalg.qr(x),
    "svd": lambda x, y: torch.linalg.svd(x, full_matrices=False),
    "eigh": lambda x, y: torch.linalg.eigh(x @ x.T),
    "cholesky": lambda x, y: torch.linalg.cholesky(x @ x.T + 99 * torch.eye(16)),
    "solve": lambda x, y: torch.linalg.solve(x, y),
    "matrix_exp": lambda x, y: torch.matrix_exp(x),
    # transforms and complex numbers
    "fft": lambda x, y: torch.fft.fft(x),
    "rfft2, irfft2": lambda x, y: torch.fft.irfft2(torch.fft.rfft2(x)),
    "complex product": lambda x, y: torch.complex(x, y) * torch.complex(y, x),
    "complex parts": lambda x, y: (
        torch.complex(x, y).abs(),
        torch.view_as_real(torch.complex(x, y)),
    ),
    "polar": lambda x, y: torch.polar(x.abs(), y).real,
    # random numbers
    "rand_like": lambda x, y: torch.rand_like(x) + y,
    "randint": lambda x, y: torch.randint(0, 9, (4,)) + x[0, 0],
    "bernoulli": lambda x, y: torch.bernoulli(x.sigmoid()),
    "multinomial": lambda x, y: torch.multinomial(x.softmax(-1), 2),
    "randperm": lambda x, y: torch.randperm(16) + 1,
    "dropout": lambda x, y: F.dropout(x, 0.5) + F.dropout(y, 0.1),
    # dtypes
    "bfloat16": lambda x, y: (x.bfloat16() @ y.bfloat16()).float(),
    "float16 sum": lambda x, y: x.half().sum(-1),
    "int8": lambda x, y: (x * 10).to(torch.int8).to(torch.int32) @ (y * 10).to(torch.int8).to(torch.int32),
    "float8": lambda x, y: x.to(torch.float8_e4m3fn).float() + y.to(torch.float8_e5m2).float(),
    "bits": lambda x, y: (x.view(torch.int32) ^ y.view(torch.int32)) >> 3,
    "scaled mm": lambda x, y: torch._scaled_mm(
        x.to(torch.float8_e4m3fn), y.to(torch.float8_e4m3fn).T, torch.tensor(1.0), torch.tensor(1.0)
    ),
    # images
    "grid_sample": lambda x, y: F.grid_sample(x[None, None], y.view(1, 8, 16, 2), align_corners=False),
    "interpolate": lambda x, y: F.interpolate(x[None, None], scale_factor=2.0, mode="nearest"),
    "max_pool2d": lambda x, y: F.max_pool2d(x[None, None], 3, return_indices=True),
    "conv1d": lambda x, y: F.conv1d(x[None], y[:, :, None]),
    "conv3d": lambda x, y: F.conv3d(x.view(1, 1, 4, 8, 8), y.view(-1, 1, 2, 2, 2)),
    "pixel_shuffle": lambda x, y: F.pixel_shuffle(x.view(1, 4, 8, 8), 2),
    "cdist": lambda x, y: torch.cdist(x, y),
    # writes
    "write to an input": lambda x, y: x.add_(y).sum(),
    "write to a view of an input": lambda x, y: (x[1:].mul_(2), y.t().zero_()),
    "out argument": lambda x, y: torch.add(x, y, out=torch.empty_like(x)),
    "foreach": lambda x, y: torch._foreach_add([x, y], [y, x], alpha=2),
    "many small kernels": lambda x, y: [(x * i).softmax(-1) @ (y + i) for i in range(8)],
    "chain of products": lambda x, y: x @ y @ x @ y @ x @ y @ x @ y,
}

# Compiled with symbolic sizes too.
DYNAMIC = [
    "sum", "softmax", "cumsum", "gather", "where", "cat", "split", "pad", "mm", "einsum", "fft", "rand_like",
    "topk", "index_add", "unfold", "write to an input", "many small kernels", "bfloat16", "roll and flip", "sort",
]  # fmt: skip


def _write(x: torch.Tensor, y: torch.Tensor) -> None:
    x.add_(y)


def _untagged_out(x: torch.Tensor, out: torch.Tensor) -> None:
    out.copy_(x + 3)


def custom_ops() -> dict[str, Function]:
    """Custom ops without an out variant: functional, of several outputs, writing, with fixed strides."""
    library = torch.library.Library("no_harm", "FRAGMENT")
    kept.append(library)
    for schema, tags, kernel in (
        ("one(Tensor x, float s=2.0) -> Tensor", (), lambda x, s=2.0: x * s),
        ("fixed(Tensor x) -> Tensor", (torch.Tag.needs_fixed_stride_order,), lambda x: x + 1),
        ("two(Tensor x) -> (Tensor, Tensor)", (), lambda x: (x + 1, x.sum(-1))),
        ("many(Tensor[] xs, Tensor? y=None) -> Tensor[]", (), lambda xs, y=None: [x + 1 for x in xs]),
        ("write(Tensor(a!) x, Tensor y) -> ()", (), _write),
        ("untagged(Tensor x) -> Tensor", (), lambda x: x + 3),
        ("untagged.out(Tensor x, *, Tensor(a!) out) -> ()", (), _untagged_out),
    ):
        name = schema.partition("(")[0]
        library.define(schema, tags=tags)
        library.impl(name, kernel, "CompositeExplicitAutograd")
        torch.library.register_fake(f"no_harm::{name}", kernel, lib=library)
    for name, kernel, mutates, schema in (
        ("c_one", lambda x, s=2.0: x * s, (), "(Tensor x, float s=2.0) -> Tensor"),
        ("c_two", lambda x: (x + 1, x.sum(-1)), (), "(Tensor x) -> (Tensor, Tensor)"),
        ("c_many", lambda xs, y=None: [x + 1 for x in xs], (), "(Tensor[] xs, Tensor? y=None) -> Tensor[]"),
        ("c_write", _write, ("x",), "(Tensor(a!) x, Tensor y) -> ()"),
    ):
        made = torch.library.custom_op(f"no_harm::{name}", kernel, mutates_args=mutates, schema=schema)
        made.register_fake(kernel)
        kept.append(made)
    ops = torch.ops.no_harm
    return {
        "custom_op": lambda x, y: ops.c_one(ops.c_one(x, 3.0) + y),
        "custom_op of two outputs": lambda x, y: ops.c_two(ops.c_two(x)[0].relu()),
        "custom_op of tensor lists": lambda x, y: ops.c_many([x, y + 1], y),
        "custom_op that writes": lambda x, y: (ops.c_write(x, y), x + 1),
        "custom op": lambda x, y: ops.one(ops.one(x, 3.0) + y),
        "custom op of fixed strides": lambda x, y: ops.fixed(x.t()) @ y,
        "custom op of two outputs": lambda x, y: ops.two(ops.two(x)[0].relu()),
        "custom op of tensor lists": lambda x, y: ops.many([x, y + 1], y),
        "custom op that writes": lambda x, y: ops.write(x, y),
        "custom op with an out overload that nobody tagged": lambda x, y: ops.untagged(x) + 1,
    }


kept: list[Any] = []
