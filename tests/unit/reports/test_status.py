from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from compat_shim.env import Settings
from compat_shim.patching import fingerprint
from compat_shim.patching.kinds import Add, AddModule
from compat_shim.patching.patch import Finding, Verdict
from compat_shim.patching.plan import Plan
from compat_shim.release import Release
from support.workbench import Bench, feature, wrap

ONE = feature("tag", wrap("lib_a:plain", why="it is a test", upstream="#7", ends_with="2.13"))
TWO = feature("lowering", wrap("lib_a:one"), wrap("lib_a:another"))
DRIFT = Finding(Verdict.DRIFTED, "hash 0123", "hash 4567")


@dataclasses.dataclass(frozen=True)
class Waiting:
    """Stands for that of ``out_variant.waiting``, which imports torch."""

    functional: str
    out: str

    def __str__(self) -> str:
        return f"{self.out} is missing: did you mean ns::i_out?"


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module under test, with the two features above as the features of the process."""
    stand_in = ModuleType("compat_shim.patches")
    stand_in.FEATURES = (ONE, TWO)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compat_shim.patches", stand_in)
    for name in ("status", "facts"):
        monkeypatch.delitem(sys.modules, f"compat_shim.reports.{name}", raising=False)
    module = importlib.import_module("compat_shim.reports.status")
    monkeypatch.setattr(module, "installed", lambda: Release("2.10.0+cpu", "/lib/torch", "abc"))
    yield module
    for name in ("status", "facts"):
        sys.modules.pop(f"compat_shim.reports.{name}", None)


def shim(*plans: Plan, active: bool = True, problems: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(
        engine=SimpleNamespace(plans={plan.feature.id: plan for plan in plans}) if plans else None,
        active=active,
        route="import compat_shim",
        settings=Settings("auto", ("tag", "lowering"), "warn", problems),
    )


def applied(one: Any) -> Plan:
    findings = {patch.id: Finding(Verdict.NATIVE, found="not needed on 2.10.0") for patch in one.patches}
    return Plan(one, Finding(Verdict.APPLIED), findings, release="2.10.0")


def declined(one: Any) -> Plan:
    findings = {"one": Finding(Verdict.DISABLED, found="another one does not fit"), "another": DRIFT}
    return Plan(one, DRIFT, findings)


def test_a_shim_that_waits_for_torch_has_all_features_pending(report: Any) -> None:
    status = report.make_status(shim())
    assert [(each.id, each.verdict, each.found) for each in status.features] == [
        ("tag", "PENDING", "torch is not imported yet"),
        ("lowering", "PENDING", "torch is not imported yet"),
    ]
    assert (status.good, status.state) == (True, "pending")
    assert status.release is None


def test_a_shim_that_is_not_active_has_all_features_disabled(report: Any) -> None:
    status = report.make_status(shim(active=False))
    assert {(each.verdict, each.found) for each in status.features} == {("DISABLED", "the shim is not active")}
    assert (status.active, status.good, status.state) == (False, False, "off")


def test_the_status_says_what_is_installed_and_how_it_was_activated(report: Any) -> None:
    status = report.make_status(shim(applied(ONE), problems=("a problem",)))
    assert (status.torch, status.torch_path, status.torch_git) == ("2.10.0+cpu", "/lib/torch", "abc")
    assert (status.route, status.mode, status.active) == ("import compat_shim", "auto", True)
    assert (status.release, status.problems) == ("2.10.0", ("a problem",))
    assert status.python == platform.python_version()


def test_without_torch_the_status_has_no_torch(report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "installed", lambda: None)
    status = report.make_status(shim())
    assert (status.torch, status.torch_path, status.torch_git) == (None, None, None)
    assert (status.good, status.state) == (False, "wrong")
    assert "none in -" in status.details()


STATES = {"APPLIED": "active", "NATIVE": "active", "PENDING": "pending", "DISABLED": "partial"}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_status_is_good_only_if_every_feature_is_there_or_may_come(report: Any, verdict: Verdict) -> None:
    status = report.make_status(shim(applied(ONE), Plan(TWO, Finding(verdict))))
    assert status.state == STATES.get(verdict.value, "wrong")
    assert status.good is (verdict in (Verdict.APPLIED, Verdict.NATIVE, Verdict.PENDING))


def test_a_problem_and_a_hidden_bootstrap_folder_are_wrong(report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    status = report.make_status(shim(applied(ONE), applied(TWO)))
    assert (status.good, status.state) == (True, "active")
    for wrong in ({"problems": ("a problem",)}, {"hidden_by": "/their/sitecustomize.py"}):
        assert dataclasses.replace(status, **wrong).state == "wrong"
        assert not dataclasses.replace(status, **wrong).good


def test_a_feature_that_waits_says_for_what(report: Any, bench: Bench) -> None:
    one, two = feature("tag", wrap("lib_a:plain")), feature("lowering", wrap("lib_b:plain"), requires=("tag",))
    for name in ("lib_a", "lib_b"):
        bench.write(name)
    engine = bench.started(one, two)
    assert seen_again(report, engine).found == "lib_a is imported at the first compile"
    report.FEATURES = (two,)
    bench.load("lib_b")
    (waits,) = report.make_status(SimpleNamespace(**{**vars(shim()), "engine": engine})).features
    assert (waits.verdict, waits.found) == ("PENDING", "a feature that it needs is pending")


def test_each_patch_shows_its_data_and_its_own_finding(report: Any) -> None:
    one, two = report.make_status(shim(applied(ONE), declined(TWO))).features
    (patch,) = one.patches
    assert (patch.id, patch.kind, patch.target) == ("plain", "wrap", "lib_a:plain")
    assert (patch.why, patch.upstream, patch.ends_with) == ("it is a test", "#7", "2.13")
    assert [(each.verdict, each.expected, each.found) for each in two.patches] == [
        ("DISABLED", "", "another one does not fit"),
        ("DRIFTED", "hash 0123", "hash 4567"),
    ]


def test_a_patch_that_was_not_looked_at_shows_the_finding_of_its_feature(report: Any) -> None:
    unknown = Finding(Verdict.UNKNOWN_RELEASE, "torch 2.6.0 to 2.15.0", "torch 2.99.0")
    status = report.make_status(shim(Plan(ONE, unknown), Plan(TWO, unknown)))
    assert {patch.found for each in status.features for patch in each.patches} == {"torch 2.99.0"}


def test_the_dictionary_is_json_with_a_schema_version(report: Any) -> None:
    status = report.make_status(shim(applied(ONE), declined(TWO)))
    data = json.loads(json.dumps(status.to_dict()))
    assert (data["schema_version"], data["good"], data["torch"]) == (1, False, "2.10.0+cpu")
    assert [each["verdict"] for each in data["features"]] == ["APPLIED", "DRIFTED"]
    assert data["features"][1]["patches"][1] == {
        "id": "another",
        "kind": "wrap",
        "target": "lib_a:another",
        "verdict": "DRIFTED",
        "expected": "hash 0123",
        "found": "hash 4567",
        "why": "a test",
        "upstream": "#1",
        "ends_with": "",
    }


def test_details_explain_what_is_not_good_and_only_that(report: Any) -> None:
    text = report.make_status(shim(applied(ONE), declined(TWO), problems=("COMPAT_SHIM='x' is not one",))).details()
    head, one, two, pairs = text.split("\n\n")
    assert pairs.splitlines() == ["pairs", "  none in this process"]
    for part in ("active (import compat_shim)", "2.10.0+cpu in /lib/torch", "torch 2.10.0", "COMPAT_SHIM='x' is"):
        assert part in head
    assert [line.split()[:2] for line in one.splitlines()] == [["tag", "APPLIED"], ["plain", "NATIVE"]]
    assert "not needed" not in one
    lines = [" ".join(line.split()) for line in two.splitlines()]
    assert lines[0].startswith("lowering DRIFTED the feature lowering")
    assert lines[1:3] == ["expected hash 0123", "found hash 4567"]
    assert "found another one does not fit" in lines


def test_details_show_pairs_misfits_and_foreign_patches_in_aligned_columns(report: Any) -> None:
    facts = report.facts
    status = dataclasses.replace(
        report.make_status(shim(applied(ONE))),
        environment={"COMPAT_SHIM": "auto"},
        cache_salt="0123",
        pairs=(
            facts.PairStatus("ns::f", "ns::f.out", "tag", ("not on cpu: this; do that",)),
            facts.PairStatus("ns::a_long_name", "ns::g", "registered"),
        ),
        candidates=(facts.CandidateStatus("ns::h", "ns::h.out", ("input 'x' is missing",)),),
        waiting=(Waiting("ns::i", "ns::i_outt"),),
        unpaired=(
            facts.UnpairedStatus("ns", (("ns::j", "ns::j_out"),), (("ns::k", "ns::k_out", "it is not"),), "--pair ns"),
        ),
        foreign=(facts.ForeignStatus("lib_a:plain", "theirs", "somebody"),),
    )
    lines = status.details().splitlines()
    assert {"environment  COMPAT_SHIM=auto", "cache salt   0123"} <= set(lines)
    assert lines[lines.index("pairs") :] == [
        "pairs",
        "  ns::f           ns::f.out    tag",
        "      not on cpu: this; do that",
        "  ns::a_long_name ns::g        registered",
        "",
        "tagged, but in no pair",
        "  ns::h.out for ns::h",
        "      input 'x' is missing",
        "",
        "registered by name, but an op is missing",
        "  ns::i => ns::i_outt",
        "      ns::i_outt is missing: did you mean ns::i_out?",
        "",
        "in no pair, of ns",
        "  ns::j        ns::j_out    fits by schema and name",
        "  ns::k_out for ns::k",
        "      it is not",
        "  to pair what fits: python -m compat_shim run --pair ns -- COMMAND",
        "  or in the program: compat_shim.pair_namespace('ns')",
        "",
        "patched by others",
        "  lib_a:plain  theirs of somebody",
    ]


def test_a_foreign_patch_on_a_target_is_seen_also_on_top_of_ours(report: Any, bench: Bench) -> None:
    owner = vars(bench.load("lib_a"))["Owner"]
    target = wrap("lib_a:Owner.method")
    mine = feature("mine", target)
    report.facts.FEATURES = (mine,)
    engine = bench.started(mine)
    assert engine.plans["mine"].finding.verdict is Verdict.APPLIED
    assert report.facts.foreign_patches() == ()
    owner.method = lambda self, x: x
    (seen,) = report.facts.foreign_patches()
    assert (seen.target, seen.module) == ("lib_a:Owner.method", __name__)
    assert seen.function.endswith("<lambda>")


def test_the_environment_the_python_and_the_build_are_told(report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_SHIM_LOG", "quiet")
    version = ModuleType("torch.version")
    version.cuda, version.debug = "12.8", True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.version", version)
    status = report.make_status(shim())
    assert status.environment["COMPAT_SHIM_LOG"] == "quiet"
    assert (status.python_path, status.torch_build, status.cache_salt) == (sys.executable, "CUDA 12.8, debug", None)


def test_the_text_and_the_module_hold_no_path_of_the_machine_they_were_written_on(report: Any) -> None:
    source = Path(report.__file__).read_text(encoding="utf-8")
    assert str(Path(report.__file__).parents[1]) not in source


TARGETS = ("lib_a:plain", "lib_a:Owner.method", "lib_a:Owner.build", "lib_a:Owner.check")


def seen_again(report: Any, engine: Any) -> Any:
    """The first feature of the status of a shim with this engine."""
    report.FEATURES = tuple(plan.feature for plan in engine.plans.values())
    return report.make_status(SimpleNamespace(**{**vars(shim()), "engine": engine})).features[0]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("what", ["put back", "replaced", "deleted"])
def test_a_target_that_is_ours_no_longer_is_replaced_when_it_is_asked(
    report: Any, bench: Bench, target: str, what: str
) -> None:
    bench.load("lib_a")
    owner, name = fingerprint.find_owner(target)
    before = vars(owner)[name]
    mine = feature("mine", wrap("lib_a:other"), wrap(target, id="patch"))
    engine = bench.started(mine)
    assert seen_again(report, engine).verdict == "APPLIED"
    ours = vars(owner)[name]
    if what == "deleted":
        delattr(owner, name)
    else:
        setattr(owner, name, before if what == "put back" else lambda *x: ours)
    seen = seen_again(report, engine)
    assert (seen.verdict, seen.good) == ("REPLACED", False)
    assert [patch.verdict for patch in seen.patches] == ["APPLIED", "REPLACED"]
    found = {"put back": f"{name} from lib_a", "replaced": f"<lambda> from {__name__}", "deleted": "does not exist"}
    assert found[what].removeprefix("<lambda>") in seen.found
    assert (seen.expected, seen.found) == (f"our own {target}", seen.patches[1].found)
    setattr(owner, name, ours)
    assert seen_again(report, engine).good


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_wrapper_that_names_ours_as_what_it_wraps_leaves_it_applied(
    report: Any, bench: Bench, target: str, layers: int
) -> None:
    bench.load("lib_a")
    owner, name = fingerprint.find_owner(target)
    engine = bench.started(feature("mine", wrap(target)), feature("again", wrap(target)))
    for _ in range(layers):
        raw = vars(owner)[name]
        kind = type(raw) if isinstance(raw, (classmethod, staticmethod)) else lambda function: function
        inner = getattr(raw, "__func__", raw)
        setattr(owner, name, kind(functools.wraps(inner)(lambda *args, inner=inner: inner(*args))))
    assert seen_again(report, engine).verdict == "APPLIED"


def test_an_object_that_wraps_itself_is_no_wrapper_of_ours(report: Any, bench: Bench) -> None:
    module = bench.load("lib_a")
    engine = bench.started(feature("mine", wrap("lib_a:plain")))
    module.plain = SimpleNamespace()
    module.plain.__wrapped__ = module.plain
    seen = seen_again(report, engine)
    assert (seen.verdict, seen.found) == ("REPLACED", "SimpleNamespace object")


@pytest.mark.parametrize("where", ["attribute", "sys.modules", "added name"])
def test_what_was_added_and_is_gone_is_replaced(report: Any, bench: Bench, where: str) -> None:
    bench.load("lib_p.__init__", "")
    package = sys.modules["lib_p"]
    added = AddModule("module", "lib_p:new", "", "", make=ModuleType)
    engine = bench.started(feature("mine", added, Add("name", "lib_p:name", "", "", make="ours")))
    assert seen_again(report, engine).good
    if where == "sys.modules":
        sys.modules["lib_p.new"] = ModuleType("theirs")
    else:
        delattr(package, "new" if where == "attribute" else "name")
    assert [patch.verdict for patch in seen_again(report, engine).patches] == (
        ["APPLIED", "REPLACED"] if where == "added name" else ["REPLACED", "APPLIED"]
    )
    del sys.modules["lib_p.new"]


def test_after_stop_nothing_is_replaced(report: Any, bench: Bench) -> None:
    bench.load("lib_a")
    engine = bench.started(feature("mine", wrap("lib_a:plain")))
    engine.stop()
    assert seen_again(report, engine).verdict == "DISABLED"
