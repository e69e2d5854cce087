"""Where the wrapper is not Python, torch's own fallback is taken, with the reason counted."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
import torch
from checks import compile_and_compare, same
from ops import Ops, define
from torch._dynamo.utils import counters
from torch._inductor import config


@pytest.fixture
def ops() -> Iterator[Ops]:
    ops = define(
        "f(Tensor x, float s=2.0) -> Tensor",
        "f.out(Tensor x, float s=2.0, *, Tensor(a!) out) -> Tensor(a!)",
        lambda x, s: x * s,
    )
    yield ops
    ops.destroy()


def test_the_cpp_wrapper_declines(ops: Ops) -> None:
    with config.patch(cpp_wrapper=True):
        compile_and_compare(lambda x: ops.functional(x), torch.randn(4, 6))
    assert dict(counters["compat_shim"]) == {"declined: CPP_WRAPPER": 1}


def test_aotinductor_declines_and_its_package_runs(ops: Ops, tmp_path: object) -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return ops.functional(x, 3.0)

    x = torch.randn(4, 6)
    counters.clear()
    package = torch._inductor.aoti_compile_and_package(
        torch.export.export(Model(), (x,)), package_path=f"{tmp_path}/model.pt2"
    )
    found = torch._inductor.aoti_load_package(package)(x)
    assert same(found, x * 3.0)
    assert dict(counters["compat_shim"]) == {"declined: CPP_WRAPPER": 1}


@pytest.fixture
def two() -> Iterator[Ops]:
    """Two outputs: the FX converter of torch 2.8 cannot hold torch's own call with one."""
    ops = define(
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()",
        lambda x: (x + 1, x.sum(-1)),
    )
    yield ops
    ops.destroy()


if hasattr(config, "fx_wrapper"):

    def test_the_fx_wrapper_declines(two: Ops) -> None:
        with config.patch(fx_wrapper=True, size_asserts=False, alignment_asserts=False):
            compile_and_compare(lambda x: two.functional(x), torch.randn(4, 6))
        assert dict(counters["compat_shim"]) == {"declined: FX_WRAPPER": 1}

elif importlib.util.find_spec("torch._inductor.codegen.wrapper_fxir") is not None:

    def test_the_fx_wrapper_registered_for_a_device_declines(two: Ops) -> None:
        from torch._inductor.codegen import common
        from torch._inductor.codegen.cpp import CppScheduling
        from torch._inductor.codegen.wrapper_fxir import WrapperFxCodegen

        common.init_backend_registration()
        before = common.device_codegens["cpu"]
        common.register_backend_for_device("cpu", CppScheduling, WrapperFxCodegen)
        try:
            with config.patch(size_asserts=False, alignment_asserts=False):
                compile_and_compare(lambda x: two.functional(x), torch.randn(4, 6))
        finally:
            common.device_codegens["cpu"] = before
        assert dict(counters["compat_shim"]) == {"declined: FX_WRAPPER": 1}
