"""A second copy of the package in the process: what it is told holds, or it says that it does not."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._inductor import ir  # noqa: F401  (the first copy's lowering is there)

import compat_shim
from support.checks import compile_and_compare

PACKAGE = Path(compat_shim.__file__).parent


def _ours() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "compat_shim"]


@pytest.fixture
def second_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Imports a copy of the package, with another version, as if the first had never been."""
    first = {name: sys.modules[name] for name in _ours()}

    def copy(version: str) -> Any:
        shutil.copytree(PACKAGE, tmp_path / "compat_shim", ignore=shutil.ignore_patterns("__pycache__"))
        file = tmp_path / "compat_shim" / "_version.py"
        file.write_text(file.read_text().replace(f'VERSION = "{compat_shim.__version__}"', f'VERSION = "{version}"'))
        for name in first:
            del sys.modules[name]
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module("compat_shim")

    yield copy
    for name in _ours():
        del sys.modules[name]
    sys.modules.update(first)


@pytest.fixture
def ns(library: Any) -> str:
    library.define("f(Tensor x) -> Tensor")
    library.define("f_out(Tensor x, Tensor(a!) out) -> ()")
    library.define("g(Tensor x) -> Tensor")
    library.define("g.out(Tensor x, *, Tensor(a!) out) -> ()")
    for name in ("f", "g"):
        library.impl(name, lambda x: x * 2, "CompositeExplicitAutograd")
        torch.library.register_fake(f"{library.ns}::{name}", lambda x: torch.empty_like(x), lib=library)
    for name in ("f_out", "g.out"):
        library.impl(name, lambda x, out: [torch.mul(x, 2, out=out)].clear(), "CompositeExplicitAutograd")
    return str(library.ns)


def test_what_is_registered_with_a_second_copy_of_the_same_version_is_lowered(
    ns: str, second_copy: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    ops = getattr(torch.ops, ns)
    compile_and_compare(lambda x: ops.g(ops.f(x)), torch.randn(3))  # looked up, and no pair yet
    second = second_copy(compat_shim.__version__)
    assert second is not compat_shim
    second.register_out_variant(f"{ns}::f", f"{ns}::f_out")
    second.tag_out(f"{ns}::g.out")
    code = compile_and_compare(lambda x: ops.g(ops.f(x)), torch.randn(4))
    assert f"torch.ops.{ns}.f_out.default(" in code
    assert f"torch.ops.{ns}.g.out(" in code
    assert not [record for record in caplog.records if record.name == "compat_shim"]


def test_registering_with_a_second_copy_of_another_version_is_one_warning_that_names_both(
    ns: str, second_copy: Callable[[str], Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = second_copy("9.9")
    assert not caplog.records
    second.register_out_variant(f"{ns}::f", f"{ns}::f_out")
    second.tag_out(f"{ns}::g.out")
    second.pair_namespace(ns)
    (record,) = caplog.records
    for part in (f"({PACKAGE})", f"({tmp_path / 'compat_shim'})", "are not lowered"):
        assert part in record.message
    assert [problem for problem in second.status().problems if problem in record.message]
