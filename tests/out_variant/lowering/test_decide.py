"""The reasons for a decline that no graph of custom ops can show, and the overlap rule."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops import define
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from compat_shim import shim
from compat_shim.out_variant.lowering import decide
from compat_shim.out_variant.lowering.decide import Decline
from compat_shim.out_variant.pairing import Pair


def after_fake(*outputs: Any, inputs: tuple[Any, ...] = ()) -> Decline | None:
    pair = Pair(None, None, tuple(f"out{i}" for i in range(len(outputs))), "tag")
    return decide.after_fake(pair, outputs if len(outputs) > 1 else outputs[0], inputs, {})


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.eye(3).to_sparse_csr(),
        lambda: torch.eye(3).to_mkldnn(),
        lambda: torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.quint8),
        lambda: torch.randn(3, dtype=torch.complex64).conj(),
        lambda: torch.randn(3, dtype=torch.complex64).conj().imag,
        lambda: torch.empty(3, device="meta"),
    ],
    ids=["sparse", "csr", "mkldnn", "quantized", "conjugate", "negative", "meta"],
)
def test_an_output_that_is_no_plain_strided_tensor_is_declined(make: Any) -> None:
    assert after_fake(make()) is Decline.LAYOUT
    assert after_fake(torch.randn(3), make()) is Decline.LAYOUT


@pytest.mark.parametrize("output", [None, 3, [torch.ones(1), None], {"a": torch.ones(1)}], ids=str)
def test_an_output_that_is_no_tensor_is_declined(output: Any) -> None:
    assert after_fake(output) is Decline.NOT_TENSORS


def test_outputs_that_share_storage_are_declined() -> None:
    whole = torch.randn(4, 4)
    assert after_fake(whole[:2], whole[2:]) is Decline.ALIAS
    assert after_fake(whole[0], inputs=(whole,)) is Decline.ALIAS
    assert after_fake(whole[0], inputs=(torch.randn(4, 4), None, 3)) is None


def test_each_decision_is_logged_where_the_environment_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ops = define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> ()", lambda x: x + 1)
    wide = define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> ()", lambda x: x[:1].expand(3, 3))
    monkeypatch.setattr(shim.current_settings(), "log", "debug")
    torch.compile(lambda x: (ops.functional(x), wide.functional(x)), fullgraph=True)(torch.ones(3, 3))
    messages = [record.getMessage() for record in caplog.records if record.name == "compat_shim"]
    assert f"compat_shim: {ops.functional}: lowered to {ops.out}" in messages
    assert f"compat_shim: {wide.functional}: declined: {Decline.OVERLAP.value}" in messages


def _overlaps(size: list[int], stride: list[int]) -> bool:
    offsets = [
        sum(index * step for index, step in zip(position, stride))
        for position in itertools.product(*(range(n) for n in size))
    ]
    return len(set(offsets)) < len(offsets)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20)), max_size=4))
def test_no_layout_with_overlapping_elements_is_taken_for_one_without(dims: list[tuple[int, int]]) -> None:
    size, stride = [n for n, _ in dims], [step for _, step in dims]
    tensor = torch.empty_strided(size, stride)
    if _overlaps(size, stride):
        assert decide._may_overlap(tensor)


@given(st.permutations([0, 1, 2]), st.lists(st.integers(0, 5), min_size=3, max_size=3), st.integers(0, 3))
def test_dense_permuted_and_padded_layouts_are_not_declined(order: list[int], size: list[int], pad: int) -> None:
    dense = torch.empty([*size[:2], size[2] + pad])[..., : size[2]].permute(order)
    assert not decide._may_overlap(dense)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_dense_layouts_of_symbolic_sizes_are_not_declined(order: tuple[int, ...]) -> None:
    mode = FakeTensorMode(shape_env=ShapeEnv())
    with mode:
        symbolic = mode.from_tensor(torch.randn(3, 4, 5), static_shapes=False)
        output = torch.empty_like(symbolic.permute(order))
    assert not decide._may_overlap(output)
    assert decide._may_overlap(output.unsqueeze(0).expand(3, -1, -1, -1))
