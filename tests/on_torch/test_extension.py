"""Ops registered in C++, with the tag of ``out_tag.h`` and without any, are lowered.

Slow to build: tox runs this on the oldest release, on 2.10 and on the newest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils import cpp_extension

import compat_shim
from support.checks import compile_and_compare

SOURCE = r"""
#include <torch/library.h>
#include <compat_shim/out_tag.h>

void scale_out(const at::Tensor& x, double by, at::Tensor& out) { at::mul_out(out, x, at::scalar_tensor(by)); }
at::Tensor scale(const at::Tensor& x, double by) {
  auto out = at::empty_like(x);
  scale_out(x, by, out);
  return out;
}
at::Tensor& scale_returned(const at::Tensor& x, double by, at::Tensor& out) {
  scale_out(x, by, out);
  return out;
}

TORCH_LIBRARY(compat_shim_cpp, m) {
  m.def("scale(Tensor x, float by) -> Tensor");
  m.def("scale.out(Tensor x, float by, *, Tensor(a!) out) -> ()", {compat_shim::out_variant_tag()});
  m.def("strict(Tensor x, float by) -> Tensor");
  m.def("strict.out(Tensor x, float by, *, Tensor(a!) out) -> Tensor(a!)", {compat_shim::out_tag()});
  m.def("flat(Tensor x, float by) -> Tensor");
  m.def("flat_out(Tensor x, float by, Tensor! out) -> ()");
}
TORCH_LIBRARY_IMPL(compat_shim_cpp, CompositeExplicitAutograd, m) {
  m.impl("scale", scale);
  m.impl("scale.out", scale_out);
  m.impl("strict", scale);
  m.impl("strict.out", scale_returned);
  m.impl("flat", scale);
  m.impl("flat_out", scale_out);
}
"""


@pytest.fixture(scope="module")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("build")
    # Said before the library is loaded, as a package does at its import.
    compat_shim.register_out_variant("compat_shim_cpp::flat", "compat_shim_cpp::flat_out")
    cpp_extension.load_inline(
        "compat_shim_cpp",
        cpp_sources=[SOURCE],
        extra_include_paths=compat_shim.include_paths(),
        extra_cflags=["-O0"],
        is_python_module=False,
        build_directory=str(folder),
    )
    for name in ("scale", "strict", "flat"):
        torch.library.register_fake(f"compat_shim_cpp::{name}", lambda x, by: torch.empty_like(x))
    return torch.ops.compat_shim_cpp


def test_the_header_gives_the_tags_that_python_has(ops: Any) -> None:
    assert torch.Tag.out_variant in ops.scale.out.tags
    assert torch.Tag.out in ops.strict.out.tags
    assert not {torch.Tag.out, torch.Tag.out_variant} & set(ops.flat_out.default.tags)


@pytest.mark.parametrize("name", ["scale", "strict", "flat"])
def test_an_op_registered_in_cpp_is_lowered_to_its_out_variant(name: str, ops: Any) -> None:
    op = getattr(ops, name)
    code = compile_and_compare(lambda x: op(op(x, 2.0), 3.0), torch.randn(4, 5))
    assert code.count(f"torch.ops.compat_shim_cpp.{'flat_out.default' if name == 'flat' else f'{name}.out'}(") == 2


def test_an_out_op_registered_in_cpp_can_be_called_directly(ops: Any) -> None:
    def graph(x: torch.Tensor) -> Any:
        b, c = torch.empty_like(x), torch.empty_like(x)
        ops.scale.out(x, 2.0, out=b)
        ops.flat_out(b, 3.0, c)
        return b, c, ops.strict.out(c, 4.0, out=torch.empty_like(x))

    compile_and_compare(graph, torch.randn(4, 5))
