"""The support table: true on this release, and the same in the docs."""

from __future__ import annotations

import importlib
import types
from pathlib import Path

import pytest
import torch

import compat_shim
from compat_shim.patches import FEATURES
from compat_shim.patches.tag import TAG_VALUES
from compat_shim.patching import fingerprint
from compat_shim.reports import release_table
from support.processes import ROOT

PAGE = ROOT / "docs" / "releases.md"
RELEASE = torch.__version__.partition("+")[0]
MINOR = tuple(int(part) for part in RELEASE.split(".")[:2])


@pytest.fixture(autouse=True)
def _active_with_inductor() -> None:
    importlib.import_module("torch._inductor.compile_fx")
    compat_shim.activate()


def test_the_table_holds_the_installed_release() -> None:
    assert RELEASE in release_table.releases()


def test_every_feature_has_the_verdict_that_the_table_says() -> None:
    found = {feature.id: feature.verdict for feature in compat_shim.status().features}
    assert found == {feature.id: release_table.expected(feature, RELEASE)[1].value for feature in FEATURES}


def test_the_page_of_releases_shows_the_table_that_the_command_prints() -> None:
    assert release_table.table() in PAGE.read_text(encoding="utf-8")


NATIVE_SINCE = {
    "torch._library:_out_variant": (2, 11),
    "torch._library._out_variant:get_out_arg_names": (2, 12),
    "torch._library._out_variant:register_out_variant": (2, 12),
    "torch._inductor.ir:ExternKernelMultiOut": (2, 12),
    "torch._inductor.ir:AllocatingMultiOutput": (2, 12),
    "torch._inductor.codegen.wrapper:ExternKernelMultiOutLine": (2, 12),
    "torch._inductor.codegen.wrapper:PythonWrapperCodegen.generate_extern_kernel_multi_out": (2, 12),
}


@pytest.mark.parametrize("target", NATIVE_SINCE)
def test_a_symbol_that_torch_has_is_torch_s_own(target: str) -> None:
    assert _is_torch_s(fingerprint.find(target)) is (NATIVE_SINCE[target] <= MINOR)


@pytest.mark.parametrize(("name", "native_since"), [("out", (2, 13)), ("out_variant", (2, 11)), ("inplace", (2, 13))])
def test_a_tag_that_torch_has_is_torch_s_own(name: str, native_since: tuple[int, int]) -> None:
    assert (int(getattr(torch.Tag, name)) != TAG_VALUES[name]) is (native_since <= MINOR)


def _is_torch_s(symbol: object) -> bool:
    if isinstance(symbol, types.ModuleType):
        return "torch" in Path(getattr(symbol, "__file__", None) or "").parts
    return str(getattr(symbol, "__module__", "")).startswith("torch.")
