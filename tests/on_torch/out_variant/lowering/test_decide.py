"""The reasons for a decline that no graph of custom ops can show, and the overlap rule."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._dynamo.utils import counters
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

from compat_shim import process
from compat_shim.out_variant.lowering import decide
from compat_shim.out_variant.lowering.decide import Decline
from compat_shim.out_variant.lowering.overlap import may_overlap
from compat_shim.out_variant.pairing import Pair
from support.checks import compile_and_compare
from support.ops import define


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
    monkeypatch.setattr(process.settings(), "log", "debug")
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
        assert may_overlap(tensor)


@given(st.permutations([0, 1, 2]), st.lists(st.integers(0, 5), min_size=3, max_size=3), st.integers(0, 3))
def test_dense_permuted_and_padded_layouts_are_not_declined(order: list[int], size: list[int], pad: int) -> None:
    dense = torch.empty([*size[:2], size[2] + pad])[..., : size[2]].permute(order)
    assert not may_overlap(dense)


class Sizes:
    """Fake tensors of symbolic sizes: backed ones (``m``, ``s``) and one known only at run time (``n``)."""

    def __init__(self) -> None:
        self.env = ShapeEnv()
        self.mode = FakeTensorMode(shape_env=self.env)
        context = StatelessSymbolicContext([DimDynamic.DYNAMIC] * 3)
        self.x = self.mode.from_tensor(torch.randn(3, 5, 7), symbolic_context=context)
        self.m, self.s, self.r = self.x.shape
        self.n = self.env.create_unbacked_symint()
        torch._check_is_size(self.n)  # what 2.6 asks for; later a mere n >= 0 will do

    def strided(self, size: Any, stride: Any) -> torch.Tensor:
        return torch.empty_strided(size, stride)

    def new(self, *size: Any) -> torch.Tensor:
        return self.x.new_empty(size)

    def overlaps(self, make: Any) -> bool:
        """What the rule says of ``make(self)``; it may leave no guard behind."""
        with self.mode:
            output = make(self)
        before = len(self.env.guards), str(self.env.deferred_runtime_asserts), str(self.env.replacements)
        answer = may_overlap(output)
        assert before == (len(self.env.guards), str(self.env.deferred_runtime_asserts), str(self.env.replacements))
        return answer


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_dense_layouts_of_symbolic_sizes_are_not_declined(order: tuple[int, ...]) -> None:
    assert not Sizes().overlaps(lambda z: torch.empty_like(z.x.permute(order)))
    assert Sizes().overlaps(lambda z: torch.empty_like(z.x.permute(order)).unsqueeze(0).expand(3, -1, -1, -1))


def up(size: Any, multiple: int) -> Any:
    """Padded up to a multiple."""
    return (size + multiple - 1) // multiple * multiple


APART = {
    "run-time sizes, n and n + 1": lambda z: z.new(2, z.n, z.n + 1),
    "run-time size in the middle": lambda z: z.new(2, z.n, 4),
    "run-time size at both ends": lambda z: z.new(z.n, 4, z.n),
    "run-time size, halved": lambda z: z.new(2, z.n // 2, 4),
    "run-time size, a sum": lambda z: z.new(2, z.n + z.s, 4),
    "run-time size, transposed": lambda z: z.new(2, z.n, z.n + 1).transpose(1, 2),
    "run-time size, padded": lambda z: z.strided((z.m, z.n), (up(z.n, 8), 1)),
    "rows padded": lambda z: z.strided((z.m, z.s), (up(z.s, 8), 1)),
    "rows padded, three dimensions": lambda z: z.strided((z.r, z.m, z.s), (z.m * up(z.s, 8), up(z.s, 8), 1)),
    "rows padded by what is missing": lambda z: z.strided((z.m, z.s), (z.s + -z.s % 8, 1)),
    "rows padded twice": lambda z: z.strided((z.m, z.s), (up(up(z.s, 3), 8), 1)),
    "rows of a padded buffer": lambda z: z.new(z.m, up(z.s, 8))[:, : z.s],
    "rows of at least 16": lambda z: z.strided((z.m, z.s), (torch.sym_max(z.s, 16), 1)),
    "columns padded": lambda z: z.strided((z.m, z.s), (1, up(z.m, 4))),
    "columns padded, batched": lambda z: z.strided((z.r, z.m, z.s), (z.s * up(z.m, 4), 1, up(z.m, 4))),
    "one row, padded": lambda z: z.strided((1, z.s), (1, up(1, 4))),
    "groups, padded": lambda z: z.strided((z.m, (z.s + 127) // 128), (1, up(z.m, 4))),
}
OPEN = {
    "expanded": lambda z: z.new(z.n, 4).unsqueeze(0).expand(3, -1, -1),
    "expanded to a run-time size": lambda z: z.new(1, 4).expand(z.n, 4),
    "expanded to a symbolic size": lambda z: z.new(1, 4).expand(z.s, 4),
    "padded down": lambda z: z.strided((z.m, z.s), (z.s // 8 * 8, 1)),
    "padded too little": lambda z: z.strided((z.m, z.s), ((z.s + 6) // 8 * 8, 1)),
    "one too few": lambda z: z.strided((z.m, z.s), (z.s - 1, 1)),
    "another size's stride": lambda z: z.strided((z.m, z.s), (up(z.m, 8), 1)),
    "batches that reach into the next": lambda z: z.strided((z.r, z.m, z.s), (z.m * z.s, up(z.s, 8), 1)),
    "run-time size, batches that reach into the next": lambda z: z.strided((2, z.n, 4), (4 * z.n - 1, 4, 1)),
    "windows": lambda z: z.strided((z.n, 4), (1, 1)),
    "windows of a run-time step": lambda z: z.strided((z.m, z.s), (z.n, 1)),
}


@pytest.mark.parametrize("name", APART)
def test_a_symbolic_layout_that_cannot_overlap_is_not_declined(name: str) -> None:
    assert not Sizes().overlaps(APART[name])


@pytest.mark.parametrize("name", OPEN)
def test_a_symbolic_layout_that_may_overlap_is_declined(name: str) -> None:
    assert Sizes().overlaps(OPEN[name])


def _rows_padded(x: torch.Tensor) -> torch.Tensor:
    rows, columns = x.shape
    return torch.empty_strided((rows, columns), (up(columns, 8), 1)).copy_(x + 1)


def _columns_padded(x: torch.Tensor) -> torch.Tensor:
    rows, columns = x.shape
    return torch.empty_strided((rows, columns), (1, up(rows, 4))).copy_(x + 1)


def _one_longer(x: torch.Tensor) -> torch.Tensor:
    return x.new_empty(2, x.shape[0], x.shape[0] + 1).copy_(x.sum())


@pytest.mark.parametrize(
    ("kernel", "of_run_time_size"),
    [(_rows_padded, False), (_columns_padded, False), (_one_longer, True)],
    ids=["rows padded", "columns padded", "run-time size"],
)
def test_a_call_with_such_an_output_is_lowered_and_equals_eager(kernel: Any, of_run_time_size: bool) -> None:
    ops = define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> ()", kernel)

    def graph(x: torch.Tensor) -> torch.Tensor:
        return ops.functional(x.flatten().nonzero().float() if of_run_time_size else x) * 2

    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compile_and_compare(graph, torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 5.0]]), dynamic=True)
    assert +counters["compat_shim"] == {"lowered": 1}
    ops.destroy()
