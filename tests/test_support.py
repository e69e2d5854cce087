"""The support table: true on this release, and the same in the README."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import compat_shim
from compat_shim import support
from compat_shim.features import FEATURES

README = Path(__file__).parents[1] / "README.md"
RELEASE = torch.__version__.partition("+")[0]


def test_the_table_holds_the_installed_release() -> None:
    assert RELEASE in support.releases()


def test_every_feature_has_the_verdict_that_the_table_says() -> None:

    compat_shim.activate()
    found = {feature.id: feature.verdict for feature in compat_shim.status().features}
    assert found == {feature.id: support.expected(feature, RELEASE)[1].value for feature in FEATURES}


def test_the_readme_shows_the_table_that_the_command_prints() -> None:
    assert support.table() in README.read_text(encoding="utf-8")


def test_symbols_that_torch_has_are_torch_s_own() -> None:
    import torch._inductor.compile_fx
    from torch._library import _out_variant

    compat_shim.activate()
    minor = tuple(int(part) for part in RELEASE.split(".")[:2])
    wrapper = sys.modules["torch._inductor.codegen.wrapper"]
    ir = sys.modules["torch._inductor.ir"]
    since = {
        (2, 11): [_out_variant],
        (2, 12): [
            ir.ExternKernelMultiOut,
            ir.AllocatingMultiOutput,
            wrapper.ExternKernelMultiOutLine,
            wrapper.PythonWrapperCodegen.generate_extern_kernel_multi_out,
            _out_variant.get_out_arg_names,
            _out_variant.register_out_variant,
        ],
        # From 2.13 on to_out_variant and check_out_variant are replaced, to accept either tag.
        (2, 11, "until 2.12"): [_out_variant.check_out_variant],
    }
    for (major, first, *until), symbols in since.items():
        native = minor >= (major, first)
        for symbol in symbols:
            name = getattr(symbol, "__name__", str(symbol))
            if until and minor > (2, 12):
                assert not _is_torch_s(symbol), name
            else:
                assert _is_torch_s(symbol) is native, name
    assert (int(torch.Tag.out) < 100) is (minor >= (2, 11))
    assert (int(torch.Tag.out_variant) < 100) is (minor >= (2, 11))


def _is_torch_s(symbol: object) -> bool:
    code = getattr(symbol, "__code__", None)
    if code is not None:
        return "/torch/" in code.co_filename
    if getattr(symbol, "__file__", None):
        return True
    return str(getattr(symbol, "__module__", "")).startswith("torch.")
