"""``python -m compat_shim pairs``: what ``run --pair`` would pair, and what not and why."""

from __future__ import annotations

import importlib
import json

import pytest
import torch

import compat_shim
from compat_shim.commands.main import main
from support.processes import SUPPORT

NS = "compat_shim_world"


@pytest.fixture(autouse=True)
def _package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SUPPORT / "programs"))


def test_each_op_is_told_with_its_kernels_or_the_reason_and_nothing_is_paired(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["pairs", NS, "--import", "world"]) == 0
    said = capsys.readouterr().out
    for line in (
        f"{NS}: 6 functional ops, 2 to pair, 0 paired already, 2 refused (torch ",
        f"  pair      {NS}::scale => {NS}::scale_out\n              cpu: own\n",
        f"  pair      {NS}::shift => {NS}::shift.out\n              cpu: own (it copies what the functional op's",
        f"  refused   {NS}::inner => {NS}::inner.out\n              cpu: not lowered: the out variant has a composite",
        f"  refused   {NS}::clip => {NS}::clip_out\n              input 'by' is named 'limit' in the out variant",
        f"  in place  {NS}::half, {NS}::half_: writes to its input, no out variant\n",
        f"to pair them: python -m compat_shim run --pair {NS} -- COMMAND\n",
    ):
        assert line in said
    assert not [pair for pair in compat_shim.status().pairs if pair.functional.startswith(NS)]


def test_status_tells_of_the_ops_that_are_in_no_pair_and_what_pairs_them() -> None:
    importlib.import_module("world")
    (found,) = [one for one in compat_shim.status().unpaired if one.namespace == NS]
    assert found.pairs == ((f"{NS}::scale", f"{NS}::scale_out"), (f"{NS}::shift", f"{NS}::shift.out"))
    assert sorted(row[:2] for row in found.refused) == [
        (f"{NS}::clip", f"{NS}::clip_out"),
        (f"{NS}::inner", f"{NS}::inner.out"),
    ]
    assert found.flag == f"--pair {NS}"
    assert f"python -m compat_shim run --pair {NS} -- COMMAND\n" in compat_shim.status().details()


def test_an_overload_that_a_tag_marks_is_told_once(library: torch.library.Library) -> None:
    library.define("f(Tensor x) -> Tensor")
    library.define("f.out(Tensor x, int k, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    library.define("g(Tensor x) -> Tensor")
    library.define("g_out(Tensor x, int k, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    status, ns = compat_shim.status(), library.ns
    assert (f"{ns}::f", f"{ns}::f.out") in [(found.functional, found.candidate) for found in status.candidates]
    (found,) = [one for one in status.unpaired if one.namespace == ns]
    assert [row[:2] for row in found.refused] == [(f"{ns}::g", f"{ns}::g_out")]  # a tag does not reach another op


def test_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs", "--json", f"{NS}::scale,{NS}::alone", "--import", "world"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema_version"], found["any"], found["flag"]) == (1, True, f"--pair {NS}::scale")
    ((pair,), nothing) = (one["pairs"] for one in found["surveys"])
    assert (pair["functional"], pair["out"], nothing) == (f"{NS}::scale", f"{NS}::scale_out", [])
    assert {"device": "cpu", "kind": "own", "declined": "", "note": ""} in pair["kernels"]


def test_a_word_counts_once_and_spaces_do_not_matter(capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"{NS}::scale, {NS}::scale", f"{NS}::scale.default", "--import", "world"]
    assert main(["pairs", *words]) == 0
    said = capsys.readouterr().out
    assert said.count(f"{NS}::scale: 1 functional op, 1 to pair") == 1
    assert f"--pair {NS}::scale,{NS}::scale.default --" in said


def test_where_nothing_pairs_the_exit_code_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs", f"{NS}::inner", "--import", "world"]) == 1
    assert "there is nothing to pair" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["compat_shim_wrld", "--import", "world"], f"did you mean {NS}"),
        ([f"{NS}::no_such_op", "--import", "world"], f"no loaded library defines {NS}::no_such_op"),
        ([f"{NS}::scale.no_such_overload", "--import", "world"], f"no loaded library defines {NS}::scale.no_such"),
        ([f"{NS}::"], f"'{NS}::' is not a namespace or ns::op"),
        ([f"{NS}::scale={NS}::scale_out"], "is not a namespace or ns::op"),
        ([","], "nothing is not a namespace or ns::op"),
        (["aten"], "holds torch's own ops"),
        ([NS, "--import", "no_such_module"], "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_where_nothing_can_be_said_the_exit_code_is_2(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pairs", *words]) == 2
    said = capsys.readouterr()
    assert (why in said.err, said.out) == (True, "")
