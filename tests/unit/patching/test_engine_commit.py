"""Commit and undo: a feature is applied whole or not at all, and comes off exactly."""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType
from typing import Any, ClassVar

import pytest

from compat_shim.patching.kinds import Add, AddModule, Wrap
from compat_shim.patching.patch import Do, Finding, Patch, Undo, Verdict
from support.workbench import Bench, Recorder, feature, wrap


def recorder(name: str, events: list[str], error: BaseException | None = None) -> Recorder:
    return Recorder(name, "lib_a:plain", "a test", "#1", events=events, error=error)


def test_if_the_second_patch_has_drifted_the_first_is_not_applied(bench: Bench) -> None:
    module = bench.load("lib_a")
    before = module.plain
    events: list[str] = []
    plan = bench.started(feature("one", recorder("a", events), wrap("lib_a:plain"), wrap("lib_a:nothing"))).plans["one"]
    assert plan.finding.verdict is Verdict.DRIFTED
    assert events == []
    assert module.plain is before
    assert {name: finding.verdict for name, finding in plan.patches.items()} == {
        "a": Verdict.DISABLED,
        "plain": Verdict.DISABLED,
        "nothing": Verdict.DRIFTED,
    }


def test_if_a_patch_raises_those_before_it_go_back_last_in_first_out(bench: Bench) -> None:
    module = bench.load("lib_a")
    before = dict(vars(module))
    events: list[str] = []
    plan = bench.started(
        feature(
            "one",
            recorder("a", events),
            wrap("lib_a:plain"),
            recorder("b", events),
            recorder("c", events, error=OSError("no room")),
            recorder("d", events),
        )
    ).plans["one"]
    assert events == ["apply a", "apply b", "undo b", "undo a"]
    assert plan.finding == Finding(Verdict.FAILED, "patch 'c' applies", "OSError('no room')")
    assert plan.patches["c"] == Finding(Verdict.FAILED, "it applies", "OSError('no room')")
    assert dict(vars(module)) == before


def test_after_a_roll_back_no_patch_claims_to_be_applied(bench: Bench) -> None:
    bench.load("lib_a")
    events: list[str] = []
    plan = bench.started(
        feature("one", recorder("a", events), recorder("b", events, error=OSError()), recorder("c", events))
    ).plans["one"]
    assert [finding.verdict for finding in plan.patches.values()] == [
        Verdict.DISABLED,
        Verdict.FAILED,
        Verdict.DISABLED,
    ]


def test_a_failed_feature_leaves_the_others_applied(bench: Bench) -> None:
    module = bench.load("lib_a")
    engine = bench.started(feature("one", recorder("a", [], error=OSError())), feature("two", wrap("lib_a:plain")))
    assert [plan.finding.verdict for plan in engine.plans.values()] == [Verdict.FAILED, Verdict.APPLIED]
    assert module.plain(1) == ["plain", 1, "ours"]


def test_a_patch_that_raises_when_it_looks_is_failed_and_harms_nothing(bench: Bench) -> None:
    class Blind(Patch):
        def look(self) -> Finding:
            raise KeyError("a bug")

    bench.load("lib_a")
    engine = bench.started(feature("one", Blind("blind", "lib_a:plain", "", "")), feature("two", wrap("lib_a:plain")))
    assert engine.plans["one"].finding == Finding(Verdict.FAILED, "no error", "KeyError('a bug')")
    assert engine.plans["two"].finding.verdict is Verdict.APPLIED


def test_features_are_applied_in_order_and_undone_in_the_reverse_order(bench: Bench) -> None:
    bench.load("lib_a")
    events: list[str] = []
    engine = bench.started(
        feature("one", recorder("a", events), recorder("b", events)), feature("two", recorder("c", events))
    )
    engine.stop()
    assert events == ["apply a", "apply b", "apply c", "undo c", "undo b", "undo a"]
    engine.stop()
    assert len(events) == 6


def test_stop_gives_back_every_original_object(bench: Bench) -> None:
    module = bench.load("lib_a")
    before, of_owner = dict(vars(module)), dict(vars(module.Owner))
    engine = bench.started(
        feature(
            "one",
            wrap("lib_a:plain"),
            wrap("lib_a:Owner.method"),
            wrap("lib_a:Owner.build"),
            wrap("lib_a:Owner.check"),
            Add("new", "lib_a:Owner.new", "", "", make="ours"),
            Add("top", "lib_a:top", "", "", make="ours"),
        )
    )
    assert engine.plans["one"].finding.verdict is Verdict.APPLIED
    assert module.Owner.new == "ours"
    assert vars(module.Owner)["build"] is not of_owner["build"]
    engine.stop()
    assert vars(module).keys() == before.keys()
    assert all(vars(module)[name] is value for name, value in before.items())
    assert vars(module.Owner).keys() == of_owner.keys()
    assert all(vars(module.Owner)[name] is of_owner[name] for name in ("method", "build", "check"))
    assert engine.plans["one"].finding == Finding(Verdict.DISABLED, found="deactivated")


@pytest.mark.parametrize("target", ["lib_a:plain", "lib_a:Owner.build"])
def test_two_features_on_one_target_stack_and_come_off_exactly(bench: Bench, target: str) -> None:
    module = bench.load("lib_a")
    owner, name = (module, "plain") if target == "lib_a:plain" else (module.Owner, "build")
    raw = vars(owner)[name]
    engine = bench.started(feature("one", wrap(target, "first")), feature("two", wrap(target, "second")))
    assert [plan.finding.verdict for plan in engine.plans.values()] == [Verdict.APPLIED] * 2
    assert getattr(owner, name)(1)[-2:] == ["first", "second"]
    engine.stop()
    assert vars(owner)[name] is raw


def test_after_stop_a_new_engine_applies_again(bench: Bench) -> None:
    module = bench.load("lib_a")
    before = module.plain
    one = feature("one", wrap("lib_a:plain"))
    for _ in range(3):
        engine = bench.started(one)
        assert module.plain(1) == ["plain", 1, "ours"]
        engine.stop()
        assert module.plain is before


def test_a_stopped_engine_applies_nothing_any_more(bench: Bench) -> None:
    bench.write("lib_a")
    engine = bench.started(feature("one", wrap("lib_a:plain")))
    engine.stop()
    assert bench.load("lib_a").plain(1) == ["plain", 1]


def patched_by_somebody(module: ModuleType) -> Any:
    ours = module.plain

    @functools.wraps(ours)
    def theirs(x: Any) -> Any:
        return [*ours(x), "theirs"]

    module.plain = theirs
    return theirs


def test_a_foreign_patch_on_top_of_ours_stays_and_ours_beneath_only_calls_the_original(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    module = bench.load("lib_a")
    engine = bench.started(feature("one", wrap("lib_a:plain"), wrap("lib_a:other")))
    theirs = patched_by_somebody(module)
    assert module.plain(1) == ["plain", 1, "ours", "theirs"]
    engine.stop()
    assert module.plain is theirs
    assert module.plain(1) == ["plain", 1, "theirs"]
    assert module.other(1) == ["other", 1]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    for part in ("one", "'plain' stays", "replaced by somebody else"):
        assert part in record.getMessage()
    assert engine.plans["one"].patches["plain"].verdict is Verdict.FOREIGN_PATCH


def test_over_a_foreign_patch_on_top_of_ours_a_new_engine_declines(bench: Bench) -> None:
    module = bench.load("lib_a")
    one = feature("one", wrap("lib_a:plain"))
    bench.started(one).stop()
    engine = bench.engine(one)
    engine.start()
    theirs = patched_by_somebody(module)
    engine.stop()
    again = bench.engine(one)
    again.start()
    assert again.plans["one"].finding.verdict is Verdict.FOREIGN_PATCH
    assert module.plain is theirs
    assert module.plain(1) == ["plain", 1, "theirs"]


def test_a_module_that_is_added_comes_and_goes_with_its_feature(bench: Bench) -> None:
    bench.load("lib_p.__init__", "")
    add = AddModule("module", "lib_p:new", "", "", make=ModuleType)
    engine = bench.started(feature("one", add, Add("name", "lib_p:name", "", "", make="ours")))
    assert engine.plans["one"].finding.verdict is Verdict.APPLIED
    assert sys.modules["lib_p"].new is sys.modules["lib_p.new"]
    engine.stop()
    assert "lib_p.new" not in sys.modules


class InterruptedOnce(Wrap):
    """Ctrl-C comes once, when the function is replaced and ``do`` has not come back."""

    interrupts: ClassVar[list[str]] = []

    def change(self) -> tuple[Do, Undo]:
        do, undo = super().change()

        def interrupted() -> None:
            do()
            if self.interrupts:
                raise KeyboardInterrupt(self.interrupts.pop())

        return interrupted, undo


def interrupted_once(target: str) -> InterruptedOnce:
    InterruptedOnce.interrupts[:] = ["Ctrl-C"]
    return InterruptedOnce("second", target, "a test", "#1", make=wrap(target).make)


def test_what_an_interrupt_leaves_half_done_is_undone_and_done_when_asked_again(bench: Bench) -> None:
    module = bench.load("lib_a")
    before = dict(vars(module))
    two = feature("two", wrap("lib_a:plain"), interrupted_once("lib_a:other"), wrap("lib_a:Owner.check"))
    bench.record(two)
    engine = bench.engine(two)
    with pytest.raises(KeyboardInterrupt):
        engine.start()
    assert dict(vars(module)) == before
    plan = engine.plans["two"]
    assert (plan.finding, plan.patches, plan.release, plan.undo) == (Finding(Verdict.PENDING), {}, None, [])
    engine.resume()
    assert plan.finding == Finding(Verdict.APPLIED)
    assert [module.plain(1)[-1], module.other(1)[-1], module.Owner.check(1)[-1]] == ["ours"] * 3
    engine.stop()
    assert dict(vars(module)) == before
    engine.resume()
    assert dict(vars(module)) == before


def test_an_interrupt_undoes_the_features_before_it_too_last_in_first_out(bench: Bench) -> None:
    bench.load("lib_a")
    events: list[str] = []
    two = feature("two", recorder("b", events), recorder("c", events, error=KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        bench.started(feature("one", recorder("a", events)), two)
    assert events == ["apply a", "apply b", "undo b", "undo a"]
    assert [plan.finding.verdict for plan in bench.engines[0].plans.values()] == [Verdict.PENDING] * 2


def test_an_import_that_an_interrupt_ends_is_waited_for_again(bench: Bench) -> None:
    bench.write("lib_a")
    one = feature("one", wrap("lib_a:plain"))
    engine = bench.started(one, feature("two", interrupted_once("lib_a:other")))
    with pytest.raises(KeyboardInterrupt):
        importlib.import_module("lib_a")
    assert "lib_a" not in sys.modules
    assert engine.plans["one"].finding.verdict is Verdict.PENDING
    module = importlib.import_module("lib_a")
    assert [plan.finding.verdict for plan in engine.plans.values()] == [Verdict.APPLIED] * 2
    assert [module.plain(1), module.other(1)] == [["plain", 1, "ours"], ["other", 1, "ours"]]


def test_a_roll_back_that_is_interrupted_is_ended_by_the_next_stop(bench: Bench) -> None:
    module = bench.load("lib_a")
    before = module.plain
    engine = bench.started(feature("one", wrap("lib_a:plain")))
    (name, undo), interrupts = engine.plans["one"].undo[0], ["Ctrl-C"]

    def interrupted() -> None:
        undo()
        if interrupts:
            raise KeyboardInterrupt(interrupts.pop())

    engine.plans["one"].undo[0] = (name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.stop()
    engine.stop()
    assert module.plain is before
    assert engine.plans["one"].finding.verdict is Verdict.DISABLED
