"""Ops registered in C++, without tags: the library is built once, and its pairs are made by hand."""

from __future__ import annotations

import ctypes
import fcntl
import functools
import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.utils.cpp_extension import include_paths, library_paths

import compat_shim
from support.graphs.operators import Operator
from support.graphs.outputs import Output
from support.graphs.signatures import Argument, Signature
from support.ops import Ops, by_name

SOURCE = r"""
#include <ATen/ATen.h>
#include <torch/library.h>
#include <cmath>
#include <tuple>

extern "C" { long functional_calls = 0; long out_calls = 0; }

static at::Tensor whole(const at::Tensor& x, double n, const std::optional<at::Tensor>& y) {
  auto total = (x.is_complex() ? at::real(x) : x).to(at::kFloat) + n;
  if (y) total = total + (y->is_complex() ? at::real(*y) : *y).to(at::kFloat).sum();
  return at::remainder(total, 13).clone(at::MemoryFormat::Contiguous);
}

using Optional = std::optional<at::Tensor>;

std::tuple<at::Tensor, at::Tensor> pair(const at::Tensor& x, double s, const Optional& y) {
  functional_calls++;
  auto t = whole(x, s * 4, y);
  return {t, t.to(at::kChar)};
}
void pair_out(const at::Tensor& x, double s, const Optional& y, at::Tensor& o0, at::Tensor& o1) {
  out_calls++;
  o0.fill_(NAN);
  o1.fill_(127);
  auto t = whole(x, s * 4, y);
  o0.copy_(t);
  o1.copy_(t);
}
at::Tensor middle(const at::Tensor& x, int64_t n, const Optional& y) {
  functional_calls++;
  return whole(x, n, y);
}
void middle_out(const at::Tensor& x, int64_t n, at::Tensor& o0, const Optional& y) {
  out_calls++;
  o0.fill_(NAN);
  o0.copy_(whole(x, n, y));
}

template <typename Kernel>
static auto kernel(Kernel k) {
  return torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, k);
}
static void functional(torch::Library& m) {
  m.def("pair(Tensor x, float s=2.0, Tensor? y=None) -> (Tensor, Tensor)");
  m.def("middle(Tensor x, int n, Tensor? y=None) -> Tensor");
  m.impl("pair", kernel(pair));
  m.impl("middle", kernel(middle));
}
TORCH_LIBRARY(compat_shim_fuzz, m) {
  functional(m);
  m.def("pair.out(Tensor x, float s=2.0, Tensor? y=None, *, Tensor(a!) o0, Tensor(b!) o1) -> ()");
  m.def("middle_out(Tensor x, int n, Tensor! o0, Tensor? y=None) -> ()");
  m.impl("pair.out", kernel(pair_out));
  m.impl("middle_out", kernel(middle_out));
}
TORCH_LIBRARY(compat_shim_fuzz_functional, m) { functional(m); }
"""


class _Calls(dict[str, int]):
    """The counters of the C++ kernels (of all ops together), as ``Ops.calls``."""

    def __init__(self, library: Any) -> None:
        self._values = {name: ctypes.c_long.in_dll(library, f"{name}_calls") for name in ("functional", "out")}

    def __getitem__(self, name: str) -> int:
        return self._values[name].value if name in self._values else 0

    def clear(self) -> None:
        for value in self._values.values():
            value.value = 0


@functools.cache
def _library() -> Any:
    version = f"{torch.__version__}_{hashlib.sha256(SOURCE.encode()).hexdigest()[:8]}"
    folder = Path(tempfile.gettempdir(), f"compat_shim_fuzz_{version}")
    folder.mkdir(exist_ok=True)
    built = folder / "ops.so"
    with (folder / "lock").open("w") as lock:  # several processes test at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            source = folder / "ops.cpp"
            source.write_text(SOURCE, encoding="utf-8")
            partial = folder / "partial.so"
            flags = ["-shared", "-fPIC", "-std=c++20", "-O0"]
            flags.append(f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}")
            flags += [f"-I{path}" for path in include_paths()] + [f"-L{path}" for path in library_paths()]
            libraries = ["-lc10", "-ltorch_cpu", "-ltorch"]
            subprocess.run(["g++", *flags, str(source), "-o", str(partial), *libraries], check=True)
            partial.rename(built)
    torch.ops.load_library(str(built))
    return ctypes.CDLL(str(built))


_faked: set[str] = set()


class CppOperator(Operator):
    """A pair of the library. ``call`` is its name in a graph."""

    def register(self, namespace: str, with_out: bool) -> Ops:
        calls: Any = _Calls(_library())
        home = torch.ops.compat_shim_fuzz if with_out else torch.ops.compat_shim_fuzz_functional
        functional = getattr(home, self.name).default
        out = None
        if with_out:
            out = home.pair.out if self.name == "pair" else home.middle_out.default
            compat_shim.register_out_variant(functional, out)
        if functional.name() not in _faked:
            _faked.add(functional.name())
            torch.library.register_fake(functional.name(), by_name(functional, self.kernel))
        return Ops(namespace, None, functional, out, calls)


def _operator(name: str, arguments: tuple[Argument, ...], outputs: tuple[Output, ...]) -> CppOperator:
    signature = Signature(arguments, ((), ()), len(outputs), False)
    return CppOperator(name, signature, outputs, "C++", ("", "_out"), "", "CompositeImplicitAutograd")


X, Y = Argument("Tensor", "x", False, False), Argument("Tensor?", "y", True, False)
OPERATORS = [
    _operator("pair", (X, Argument("int", "s", True, False), Y), (Output(), Output(dtype=torch.int8))),
    _operator("middle", (X, Argument("int", "n", False, False), Y), (Output(),)),
]
