"""Wrappers that are not Python: ``cpp_wrapper``, AOTInductor and the FX wrapper call the out variant too.

The op shapes of the catalogue are compiled as one graph for each wrapper: one run of the C++ compiler.
"""

from __future__ import annotations

import collections
import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import codecache, config

from compat_shim.release import within
from support.cases import CASES, LOWERED, Case
from support.checks import compile_and_compare, same
from support.ops import Ops, define
from support.processes import finding_support

# What torch's own fallback cannot pass there, on one release or another: a memory format, a device
# or a dtype in C++ code; a C++ kernel, of which an FX graph has none.
NOT_IN_CPP = {"str, Device, Layout, MemoryFormat", "keyword-only argument before the out"}
NOT_IN_FX = {"views as inputs", "output is written in place", "all outputs unused"}


def shapes(*leave_out: str) -> list[Case]:
    return [
        case
        for case in CASES
        if case.expect == LOWERED and not case.dynamic and not case.unbacked and case.name not in leave_out
    ]


@contextlib.contextmanager
def one_graph(cases: list[Case]) -> Iterator[tuple[Callable[..., Any], list[torch.Tensor], list[Ops]]]:
    """A function that calls the ops of all cases, its inputs, and the ops."""
    defined = [
        define(case.schema, case.out_schema, case.kernel, fake=case.fake, by_hand=case.by_hand, reuses=case.reuses)
        for case in cases
    ]
    inputs = [case.inputs() for case in cases]

    def graph(*flat: Any) -> list[Any]:
        rest = list(flat)
        results = []
        for case, ops, own in zip(cases, defined, inputs):
            given, rest = rest[: len(own)], rest[len(own) :]
            results.append(case.run(ops.functional, *given))
        return results

    yield graph, [value for own in inputs for value in own], defined
    assert not any(ops.calls["in place"] for ops in defined), "only Python code reuses an input"
    for ops in defined:
        ops.destroy()


def expect_lowered(cases: list[Case], refused: Callable[[Case], bool], reason: str) -> None:
    declined = sum(case.calls for case in cases if refused(case))
    lowered = sum(case.calls for case in cases) - declined
    assert +counters["compat_shim"] == {"lowered": lowered} | ({f"declined: {reason}": declined} if declined else {})


def python_calls_take_none() -> bool:
    """Whether what C++ code calls ops through (up to torch 2.7) takes one that returns nothing."""
    ops = define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> ()", lambda x: x + 1)
    try:
        codecache.custom_op_wrapper(f"torch.ops.{ops.namespace}.f.out", torch.ones(2), torch.ones(2))
    except AssertionError:
        return False
    finally:
        ops.destroy()
    return True


def test_the_cpp_wrapper_calls_the_out_variant_of_every_shape() -> None:
    cases = shapes(*NOT_IN_CPP)
    takes_none = python_calls_take_none()
    with one_graph(cases) as (graph, inputs, _), config.patch(cpp_wrapper=True):
        code = compile_and_compare(graph, *inputs)
    assert "inductor_entry_impl" in code
    expect_lowered(cases, lambda case: not takes_none and case.out_schema.endswith("-> ()"), "CPP_WRAPPER")


def test_the_cpp_wrapper_serves_dynamic_shapes() -> None:
    ops = define(
        "f(Tensor x, SymInt n) -> (Tensor, Tensor)",
        "f.out(Tensor x, SymInt n, *, Tensor(a!) y, Tensor(b!) s) -> (Tensor(a!), Tensor(b!))",
        lambda x, n: (x * n, x.sum(-1)),
    )
    compiled = torch.compile(lambda x: ops.functional(x, x.shape[0]), fullgraph=True, dynamic=True)
    with config.patch(cpp_wrapper=True):
        for rows in (3, 5):
            x = torch.randn(rows, 6)
            assert same(compiled(x), (x * rows, x.sum(-1)))
    assert ops.calls["out"] == 2
    ops.destroy()


class Model(torch.nn.Module):
    def __init__(self, graph: Callable[..., Any]) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, *inputs: Any) -> Any:
        return self.graph(*inputs)


def package(graph: Callable[..., Any], inputs: list[torch.Tensor], path: Path) -> str:
    exported = torch.export.export(Model(graph), tuple(inputs), strict=False)
    counters.clear()
    return torch._inductor.aoti_compile_and_package(exported, package_path=str(path))


LOAD = """
import sys, torch
import torch._inductor.codecache  # 2.10 forgets to
from support.cpp_compiler import trust_the_compiler
trust_the_compiler()
library = torch.library.Library("compat_shim_aoti", "DEF")
library.define("f(Tensor x, float s=2.0) -> Tensor")
x = torch.arange(6.0).view(2, 3)
try:
    torch._inductor.aoti_load_package(sys.argv[1])(x)
except RuntimeError as error:
    print(error)
library.define("f_out(Tensor x, float s=2.0, *, Tensor(a!) y) -> Tensor(a!)")
def f_out(x, s=2.0, *, y):
    print("out variant")
    return y.copy_(x * s)
library.impl("f_out", f_out, "CPU")
model = torch._inductor.aoti_load_package(sys.argv[1])
assert torch.equal(model(x), x * 3)
assert "compat_shim" not in sys.modules
"""


@pytest.mark.processes
def test_aotinductor_calls_the_out_variant_and_its_package_needs_that_and_not_the_shim(
    tmp_path: Path, run_python: Any
) -> None:
    ops = define(
        "f(Tensor x, float s=2.0) -> Tensor",
        "f_out(Tensor x, float s=2.0, *, Tensor(a!) y) -> Tensor(a!)",
        lambda x, s: x * s,
        by_hand=True,
        namespace="compat_shim_aoti",
    )
    path = package(lambda x: ops.functional(x, 3.0), [torch.arange(6.0).view(2, 3)], tmp_path / "model.pt2")
    assert +counters["compat_shim"] == {"lowered": 1}
    said = run_python(LOAD, path, env=finding_support()).stdout
    assert "compat_shim_aoti::f_out" in said.partition("out variant")[0]
    assert said.endswith("out variant\n")
    ops.destroy()


def test_aotinductor_calls_the_out_variant_of_every_shape(tmp_path: Path) -> None:
    # What runs the calls in 2.6 raises on the name of an overload, and crashes on a keyword-only
    # tensor that is left out: the functional op's, too.
    knows_overloads = within(torch.__version__, "2.7", None)
    cases = shapes(*NOT_IN_CPP, *(() if knows_overloads else ("overload names", "keyword-only tensor")))
    with one_graph(cases) as (graph, inputs, defined):
        eager = graph(*inputs)
        path = package(graph, inputs, tmp_path / "model.pt2")
        expect_lowered(
            cases, lambda case: not knows_overloads and "." in case.out_schema.partition("(")[0], "CPP_WRAPPER"
        )
        for ops in defined:
            ops.calls.clear()
        assert same(torch._inductor.aoti_load_package(path)(*inputs), eager)
        assert sum((ops.calls for ops in defined), collections.Counter())["out"] == counters["compat_shim"]["lowered"]


@contextlib.contextmanager
def fx_wrapper() -> Iterator[None]:
    """The FX wrapper: a setting from torch 2.9 on, registered for a device on 2.8."""
    asserts = {"size_asserts": False, "alignment_asserts": False}
    if hasattr(config, "fx_wrapper"):
        with config.patch(fx_wrapper=True, **asserts):
            yield
        return
    from torch._inductor.codegen import common
    from torch._inductor.codegen.cpp import CppScheduling
    from torch._inductor.codegen.wrapper_fxir import WrapperFxCodegen

    common.init_backend_registration()
    before = common.device_codegens["cpu"]
    common.register_backend_for_device("cpu", CppScheduling, WrapperFxCodegen)
    try:
        with config.patch(**asserts):
            yield
    finally:
        common.device_codegens["cpu"] = before


if importlib.util.find_spec("torch._inductor.codegen.wrapper_fxir") is not None:

    def test_the_fx_wrapper_calls_the_out_variant_of_every_shape() -> None:
        cases = shapes(*NOT_IN_FX)
        with one_graph(cases) as (graph, inputs, defined), fx_wrapper():
            compile_and_compare(graph, *inputs)
            assert sum(ops.calls["out"] for ops in defined) == sum(case.calls for case in cases)
        expect_lowered(cases, lambda case: False, "FX_WRAPPER")

    def test_the_fx_wrapper_serves_dynamic_shapes_where_its_graphs_have_symbols() -> None:
        ops = define(
            "f(Tensor x, SymInt n) -> (Tensor, Tensor)",
            "f.out(Tensor x, SymInt n, *, Tensor(a!) y, Tensor(b!) s) -> ()",
            lambda x, n: (x * n, x.sum(-1)),
            out_key="CPU",
        )
        converter = importlib.import_module("torch._inductor.codegen.wrapper_fxir").FxConverter
        symbols = hasattr(converter, "_generate_sym_node")
        counters.clear()
        compiled = torch.compile(lambda x: ops.functional(x, x.shape[0] * 2)[0], fullgraph=True, dynamic=True)
        with fx_wrapper():
            if symbols:
                for rows in (3, 5):
                    x = torch.randn(rows, 6)
                    assert same(compiled(x), x * rows * 2)
                assert +counters["compat_shim"] == {"lowered": 1}
                assert ops.calls["functional"] == 0
            else:
                with contextlib.suppress(Exception):  # 2.8's own fallback with a symbol raises there
                    compiled(torch.randn(3, 6))
                assert +counters["compat_shim"] == {"declined: FX_WRAPPER": 1}
        ops.destroy()


def test_a_wrapper_whose_buffers_may_be_arrays_on_the_stack_declines(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor.codegen import common
    from torch._inductor.codegen.cpp_wrapper_cpu_array_ref import CppWrapperCpuArrayRef

    ops = define("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", lambda x: x + 1)
    common.init_backend_registration()
    monkeypatch.setattr(common.device_codegens["cpu"], "cpp_wrapper_codegen", CppWrapperCpuArrayRef)
    with config.patch(cpp_wrapper=True):
        compile_and_compare(lambda x: ops.functional(x), torch.randn(4, 6))
    assert +counters["compat_shim"] == {"declined: CPP_WRAPPER": 1}
    ops.destroy()
