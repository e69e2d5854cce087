"""Waiting for imports: when a feature is decided, what an import sees, warnings, strict, threads."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from compat_shim.patching import fingerprint
from compat_shim.patching.errors import ShimError
from compat_shim.patching.patch import Finding, Verdict
from support.workbench import RELEASE, Bench, feature, wrap


def test_a_feature_is_applied_when_its_module_is_imported(bench: Bench) -> None:
    bench.write("lib_a")
    engine = bench.started(feature("one", wrap("lib_a:plain")))
    module = importlib.import_module("lib_a")
    assert engine.plans["one"].finding.verdict is Verdict.APPLIED
    assert module.plain(1) == ["plain", 1, "ours"]
    assert engine._hook is not None


def test_a_feature_is_applied_when_the_last_of_its_modules_is_imported(bench: Bench) -> None:
    bench.write("lib_a")
    bench.write("lib_b")
    bench.write("lib_c")
    engine = bench.started(
        feature("one", wrap("lib_a:plain", "a", relies_on=("lib_c:plain",)), wrap("lib_b:plain", "b", id="b"))
    )
    for name in ("lib_b", "lib_a"):
        importlib.import_module(name)
        assert engine.plans["one"].finding.verdict is Verdict.PENDING
    importlib.import_module("lib_c")
    assert engine.plans["one"].finding.verdict is Verdict.APPLIED
    assert sys.modules["lib_a"].plain(1) == ["plain", 1, "a"]
    assert sys.modules["lib_b"].plain(1) == ["plain", 1, "b"]


def test_a_module_whose_import_failed_is_waited_for_again(bench: Bench) -> None:
    bench.write("lib_a")
    engine = bench.started(feature("one", wrap("lib_a:plain")))
    bench.write("lib_a", "raise OSError('first try')")
    with pytest.raises(OSError, match="first try"):
        importlib.import_module("lib_a")
    assert engine.plans["one"].finding.verdict is Verdict.PENDING
    assert bench.load("lib_a").plain(1) == ["plain", 1, "ours"]


def test_a_module_named_as_imported_is_not_waited_for(bench: Bench) -> None:
    module = bench.load("lib_a")
    assert module.__spec__ is not None
    one = feature("one", wrap("lib_a:plain"))
    bench.record(one)
    module.__spec__._initializing = True  # type: ignore[attr-defined]  # as while its code runs
    engine = bench.engine(one)
    engine.start()
    assert engine.plans["one"].finding.verdict is Verdict.PENDING
    engine.stop()
    engine = bench.engine(one)
    engine.start(imported=("lib_a",))
    assert engine.plans["one"].finding.verdict is Verdict.APPLIED


def test_a_module_that_the_engine_imports_itself_is_patched_once(bench: Bench) -> None:
    bench.load("lib_a")
    bench.write("lib_b")
    one = feature("one", wrap("lib_a:plain"), wrap("lib_b:plain", id="b"), imports=("lib_b", "lib_nowhere"))
    engine = bench.started(one)
    plan = engine.plans["one"]
    assert [finding.verdict for finding in (plan.finding, *plan.patches.values())] == [Verdict.APPLIED] * 3
    assert sys.modules["lib_a"].plain(1) == ["plain", 1, "ours"]
    assert sys.modules["lib_b"].plain(1) == ["plain", 1, "ours"]
    assert len(plan.undo) == 2


def test_a_module_that_a_patch_imports_as_it_is_applied_leads_to_no_second_round(bench: Bench) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        importlib.import_module("lib_b")
        return lambda x: [*original(x), "ours"]

    module = bench.load("lib_a")
    bench.write("lib_b")
    one = feature("one", wrap("lib_a:plain", make=make))
    two = feature("two", wrap("lib_b:plain"))
    engine = bench.started(one, two)
    assert module.plain(1) == ["plain", 1, "ours"]
    assert sys.modules["lib_b"].plain(1) == ["plain", 1, "ours"]
    assert [len(plan.undo) for plan in engine.plans.values()] == [1, 1]


def test_import_all_gives_every_feature_its_verdict(bench: Bench) -> None:
    bench.write("lib_a")
    bench.write("lib_broken", "raise RuntimeError('broken')")
    names = ("lib_a", "lib_broken", "lib_nowhere")
    engine = bench.engine(*(feature(name, wrap(f"{name}:plain")) for name in names))
    bench.record(feature("lib_a", wrap("lib_a:plain")))
    engine._fingerprints = bench.table
    engine.start()
    assert {plan.finding.verdict for plan in engine.plans.values()} == {Verdict.PENDING}
    engine.import_all()
    assert [engine.plans[name].finding.verdict for name in names] == [
        Verdict.APPLIED,
        Verdict.DRIFTED,
        Verdict.DRIFTED,
    ]
    assert engine.plans["lib_nowhere"].finding.found == "nothing: module lib_nowhere is not imported"


def test_an_error_of_ours_does_not_reach_the_import(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("lib_a")
    engine = bench.started(feature("one", wrap("lib_a:plain")))

    def broken(target: str) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(fingerprint, "find", broken)
    module = importlib.import_module("lib_a")
    assert module.plain(1) == ["plain", 1]
    assert engine.plans["one"].finding == Finding(Verdict.FAILED, "no error", "ZeroDivisionError('a bug')")


def drifted(bench: Bench, *names: str, **options: Any) -> Any:
    """An engine with features whose functions are not the recorded ones."""
    bench.table = {f"{name}:plain": {RELEASE: "0123456789abcdef"} for name in names}
    return bench.engine(*(feature(name, wrap(f"{name}:plain")) for name in names), **options)


def test_a_declined_feature_is_one_warning_with_found_expected_and_what_to_do(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    actual = fingerprint.hash_of(bench.load("lib_a").plain)
    bench.load("lib_b")
    for _ in range(2):
        engine = drifted(bench, "lib_a", "lib_b")
        engine.start()
        engine._advance()
        engine.stop()
    records = [record for record in caplog.records if record.name == "compat_shim"]
    assert [record.levelno for record in records] == [logging.WARNING] * 2
    first = records[0].getMessage()
    for part in ("lib_a", "DRIFTED", f"found {actual}", "expected lib_a:plain as in torch 2.10.0 (0123456789abcdef)"):
        assert part in first
    for advice in ("python -m compat_shim status", "COMPAT_SHIM=off"):
        assert advice in first


def test_quiet_declines_without_a_word(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.load("lib_a")
    engine = drifted(bench, "lib_a", log="quiet")
    engine.start()
    assert engine.plans["lib_a"].finding.verdict is Verdict.DRIFTED
    assert caplog.records == []


def test_what_fits_or_is_switched_off_is_no_warning(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.load("lib_a")
    one = feature("one", wrap("lib_a:plain"))
    native = feature("native", wrap("lib_a:other", first="2.11"))
    bench.started(one, native, feature("off", wrap("lib_a:Owner.build")), asked_for=("one", "native"))
    assert caplog.records == []


def test_strict_raises_where_auto_would_warn(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    module = bench.load("lib_a")
    before = module.plain
    with pytest.raises(ShimError, match=r"lib_a: DRIFTED: found .*, expected .*0123456789abcdef.*COMPAT_SHIM=off"):
        drifted(bench, "lib_a", mode="strict").start()
    assert module.plain is before
    assert caplog.records == []


def test_strict_fails_the_import_of_a_module_that_does_not_fit(bench: Bench) -> None:
    bench.write("lib_a")
    drifted(bench, "lib_a", mode="strict").start()
    with pytest.raises(ShimError, match="lib_a: DRIFTED"):
        importlib.import_module("lib_a")
    assert "lib_a" not in sys.modules


def test_strict_is_content_with_what_fits(bench: Bench) -> None:
    module = bench.load("lib_a")
    bench.started(feature("one", wrap("lib_a:plain")), mode="strict")
    assert module.plain(1) == ["plain", 1, "ours"]


def test_two_threads_that_import_at_once_apply_one_feature_after_the_other(bench: Bench) -> None:
    events: list[str] = []

    def slow(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            events.append(f"enter {name}")
            time.sleep(0.05)
            events.append(f"leave {name}")
            return lambda x: [*original(x), name]

        return make

    names = ("lib_a", "lib_b")
    for name in names:
        bench.write(name)
    both = feature("both", *(wrap(f"{name}:other", id=name, make=slow("both")) for name in names))
    engine = bench.started(*(feature(name, wrap(f"{name}:plain", make=slow(name))) for name in names), both)
    barrier = threading.Barrier(2)

    seen: dict[str, Any] = {}

    def load(name: str) -> None:
        barrier.wait(10)
        seen[name] = importlib.import_module(name).plain(1)  # patched as soon as it can be used

    threads = [threading.Thread(target=load, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {plan.finding.verdict for plan in engine.plans.values()} == {Verdict.APPLIED}
    pairs = list(zip(events[::2], events[1::2], strict=True))
    assert len(pairs) == 4
    assert all(enter.replace("enter", "leave") == leave for enter, leave in pairs)
    assert seen == {name: ["plain", 1, name] for name in names}
    for name in names:
        assert sys.modules[name].other(1) == ["other", 1, "both"]
