"""``packages/``: what ``docs/packages.md`` says was found by its program, and can be found again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.processes import ROOT

FILES = sorted(ROOT.glob("packages/results/*.json"))
PROGRAMS = sorted(ROOT.glob("packages/programs/*.py"))


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules, which the package's wheel does not hold."""
    monkeypatch.syspath_prepend(ROOT)
    from packages import __main__, catalogue, table

    return SimpleNamespace(all=catalogue.PACKAGES, results=table.results(), main=__main__)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_result_is_of_a_package_that_can_be_looked_at_again(file: Path, packages: SimpleNamespace) -> None:
    found = json.loads(file.read_text())
    (package, *_) = [one for one in packages.all if one.requirement == found["requirement"]]
    assert found["flags"] == list(package.flags)
    assert [program["program"] for program in found.get("programs", ())] == list(package.programs)


def test_each_row_has_its_result(packages: SimpleNamespace) -> None:
    page = (ROOT / "docs" / "packages.md").read_text(encoding="utf-8")
    have, gain = page.split("<!-- generated: packages -->")[1].split("<!-- generated: programs -->")
    rows = [row for row in have.splitlines() if row.startswith("| ")][2:]
    assert [tuple(row.strip("| ").split(" | ")[:2]) for row in rows] == [
        (found["requirement"].replace("==", " "), found["torch"]) for found in packages.results
    ]
    run = [program["program"] for found in packages.results for program in found.get("programs", ())]
    assert [row.partition("[")[2].partition("]")[0] for row in gain.splitlines() if row.startswith("| [")] == [
        program.removesuffix(".py") for program in run
    ]


def test_the_results_of_a_program_are_those_of_stock_torch(packages: SimpleNamespace) -> None:
    programs = [program for found in packages.results for program in found.get("programs", ())]
    assert [one["program"] for one in programs if not one.get("equal", True)] == []


def test_each_program_is_of_a_package_and_knows_nothing_of_the_shim(packages: SimpleNamespace) -> None:
    used = {program for package in packages.all for program in package.programs}
    assert {file.name for file in PROGRAMS} == used
    assert [file.name for file in PROGRAMS if "compat_shim" in file.read_text()] == []


def test_it_says_what_it_is_doing(packages: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    (package, *_) = [one for one in packages.all if one.programs]
    found = {"eager": "1", "stock": "1", "digests": {"stock": ["1"], "shim": ["1"]}}
    said: list[str] = []
    monkeypatch.setattr(packages.main, "_environment", lambda package, folder: "python")
    monkeypatch.setattr(packages.main, "_json", lambda python, words: dict(found))
    monkeypatch.setattr(packages.main.PROGRESS, "say", said.append)

    packages.main._looked_at(package)

    assert {line.partition(": ")[0] for line in said} == {package.requirement}
    assert [line.partition(": ")[2] for line in said] == [
        f"installing it and torch {package.torch}",
        "looking at its ops",
        *(
            f"{program}, by {how}"
            for program in package.programs
            for how in ("stock torch alone", "the shim and stock")
        ),
    ]
