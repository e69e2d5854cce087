"""Pairs registered by name whose ops do not exist: they are shown, with what was meant."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

import compat_shim
from compat_shim.out_variant import pairing, waiting
from compat_shim.reports.op_explanation import explain_op
from compat_shim.testing import assert_lowered
from support.checks import compile_and_compare


@pytest.fixture
def ns(library: Any) -> str:
    """A namespace with ``linear`` and ``linear_out``, which are no pair."""
    library.define("linear(Tensor x) -> Tensor")
    library.define("linear_out(Tensor x, Tensor(a!) out) -> ()")
    library.impl("linear", lambda x: x * 2, "CompositeExplicitAutograd")
    library.impl("linear_out", lambda x, out: [torch.mul(x, 2, out=out)].clear(), "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::linear", lambda x: torch.empty_like(x), lib=library)
    return str(library.ns)


def said(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == "compat_shim"]


def waits_in(ns: str) -> list[Any]:
    return [pair for pair in compat_shim.status().waiting if pair.functional.startswith(ns)]


def test_an_out_op_s_name_that_is_spelled_wrong_is_told_by_status_explain_and_one_warning(
    ns: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = f"{ns}::linear_outt"
    compat_shim.register_out_variant(f"{ns}::linear", wrong)
    (waits,) = waits_in(ns)
    remedy = f"did you mean {ns}::linear_out? If not, load the library that defines it"
    assert (waits.functional, waits.out, waits.missing, waits.remedy) == (f"{ns}::linear", wrong, (wrong,), remedy)
    text = f"{ns}::linear => {wrong}\n      {wrong} is missing: {remedy}"
    _, heading, listed = compat_shim.status().details().partition("registered by name, but an op is missing\n")
    assert heading
    assert f"  {text}" in listed
    assert dataclasses.asdict(waits) in compat_shim.status().to_dict()["waiting"]
    assert f"registered: {text}" in str(explain_op(f"{ns}::linear"))
    assert not said(caplog)

    linear = getattr(torch.ops, ns).linear
    explained = compat_shim.explain(lambda x: linear(linear(x)), torch.randn(4))
    assert {call.change for call in explained.calls} == {f"it is registered with {wrong}, but {waits}"}
    assert f"{ns}::linear => {wrong} (registered by name)\n  {waits}" in explained.text(all=True)
    assert f"{ns}::linear => {wrong} (registered by name) {waits}" in " ".join(str(explained).split())
    compile_and_compare(lambda x: linear(x) + 1, torch.randn(4))
    (record,) = said(caplog)
    assert f"{ns}::linear is called in a compiled graph and is registered with {wrong}, but {waits}" in record.message

    compat_shim.register_out_variant(f"{ns}::linear", f"{ns}::linear_out")
    assert not waits_in(ns)
    assert "linear_outt" not in str(explain_op(f"{ns}::linear"))
    assert_lowered(lambda x: linear(linear(x)), torch.randn(4), ops=[linear])


def test_a_functional_op_s_name_that_is_spelled_wrong_is_told_with_the_op_that_was_meant(ns: str) -> None:
    compat_shim.register_out_variant(f"{ns}::linaer", f"{ns}::linear_out")
    (waits,) = waits_in(ns)
    assert (waits.missing, waits.meant) == ((f"{ns}::linaer",), (f"{ns}::linear",))
    assert explain_op(f"{ns}::linear").waiting == (waits,)
    assert pairing.find_pair(getattr(torch.ops, ns).linear.default) is None


def test_what_was_meant_is_told_by_kind_and_name_and_not_by_the_length_of_the_namespace(ns: str) -> None:
    for out, meant in (("linear.out", (f"{ns}::linear_out",)), ("relu_out", ()), ("lineaR", ())):
        compat_shim.register_out_variant(f"{ns}::linear", f"{ns}::{out}")
        (waits,) = waits_in(ns)
        assert waits.meant == meant
    compat_shim.register_out_variant(f"{ns}s::linear", f"{ns}s::linear_out")
    assert waits_in(f"{ns}s")[0].meant == (f"{ns}::linear", f"{ns}::linear_out")


def test_a_pair_whose_library_is_not_loaded_names_both_and_guesses_nothing() -> None:
    compat_shim.register_out_variant("not_loaded_yet::gelu", "not_loaded_yet::gelu.out")
    (waits,) = waits_in("not_loaded_yet")
    assert str(waits) == (
        "not_loaded_yet::gelu and not_loaded_yet::gelu.out are missing:"
        " load the library that defines them, or mend the name"
    )


def test_an_overload_that_python_cannot_reach_is_called_that(library: Any) -> None:
    library.define("f(Tensor x) -> Tensor")
    library.define("f.op(Tensor x, *, Tensor(a!) out) -> ()")
    compat_shim.register_out_variant(f"{library.ns}::f", f"{library.ns}::f.op")
    (waits,) = waits_in(library.ns)
    assert waits.missing == (f"{library.ns}::f.op",)
    assert "give the overload another" in waits.remedy


def test_a_pair_that_is_only_early_is_no_warning(library: Any, caplog: pytest.LogCaptureFixture) -> None:
    compat_shim.register_out_variant(f"{library.ns}::g", f"{library.ns}::g_out")
    assert len(waits_in(library.ns)) == 1
    library.define("g(Tensor x) -> Tensor")
    library.define("g_out(Tensor x, Tensor(a!) out) -> ()")
    waiting.warn_once(f"{library.ns}::g")
    assert not waits_in(library.ns)
    assert not said(caplog)


def test_who_is_left_in_a_family_does_not_depend_on_who_is_asked_first(library: Any) -> None:
    name = f"{library.ns}::f"
    for schema in ("f(Tensor x) -> Tensor", "f.other(Tensor x) -> Tensor"):
        library.define(schema)
    library.define("f.any_out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=torch.Tag.out_variant)
    compat_shim.register_out_variant(f"{name}.other", f"{name}.other_out")
    assert pairing.find_pair_by_name(name) is None  # two that the tagged one fits

    library.define("f.other_out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)")

    pair = pairing.find_pair_by_name(name)
    assert pair is not None
    assert (pair.out.name(), pair.source) == (f"{name}.any_out", "tag")
    other = pairing.find_pair_by_name(f"{name}.other")
    assert other is not None
    assert other.out.name() == f"{name}.other_out"
