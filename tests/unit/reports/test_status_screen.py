"""The screen that ``status`` prints: short, true, and with the next step."""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace
from typing import Any

import pytest

from compat_shim.patching.patch import Verdict
from compat_shim.reports import facts
from compat_shim.reports.blocks import LINES, WIDTH
from compat_shim.reports.status import FeatureStatus, Status

PATH = "/" + "/".join(["folder"] * 17) + "x"  # of 120 characters
IDS = ("tag", "discovery", "custom_op", "direct", "lowering", "calls")


def made(*verdicts: str, expected: str = "", found: str = "", **fields: Any) -> Status:
    """A status with features of these verdicts; all else is as in a healthy process."""
    features = tuple(FeatureStatus(name, "", verdict, expected, found, ()) for name, verdict in zip(IDS, verdicts))
    healthy: dict[str, Any] = {field.name: () for field in dataclasses.fields(Status)}
    healthy |= {"version": "0.1.0", "active": True, "route": "import compat_shim", "hidden_by": None, "mode": "auto"}
    healthy |= {"environment": {}, "torch": "2.10.0+cu128", "torch_path": PATH, "torch_git": None, "torch_build": None}
    healthy |= {"release": "2.10.0", "python": "3.11.7", "python_path": PATH, "features": features, "cache_salt": None}
    return Status(**{**healthy, "platform": "Linux", **fields})


def pairs(count: int, spaces: int = 1) -> tuple[facts.PairStatus, ...]:
    names = [(f"ns{n % spaces}::f{n}", f"ns{n % spaces}::f{n}.out") for n in range(count)]
    return tuple(facts.PairStatus(*name, "namespace" if n % 3 else "tag") for n, name in enumerate(names))


def waiting(count: int) -> Any:
    class Waits(SimpleNamespace):
        def __str__(self) -> str:
            return f"{self.out} is missing: load the library that defines it, or mend the name"

    return tuple(Waits(functional=f"ns::g{n}", out=f"ns::g{n}_out") for n in range(count))


APPLIED = ("APPLIED",) * 6
TAGGED = facts.CandidateStatus(
    "ns::h", "ns::h.out", ("they are rivals", "register_out_variant('ns::h', ...) pairs them")
)
UNPAIRED = facts.UnpairedStatus("ns", (("ns::j", "ns::j_out"),), (("ns::k", "ns::k_out", "why"),), "--pair ns")


def test_where_all_is_well_it_is_three_lines() -> None:
    assert str(made(*APPLIED, pairs=pairs(1))).splitlines() == [
        "compat_shim 0.1.0, torch 2.10.0+cu128: active (import compat_shim), all 6 features in place",
        "pairs      ns0::f0 => ns0::f0.out (tag)",
        "all of it: python -m compat_shim status -v, or print(compat_shim.status().details())",
    ]


def test_the_first_line_names_the_release_that_another_build_is_taken_for() -> None:
    first = str(made(*APPLIED, torch="2.11.0a0+1a2b3c4")).splitlines()[0]
    assert first.startswith("compat_shim 0.1.0, torch 2.11.0a0+1a2b3c4 (taken for 2.10.0): active (")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"environment": {"COMPAT_SHIM": " OFF"}}, "off, torch is as shipped; COMPAT_SHIM=off"),
        ({}, "off, torch is as shipped; compat_shim.activate() starts it"),
        ({"problems": ("it is in a zip file",)}, "wrong, torch is as shipped\nproblems   it is in a zip file\n"),
    ],
)
def test_a_shim_that_is_not_active_says_why(fields: Any, says: str) -> None:
    text = str(made(*["DISABLED"] * 6, active=False, found="the shim is not active", **fields))
    assert f"torch 2.10.0+cu128: {says}" in text
    assert "features" not in text


def test_features_have_a_line_only_where_they_are_not_good_and_alike_ones_share_it() -> None:
    status = made("APPLIED", "NATIVE", *["DISABLED"] * 3, "PENDING", found="COMPAT_SHIM_FEATURES leaves it out")
    lines = str(status).splitlines()
    assert lines[0].endswith("partial (import compat_shim), 2 of 6 features in place")
    assert lines[1] == "features   custom_op, direct, lowering: DISABLED: COMPAT_SHIM_FEATURES leaves it out"
    assert lines[2].startswith("pending    calls: ")


@pytest.mark.parametrize("verdict", sorted({verdict for verdict in Verdict if not verdict.good} - {Verdict.PENDING}))
def test_each_verdict_has_its_next_step(verdict: Verdict) -> None:
    text = str(made(*APPLIED[:5], verdict.value, expected="this", found="that"))
    (row,) = [line for line in text.splitlines() if line.startswith("features")]
    if verdict is Verdict.DISABLED:  # what it needs has a line of its own
        assert row == "features   calls: DISABLED: a feature that is needed for it is not there"
    else:
        assert row.startswith(f"features   calls: {verdict.value}: found that, expected this; ")


def test_what_is_in_no_pair_comes_with_what_pairs_it() -> None:
    lines = str(made(*APPLIED, candidates=(TAGGED,), unpaired=(UNPAIRED,), waiting=waiting(1))).splitlines()
    assert lines[2:-1] == [
        "waiting    ns::g0 => ns::g0_out: ns::g0_out is missing: load the library that defines it, or mend",
        "           the name",
        "tagged     ns::h.out for ns::h: they are rivals; register_out_variant('ns::h', ...) pairs them",
        "unpaired   ns: 1 fit by schema and name, 1 refused; to pair them:",
        "           python -m compat_shim run --pair ns -- COMMAND",
        "           or in the program: compat_shim.pair_namespace('ns')",
    ]


def test_what_is_only_refused_comes_with_what_says_why() -> None:
    text = str(made(*APPLIED, unpaired=(dataclasses.replace(UNPAIRED, pairs=(), flag=""),)))
    assert "unpaired   ns: 1 looks like an out variant and is refused; to see why:\n" in text
    assert "           python -m compat_shim pairs ns --import MODULE\n" in text


def test_an_out_op_for_direct_calls_lacks_nothing() -> None:
    direct = facts.CandidateStatus("", "ns::j_out", ("its op has no functional overload",))
    assert "j_out" not in str(made(*APPLIED, candidates=(direct,)))


def test_pairs_are_counted_by_namespace_where_they_are_many() -> None:
    lines = str(made(*APPLIED, pairs=pairs(300, 3))).splitlines()
    assert lines[1:-1] == [
        "pairs      300 (200 namespace, 100 tag) of 3 namespaces",
        "           ns0: 100",
        "           ns1: 100",
        "           ns2: 100",
    ]


def test_pairs_with_the_same_limit_share_a_line() -> None:
    limited = [dataclasses.replace(pair, limits=("not on cuda: this; do that",)) for pair in pairs(3)]
    assert "limited    ns0::f0 and 2 more: not on cuda: this; do that\n" in str(made(*APPLIED, pairs=tuple(limited)))


def test_who_has_patched_torch_is_told_with_what() -> None:
    foreign = tuple(facts.ForeignStatus(f"torch.a:f{n}", "f", "vllm.env") for n in range(2))
    assert "patched    by vllm.env: torch.a:f0, torch.a:f1\n" in str(made(*APPLIED, foreign=foreign))


def test_a_hidden_bootstrap_folder_is_a_problem() -> None:
    text = str(made(*APPLIED, hidden_by="/their/sitecustomize.py"))
    assert "problems   /their/sitecustomize.py comes before the bootstrap folder on the path: " in text


def test_what_is_asked_for_and_not_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wanted(SimpleNamespace):
        def __str__(self) -> str:
            return self.word

    words = (Wanted(word="ns: 2 pairs", problem=""), Wanted(word="no: no library defines it", problem="no library"))
    text = str(made(*APPLIED, wanted=words))
    assert "asked for  no: no library defines it\n" in text
    assert "2 pairs" not in text


@pytest.mark.parametrize("verdict", ["APPLIED", "DRIFTED", "PENDING"])
def test_the_worst_process_is_one_screen_that_says_which_option_shows_all(verdict: str) -> None:
    spaces = [dataclasses.replace(UNPAIRED, namespace=f"a_rather_long_name_of_a_namespace_{n}") for n in range(40)]
    status = made(
        *[verdict] * 6,
        found=f"{PATH}:function",
        expected=f"the function of {PATH}",
        torch="2.10.0a0+1a2b3c4d5e6f.nv26.02.internal.build.of.a.vendor",
        hidden_by=f"{PATH}/sitecustomize.py",
        problems=tuple(f"{PATH} is wrong ({n})" for n in range(30)),
        pairs=tuple(dataclasses.replace(pair, limits=(f"not on {PATH}",)) for pair in pairs(300, 50)),
        candidates=(TAGGED,) * 50,
        waiting=waiting(50),
        unpaired=tuple(spaces),
        foreign=tuple(facts.ForeignStatus(f"torch.a:f{n}", "f", f"{PATH}{n}") for n in range(50)),
    )
    text = str(status)
    lines = text.splitlines()
    assert len(lines) <= LINES == 20
    assert max(map(len, lines)) <= WIDTH == 100
    assert lines[-1].startswith("all of it: python -m compat_shim status -v, or print(")
    assert repr(status) == text
    labels = re.findall(r"^(\w+) ", text, re.MULTILINE)
    assert [*labels[1:3], *labels[-7:-1]] == [
        *("problems", {"DRIFTED": "features", "PENDING": "pending", "APPLIED": "pairs"}[verdict]),
        *("pairs", "limited", "waiting", "tagged", "unpaired", "patched"),
    ]


def test_every_state_fits_on_the_first_line_with_an_ordinary_torch() -> None:
    for verdict in Verdict:
        first, second, *_ = str(made(*APPLIED[:5], verdict.value, found="x", expected="y")).splitlines()
        assert (first.startswith("compat_shim "), second.startswith(("features ", "pending ", "pairs "))) == (
            True,
            True,
        )


def test_the_bug_report_has_what_is_asked_for_and_no_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/al")
    monkeypatch.setenv("TORCH_LOGS", "/home/al")
    monkeypatch.setenv("SECRET_OF_MINE", "hunter2")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/tmp/torchinductor_al")  # torch's own doing
    report = made(
        *APPLIED[:5],
        "DRIFTED",
        expected="this",
        found="that in /home/al/torch.py.",
        environment={"COMPAT_SHIM_IMPORT": "/home/al/a.py:/home/alice/b.py", "COMPAT_SHIM_CHEK": "1"},
        torch_path="/home/al/venv/torch",
        python_path="/home/al/venv/bin/python",
        pairs=pairs(300, 2),
        candidates=(TAGGED,),
        unpaired=(UNPAIRED,),
        waiting=waiting(1),
        problems=("/home/al: it is there",),
        foreign=(facts.ForeignStatus("torch.a:f", "f", "vllm"),),
    ).bug_report()
    assert "torchinductor" not in report
    first, *lines, last = report.splitlines()
    assert first == last == "```"
    for line in (
        "compat_shim 0.1.0: wrong (import compat_shim), mode auto",
        "torch 2.10.0+cu128: -, no commit",
        "      taken for 2.10.0, in ~/venv/torch",
        "python 3.11.7 in ~/venv/bin/python",
        "platform Linux",
        "problem: ~: it is there",
        "  calls: expected this, found that in ~/torch.py.",
        "pairs: 300 (200 namespace, 100 tag) of 2 namespaces",
        "pairs: ns1: 150",
        "waiting: ns::g0 => ns::g0_out",
        "tagged, in no pair: ns::h.out",
        "fit, in no pair: 1 of ns",
        "patched: torch.a:f by vllm",
        "COMPAT_SHIM_IMPORT=~/a.py:/home/alice/b.py",
        "COMPAT_SHIM_CHEK=1",
        "TORCH_LOGS=~",
    ):
        assert line in lines
    assert not re.search(r"/home/al\b(?!ice)", report)
    assert "hunter2" not in report


def test_a_root_without_a_home_keeps_its_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    assert f"in {PATH}" in made(*APPLIED).bug_report()


def test_the_dictionary_has_the_new_fields() -> None:
    data = made(*APPLIED, unpaired=(UNPAIRED,)).to_dict()
    assert (data["good"], data["state"], data["platform"]) == (True, "active", "Linux")
    assert data["unpaired"] == (dataclasses.asdict(UNPAIRED),)
