"""Verdicts: which one a feature gets, and what it says was expected and found."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from compat_shim.patching import fingerprint
from compat_shim.patching.engine import Engine
from compat_shim.patching.errors import ShimError
from compat_shim.patching.kinds import Add, AddModule
from compat_shim.patching.patch import Feature, Finding, Verdict

from ..helpers import RELEASE, SOURCE, Bench, feature, wrap

LOAD = fingerprint.load  # before a test puts its own table in its place
PLAIN = feature("one", wrap("lib_a:plain"))


def verdict_of(engine: Engine, name: str = "one") -> Verdict:
    return engine.plans[name].finding.verdict


def test_a_feature_that_fits_is_applied(bench: Bench) -> None:
    module = bench.load("lib_a")
    plan = bench.started(PLAIN).plans["one"]
    assert plan.finding == Finding(Verdict.APPLIED)
    assert plan.patches == {"plain": Finding(Verdict.APPLIED)}
    assert plan.release == RELEASE
    assert module.plain(1) == ["plain", 1, "ours"]


def test_a_feature_whose_module_is_not_imported_is_pending_and_imports_nothing(bench: Bench) -> None:
    bench.write("lib_a")
    engine = bench.started(PLAIN)
    assert engine.plans["one"].finding == Finding(Verdict.PENDING)
    assert "lib_a" not in sys.modules


def test_what_torch_has_is_native_and_left_alone(bench: Bench) -> None:
    module = bench.load("lib_a")
    before = module.plain
    engine = bench.started(feature("one", Add("add", "lib_a:plain", "", "", make="ours")))
    assert engine.plans["one"].finding == Finding(Verdict.NATIVE)
    assert module.plain is before


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
    engine = bench.started(PLAIN, release="2.16.0")
    assert engine.plans["one"].finding == Finding(Verdict.UNKNOWN_RELEASE, "torch 2.9.1 to 2.10.0", "torch 2.16.0")
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


def test_a_function_with_another_source_has_drifted(bench: Bench) -> None:
    bench.load("lib_a")
    bench.record(PLAIN)
    recorded = bench.table["lib_a:plain"][RELEASE]
    del sys.modules["lib_a"]
    module = bench.load("lib_a", "def plain(x):\n    return [x]\n")
    before = module.plain
    engine = bench.engine(PLAIN, release="2.10.0+cu128")
    engine.start()
    assert engine.plans["one"].finding == Finding(
        Verdict.DRIFTED, f"lib_a:plain as in torch 2.10.0 ({recorded})", fingerprint.hash_of(before)
    )
    assert module.plain is before


def test_a_function_that_is_gone_has_drifted(bench: Bench) -> None:
    bench.load("lib_a")
    engine = bench.started(feature("one", wrap("lib_a:nothing")))
    finding = engine.plans["one"].finding
    assert (finding.verdict, finding.expected) == (Verdict.DRIFTED, "a function lib_a:nothing")
    assert finding.found == "nothing: lib_a:nothing does not exist"


def test_a_function_that_is_relied_on_counts_as_much_as_a_target(bench: Bench) -> None:
    module = bench.load("lib_a")
    before = module.plain
    both = feature("one", wrap("lib_a:plain", relies_on=("lib_a:other",)))
    bench.record(both)
    bench.table["lib_a:other"] = {RELEASE: "0123456789abcdef"}
    engine = bench.engine(both)
    engine.start()
    finding = engine.plans["one"].finding
    assert finding.verdict is Verdict.DRIFTED
    assert finding.expected.startswith("lib_a:other as in torch 2.10.0")
    assert module.plain is before


@pytest.mark.parametrize(("name", "expected"), [("absent", Verdict.APPLIED), ("other", Verdict.DRIFTED)])
def test_a_function_recorded_as_absent_must_be_absent(bench: Bench, name: str, expected: Verdict) -> None:
    bench.load("lib_a")
    both = feature("one", wrap("lib_a:plain", relies_on=(f"lib_a:{name}",)))
    bench.record(both)
    bench.table[f"lib_a:{name}"] = {RELEASE: None}
    engine = bench.engine(both)
    engine.start()
    assert verdict_of(engine) is expected


def test_a_function_that_nobody_recorded_does_not_pass(bench: Bench) -> None:
    bench.load("lib_a")
    bench.table = {"lib_a:other": {RELEASE: None}}
    engine = bench.engine(PLAIN)
    engine.start()
    assert verdict_of(engine) is Verdict.DRIFTED


def test_a_missing_function_that_nobody_recorded_as_absent_does_not_pass(bench: Bench) -> None:
    bench.load("lib_a")
    bench.record(PLAIN)
    engine = bench.engine(feature("one", wrap("lib_a:plain", relies_on=("lib_a:nothing",))))
    engine.start()
    assert verdict_of(engine) is Verdict.DRIFTED


class Replacement:
    def __call__(self, x: Any) -> str:
        return "theirs"


def theirs(x: Any) -> str:
    return "theirs"


@pytest.mark.parametrize("kind", ["with wraps", "without", "an object", "a partial"])
def test_a_function_that_somebody_replaced_is_a_foreign_patch(bench: Bench, kind: str) -> None:
    module = bench.load("lib_a")
    bench.record(PLAIN)
    module.plain = foreign = {
        "with wraps": functools.wraps(module.plain)(lambda x: "theirs"),
        "without": theirs,
        "an object": Replacement(),
        "a partial": functools.partial(module.plain),
    }[kind]
    engine = bench.engine(PLAIN)
    engine.start()
    finding = engine.plans["one"].finding
    assert finding.verdict is Verdict.FOREIGN_PATCH
    assert "lib_a:plain" in finding.expected
    assert (__name__ if callable(foreign) and kind in ("with wraps", "without") else type(foreign).__name__) in (
        finding.found
    )
    assert module.plain is foreign


def test_a_wrapper_in_the_module_s_own_namespace_is_a_foreign_patch(bench: Bench) -> None:
    module = bench.load("lib_a")
    bench.record(PLAIN)
    exec("import functools\nplain = functools.wraps(plain)(lambda x: 'theirs')", vars(module))
    engine = bench.engine(PLAIN)
    engine.start()
    assert verdict_of(engine) is Verdict.FOREIGN_PATCH
    assert module.plain(1) == "theirs"


def test_a_function_without_source_is_unverifiable(bench: Bench) -> None:
    bench.load("lib_a")
    bench.record(PLAIN)
    module = sys.modules["lib_a"]
    exec("def plain(x): return ['exec', x]", vars(module))
    before = module.plain
    engine = bench.engine(PLAIN)
    engine.start()
    finding = engine.plans["one"].finding
    assert finding.verdict is Verdict.UNVERIFIABLE
    assert finding.expected.startswith("lib_a:plain as in torch 2.10.0")
    assert "<string>" in finding.found
    assert module.plain is before


@pytest.mark.parametrize("content", [None, "", "not JSON", "[]", '{"targets": []}'])
def test_with_a_broken_fingerprint_file_all_is_unverifiable_and_untouched(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    module = bench.load("lib_a")
    before = dict(vars(module))
    file = tmp_path / "prints.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setattr(fingerprint, "load", lambda: LOAD(file))
    engine = bench.engine(PLAIN, feature("two", Add("new", "lib_a:new", "", "", make="ours")))
    engine.start()
    for plan in engine.plans.values():
        assert (plan.finding.verdict, plan.finding.expected) == (Verdict.UNVERIFIABLE, "a readable fingerprint file")
        assert "prints.json is broken" in plan.finding.found
    assert dict(vars(module)) == before


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


def test_one_line_at_info_tells_all_verdicts_once_they_are_known(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.load("lib_a")
    now, later = feature("now", wrap("lib_a:plain")), feature("later", wrap("lib_b:plain"))
    bench.write("lib_b")
    with caplog.at_level("INFO", "compat_shim"):
        bench.started(now, later)
        assert caplog.messages == []
        importlib.import_module("lib_b")
    assert caplog.messages == ["compat_shim: now APPLIED, later APPLIED on torch 2.10.0"]
