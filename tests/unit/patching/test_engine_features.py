"""Features that are left out, that bring others, that need others and that others complete."""

from __future__ import annotations

import contextlib
import importlib

import pytest

from compat_shim.patching.errors import ShimError
from compat_shim.patching.patch import Feature, Finding, Verdict
from support.workbench import PLAIN, Bench, feature, verdict_of, wrap


def test_a_feature_that_the_environment_leaves_out_is_disabled(bench: Bench) -> None:
    module = bench.load("lib_a")
    two = feature("two", wrap("lib_a:other"))
    engine = bench.started(PLAIN, two, asked_for=("two",))
    finding = engine.plans["one"].finding
    assert (finding.verdict, finding.found) == (Verdict.DISABLED, "COMPAT_SHIM_FEATURES leaves it out")
    assert (module.plain(1), module.other(1)) == (["plain", 1], ["other", 1, "ours"])


def test_a_feature_brings_those_that_it_needs(bench: Bench) -> None:
    bench.load("lib_a")
    two = feature("two", wrap("lib_a:other"), requires=("one",))
    three = feature("three", wrap("lib_a:Owner.build"), requires=("two",))
    engine = bench.started(PLAIN, two, three, feature("four", wrap("lib_a:Owner.check")), asked_for=("three",))
    assert [verdict_of(engine, name).value for name in ("one", "two", "three", "four")] == [
        *["APPLIED"] * 3,
        "DISABLED",
    ]


def test_a_feature_whose_need_is_not_met_is_disabled_down_the_chain(bench: Bench) -> None:
    module = bench.load("lib_a")
    one = feature("one", wrap("lib_a:nothing"))
    two = feature("two", wrap("lib_a:other"), requires=("one",))
    three = feature("three", wrap("lib_a:plain"), requires=("two",))
    engine = bench.started(one, two, three)
    assert verdict_of(engine) is Verdict.DRIFTED
    assert engine.plans["two"].finding == Finding(Verdict.DISABLED, "feature 'one'", "it is DRIFTED")
    assert engine.plans["three"].finding == Finding(Verdict.DISABLED, "feature 'two'", "it is DISABLED")
    assert (module.plain(1), module.other(1)) == (["plain", 1], ["other", 1])


def together() -> tuple[Feature, Feature]:
    """``early`` is not right without ``late``, whose module comes later."""
    return (
        feature("early", wrap("lib_a:plain"), completed_by=("late",)),
        feature("late", wrap("lib_b:plain"), requires=("early",)),
    )


@pytest.mark.parametrize("asked_for", ["early", "late"])
def test_a_feature_comes_with_the_one_that_completes_it_and_does_not_wait_for_it(bench: Bench, asked_for: str) -> None:
    bench.load("lib_a")
    bench.write("lib_b")
    engine = bench.started(*together(), asked_for=(asked_for,))
    assert [verdict_of(engine, name).value for name in ("early", "late")] == ["APPLIED", "PENDING"]
    importlib.import_module("lib_b")
    assert [verdict_of(engine, name).value for name in ("early", "late")] == ["APPLIED", "APPLIED"]


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_feature_goes_back_where_the_one_that_completes_it_does_not_fit(bench: Bench, mode: str) -> None:
    module = bench.load("lib_a")
    before = module.plain
    bench.write("lib_b")
    bench.record(*together())
    bench.write("lib_b", "def plain(x):\n    return x\n")
    engine = bench.engine(*together(), mode=mode)
    engine.start()
    assert module.plain is not before
    with pytest.raises(ShimError) if mode == "strict" else contextlib.nullcontext():
        importlib.import_module("lib_b")
    assert module.plain is before
    early = engine.plans["early"]
    assert early.finding == Finding(Verdict.DISABLED, "feature 'late'", "it is DRIFTED")
    assert early.patches["plain"].verdict is Verdict.DISABLED
    assert not early.undo


def test_a_feature_waits_for_one_that_it_needs(bench: Bench) -> None:
    bench.write("lib_b")
    module = bench.load("lib_a")
    engine = bench.started(feature("one", wrap("lib_b:plain")), feature("two", wrap("lib_a:plain"), requires=("one",)))
    assert verdict_of(engine, "two") is Verdict.PENDING
    bench.load("lib_b")
    assert [verdict_of(engine, name) for name in ("one", "two")] == [Verdict.APPLIED] * 2
    assert module.plain(1) == ["plain", 1, "ours"]


def test_a_native_need_is_met(bench: Bench) -> None:
    bench.load("lib_a")
    one = feature("one", wrap("lib_a:other", first="2.11"))
    engine = bench.started(one, feature("two", wrap("lib_a:plain"), requires=("one",)))
    assert [verdict_of(engine, name) for name in ("one", "two")] == [Verdict.NATIVE, Verdict.APPLIED]
