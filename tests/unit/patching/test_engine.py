"""Verdicts: which one a feature gets, and what it says was expected and found."""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from compat_shim.patching import fingerprint
from compat_shim.patching.kinds import Add
from compat_shim.patching.patch import Finding, Verdict
from support.workbench import PLAIN, RELEASE, Bench, feature, verdict_of, wrap

LOAD = fingerprint.load  # before a test puts its own table in its place


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
