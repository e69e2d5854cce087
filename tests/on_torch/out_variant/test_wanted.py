"""``COMPAT_SHIM_PAIR``: looked for at each compile, and never an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import compat_shim
from compat_shim import process
from compat_shim.out_variant import pairing, survey, wanted
from support.checks import compile_and_compare


@pytest.fixture
def want(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what the environment asks for."""

    def set_words(*words: str) -> None:
        monkeypatch.setattr(process.settings(), "pairs", words)

    return set_words


def define(library: Any, name: str = "f") -> None:
    library.define(f"{name}(Tensor x) -> Tensor")
    library.impl(name, lambda x: x * 2, "CPU")
    torch.library.register_fake(f"{library.ns}::{name}", lambda x: torch.empty_like(x), lib=library)


def define_out(library: Any, name: str = "f") -> None:
    library.define(f"{name}_out(Tensor x, Tensor(a!) out) -> ()")
    library.impl(f"{name}_out", lambda x, out: [torch.mul(x, 2, out=out)].clear(), "CPU")


def calls_out(library: Any) -> bool:
    op = getattr(torch.ops, library.ns).f
    torch._dynamo.reset()
    return "f_out" in compile_and_compare(lambda x: op(op(x)), torch.randn(4))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "compat_shim"]


def test_an_out_variant_that_comes_between_two_compiles_counts_from_the_second(
    library: Any, want: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    define(library)
    want(library.ns)
    assert not calls_out(library)
    (warning,) = said(caplog)
    assert f"COMPAT_SHIM_PAIR: {library.ns}: none of its 1 functional ops has an out variant" in warning
    define_out(library)
    assert calls_out(library)
    assert len(said(caplog)) == 1
    (found,) = wanted.wanted()
    assert str(found) == f"{library.ns}: 1 pair"
    assert f"asked for by COMPAT_SHIM_PAIR\n  {library.ns}: 1 pair\n" in f"{compat_shim.status().details()}\n"


def test_it_is_looked_for_without_a_cache_key_too(library: Any, want: Callable[..., None]) -> None:
    define(library)
    define_out(library)
    want(f"{library.ns}::f")
    with torch._inductor.config.patch(fx_graph_cache=False):
        assert calls_out(library)


def test_between_compiles_and_where_nothing_has_changed_nothing_is_looked_at(
    library: Any, want: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    define(library)
    define_out(library)
    want(library.ns)
    looked: list[str] = []

    original = survey.survey

    def counted(of: str) -> survey.Survey:
        looked.append(of)
        return original(of)

    monkeypatch.setattr(survey, "survey", counted)
    wanted.pair()
    wanted.pair()
    assert looked == [library.ns]
    define(library, "g")
    wanted.pair()
    assert looked == [library.ns] * 2


def test_two_names_are_paired_once_both_are_there(
    library: Any, want: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    library.define("elsewhere(Tensor x, Tensor(a!) out) -> ()")
    want(f"{library.ns}::f={library.ns}::elsewhere")
    wanted.pair()
    (warning,) = said(caplog)
    assert f"no library that is loaded by now defines {library.ns}::f; it is looked for again" in warning
    define(library)
    wanted.pair()
    pair = pairing.find_pair_by_name(f"{library.ns}::f")
    assert pair is not None
    assert (pair.out.name(), pair.source) == (f"{library.ns}::elsewhere", "registered")
    assert wanted.wanted()[0].problem == ""


def test_what_cannot_be_is_a_warning_and_no_error(
    library: Any, want: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    define(library)
    library.define("g_out(Tensor x, Tensor y, Tensor(a!) out) -> ()")
    library.define("f_out(Tensor y, Tensor(a!) out) -> ()")
    want(f"{library.ns}::f", "aten", "aten::mul", f"{library.ns}::f={library.ns}::g_out", "nowhere_at_all")
    assert not calls_out(library)
    warnings = "\n".join(said(caplog))
    assert f"{library.ns}::f: nothing could be paired; {library.ns}::f => {library.ns}::f_out: input 'x'" in warnings
    assert "aten: aten holds torch's own ops" in warnings
    assert "aten::mul: aten holds torch's own ops" in warnings
    assert f"{library.ns}.g_out.default cannot be the out variant of {library.ns}.f.default" in warnings
    assert "nowhere_at_all: no library that is loaded by now defines an op of this namespace" in warnings
    lines = len(said(caplog))
    assert not calls_out(library)
    assert len(said(caplog)) == lines == 5


def test_an_error_of_ours_reaches_no_compile(
    library: Any, want: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(words: Any) -> None:
        raise RuntimeError("a defect")

    define(library)
    define_out(library)
    want(library.ns)
    monkeypatch.setattr(wanted, "_pair", fails)
    assert not calls_out(library)
    assert any("COMPAT_SHIM_PAIR could not be looked at" in text for text in said(caplog))


def test_an_op_that_is_defined_anew_is_paired_anew(want: Callable[..., None]) -> None:
    namespace = "compat_shim_wanted_anew"

    def library(fits: bool) -> Any:
        made = torch.library.Library(namespace, "FRAGMENT")
        define(made)
        if fits:
            define_out(made)
        else:
            made.define("f_out(Tensor y, Tensor(a!) out) -> ()")
        return made

    want(namespace)
    for fits in (True, True, False, True):
        current = library(fits)
        assert calls_out(current) is fits
        assert (wanted.wanted()[0].problem == "") is fits
        current._destroy()


def test_other_words_are_looked_at_though_no_op_has_come(library: Any, want: Callable[..., None]) -> None:
    for name in ("f", "g"):
        define(library, name)
        define_out(library, name)
    want(f"{library.ns}::f")
    wanted.pair()
    want(f"{library.ns}::f", f"{library.ns}::g")
    wanted.pair()
    assert [found.pairs for found in wanted.wanted()] == [
        ((f"{library.ns}::{name}", f"{library.ns}::{name}_out"),) for name in "fg"
    ]
