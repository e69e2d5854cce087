"""Which release a build of torch counts as, and the patches that other releases have."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

from compat_shim.patching.kinds import Add, AddModule
from compat_shim.patching.patch import Finding, Verdict
from support.workbench import PLAIN, RELEASE, SOURCE, Bench, feature, verdict_of, wrap


@pytest.mark.parametrize("bounds", [{"first": "2.11"}, {"last": "2.9"}])
def test_a_patch_for_other_releases_is_native_and_left_alone(bench: Bench, bounds: dict[str, str]) -> None:
    module = bench.load("lib_a")
    before = module.plain
    plan = bench.started(feature("one", wrap("lib_a:plain", **bounds))).plans["one"]
    assert plan.finding == Finding(Verdict.NATIVE)
    assert plan.patches["plain"] == Finding(Verdict.NATIVE, found="not needed on 2.10.0")
    assert module.plain is before


@pytest.mark.parametrize("bounds", [{}, {"first": "2.10"}, {"last": "2.10"}, {"first": "2.9", "last": "2.11"}])
def test_a_patch_for_this_release_is_applied(bench: Bench, bounds: dict[str, str]) -> None:
    bench.load("lib_a")
    assert verdict_of(bench.started(feature("one", wrap("lib_a:plain", **bounds)))) is Verdict.APPLIED


def test_a_patch_for_other_releases_is_not_waited_for(bench: Bench) -> None:
    bench.load("lib_a")
    both = feature("one", wrap("lib_a:plain"), wrap("lib_later:plain", id="later", first="2.11"))
    assert verdict_of(bench.started(both)) is Verdict.APPLIED


def test_a_release_that_nobody_recorded_is_unknown(bench: Bench) -> None:
    module = bench.load("lib_a")
    bench.record(PLAIN, release="2.9.1")
    before = module.plain
    engine = bench.started(PLAIN, release="2.99.0")
    assert engine.plans["one"].finding == Finding(Verdict.UNKNOWN_RELEASE, "torch 2.9.1 to 2.10.0", "torch 2.99.0")
    assert module.plain is before


@pytest.mark.parametrize("release", ["2.10.0a0+git1a2b3c", "2.10.0.dev20251101", "2.10.1+cu128"])
def test_another_build_with_the_recorded_functions_is_served(bench: Bench, release: str) -> None:
    bench.load("lib_a")
    plan = bench.started(PLAIN, release=release).plans["one"]
    assert (plan.finding.verdict, plan.release) == (Verdict.APPLIED, RELEASE)


@pytest.mark.parametrize("release", ["2.10.0a0+git1a2b3c", "2.10.0.dev20251101", "2.10.1+cu128"])
def test_another_build_with_other_functions_is_of_unknown_release(bench: Bench, release: str) -> None:
    module = bench.load("lib_a")
    bench.table = {"lib_a:plain": {RELEASE: "0123456789abcdef"}}
    before = module.plain
    engine = bench.engine(PLAIN, release=release)
    engine.start()
    plan = engine.plans["one"]
    assert (plan.finding.verdict, plan.release) == (Verdict.UNKNOWN_RELEASE, None)
    assert "0123456789abcdef" in plan.finding.expected
    assert module.plain is before


def test_among_the_patch_releases_of_a_minor_the_functions_decide(bench: Bench) -> None:
    bench.load("lib_a")
    bench.record(PLAIN, release="2.10.1")
    bench.table["lib_a:plain"] |= {"2.10.0": "0123456789abcdef", "2.10.2": "fedcba9876543210"}
    engine = bench.engine(PLAIN, release="2.10.0a0+git1a2b3c")
    engine.start()
    assert (verdict_of(engine), engine.plans["one"].release) == (Verdict.APPLIED, "2.10.1")


AHEAD = "2.11.0a0+1a2b3c4.nv26.02"  # as a vendor builds it from 2.10's source


def test_a_version_ahead_of_its_source_is_taken_for_the_release_that_the_functions_are_of(bench: Bench) -> None:
    module = bench.load("lib_a")
    one = feature("one", wrap("lib_a:plain", last="2.10"), wrap("lib_a:other", first="2.11"))
    bench.record(one)
    bench.table["lib_a:other"]["2.11.0"] = "0123456789abcdef"
    engine = bench.engine(one, release=AHEAD)
    engine.start()
    assert (verdict_of(engine), engine.plans["one"].release) == (Verdict.APPLIED, RELEASE)
    assert (module.plain(1), module.other(1)) == (["plain", 1, "ours"], ["other", 1])


def test_a_build_that_lacks_what_a_release_has_of_its_own_is_not_that_release(bench: Bench) -> None:
    module = bench.load("lib_a")
    one = feature("one", Add("new", "lib_a:new", "", "", make="ours", last="2.10"))
    # Without a function to tell by, this one would be taken for 2.11, where nothing need be done.
    two = feature("two", wrap("lib_a:plain", last="2.10"), requires=("one",))
    bench.record(two)
    bench.table["lib_a:plain"]["2.11.0"] = "0123456789abcdef"
    engine = bench.engine(one, two, release=AHEAD)
    engine.start()
    assert {(plan.finding.verdict, plan.release) for plan in engine.plans.values()} == {(Verdict.APPLIED, RELEASE)}
    assert (module.new, module.plain(1)) == ("ours", ["plain", 1, "ours"])


def test_a_build_that_has_it_is_that_release(bench: Bench) -> None:
    module = bench.load("lib_a", SOURCE + "\nnew = 'of its own'\n")
    one = feature("one", Add("new", "lib_a:new", "", "", make="ours", last="2.10"))
    bench.table = {"any:function": {RELEASE: None, "2.11.0": None}}
    engine = bench.engine(one, release=AHEAD)
    engine.start()
    assert (verdict_of(engine), engine.plans["one"].release) == (Verdict.NATIVE, "2.11.0")
    assert module.new == "of its own"


def test_a_module_that_only_the_later_release_has_is_not_waited_for(bench: Bench) -> None:
    bench.load("lib_p.__init__", SOURCE)
    module = sys.modules["lib_p"]
    add = AddModule("module", "lib_p:new", "", "", make=ModuleType, last="2.10")
    one = feature("one", add, wrap("lib_p:plain"), wrap("lib_p.new:f", id="f", first="2.11"), imports=("lib_p.new",))
    bench.record(one)
    bench.table |= {"lib_p:plain": dict.fromkeys(("2.11.0", RELEASE), bench.table["lib_p:plain"][RELEASE])}
    engine = bench.engine(one, release=AHEAD)
    engine.start()
    assert (verdict_of(engine), engine.plans["one"].release) == (Verdict.APPLIED, RELEASE)
    assert module.new is sys.modules["lib_p.new"]


def test_a_module_that_either_release_needs_is_waited_for(bench: Bench) -> None:
    bench.load("lib_a")
    bench.write("lib_b")
    one = feature("one", wrap("lib_a:plain"), wrap("lib_b:plain", id="b", last="2.10"))
    bench.record(one)
    bench.table["lib_a:plain"]["2.11.0"] = "0123456789abcdef"
    engine = bench.engine(one, release=AHEAD)
    engine.start()
    assert (verdict_of(engine), engine.plans["one"].release) == (Verdict.PENDING, None)
    importlib.import_module("lib_b")
    assert (verdict_of(engine), engine.plans["one"].release) == (Verdict.APPLIED, RELEASE)
