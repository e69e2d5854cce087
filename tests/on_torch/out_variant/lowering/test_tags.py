"""Tags of the functional op mean the same with an out variant and without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config

from support.checks import compile_and_compare
from support.ops import Ops, define

STRIDE_TAGS = [
    name
    for name in ("needs_exact_strides", "needs_contiguous_strides", "needs_fixed_stride_order", "flexible_layout")
    if hasattr(torch.Tag, name)
]
Strides = list[tuple[int, ...]]


def _pair(with_out: bool, kernel: Any, *tags: torch.Tag) -> Ops:
    return define(
        "f(Tensor x) -> Tensor",
        "f.out(Tensor x, *, Tensor(a!) out) -> ()" if with_out else None,
        kernel,
        fake=lambda x: torch.empty(x.shape),
        functional_tags=tags,
        tags=(torch.Tag.out_variant, *tags),
    )


def _strides_seen(tags: list[str], x: torch.Tensor, with_out: bool) -> Strides:
    """The strides of the inputs of each call: a computed value, a view of it, a graph input."""
    seen: Strides = []

    def kernel(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.stride())
        return (x * 2).clone(memory_format=torch.contiguous_format)

    ops = _pair(with_out, kernel, *(getattr(torch.Tag, name) for name in tags))

    def graph(x: torch.Tensor) -> Any:
        y = torch.bmm(x, x)
        return ops.functional(y), ops.functional(y.transpose(1, 2)), ops.functional(x), ops.functional(x[:, ::2])

    compile_and_compare(graph, x)
    assert counters["compat_shim"]["lowered"] == (4 if with_out else 0)
    return seen[4:]  # what eager saw goes before


@pytest.mark.parametrize("tags", [[], *([name] for name in STRIDE_TAGS)], ids=lambda tags: " ".join(tags) or "none")
def test_a_stride_order_tag_gives_the_kernel_the_strides_that_the_functional_op_gets(
    tags: list[str], shared_kernels: None
) -> None:
    x = torch.randn(2, 6, 6).transpose(0, 1).contiguous().transpose(0, 1)
    assert _strides_seen(tags, x, with_out=True) == _strides_seen(tags, x, with_out=False)


if hasattr(torch.Tag, "needs_contiguous_strides"):

    def test_the_stride_order_tags_are_told_apart_by_the_test_above(shared_kernels: None) -> None:
        x = torch.randn(2, 6, 6).transpose(0, 1).contiguous().transpose(0, 1)
        seen = {tuple(_strides_seen([name], x, with_out=True)) for name in STRIDE_TAGS}
        assert len(seen) > 1


@pytest.mark.parametrize("seeded", [False, True])
def test_a_call_on_constants_is_folded_unless_the_functional_op_is_nondeterministic(seeded: bool) -> None:
    def calls(with_out: bool) -> dict[str, int]:
        ops = _pair(with_out, lambda x: x * 2, *((torch.Tag.nondeterministic_seeded,) if seeded else ()))

        class Model(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.weight = torch.nn.Parameter(torch.ones(3, 3))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.mm(x, ops.functional(self.weight))

        torch._dynamo.reset()
        with torch.no_grad(), config.patch(freezing=True):
            model = torch.compile(Model().eval(), fullgraph=True)
            ops.calls.clear()
            for _ in range(3):
                model(torch.ones(3, 3))
        return dict(ops.calls)

    assert calls(True) == ({"out": 3} if seeded else {"functional": 1})
    assert calls(False) == ({"functional": 3} if seeded else {"functional": 1})
