"""``packages/``: what ``docs/packages.md`` says was found by its program, and can be found again."""

from __future__ import annotations

import json

import pytest

from packages.__main__ import PROGRAMS, RESULTS
from packages.catalogue import PACKAGES
from packages.table import results
from support.processes import ROOT

FILES = sorted(RESULTS.glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_result_is_of_a_package_that_can_be_looked_at_again(file: object) -> None:
    found = json.loads(file.read_text())  # type: ignore[attr-defined]
    (package, *_) = [one for one in PACKAGES if one.requirement == found["requirement"]]
    assert found["flags"] == list(package.flags)
    assert {program["program"] for program in found.get("programs", ())} <= set(package.programs)


def test_each_row_has_its_result() -> None:
    page = (ROOT / "docs" / "packages.md").read_text(encoding="utf-8")
    packages, programs = page.split("<!-- generated: packages -->")[1].split("<!-- generated: programs -->")
    rows = [row for row in packages.splitlines() if row.startswith("| ")][2:]
    assert [tuple(row.strip("| ").split(" | ")[:2]) for row in rows] == [
        (found["requirement"].replace("==", " "), found["torch"]) for found in results()
    ]
    run = [program["program"] for found in results() for program in found.get("programs", ())]
    assert [row.partition("[")[2].partition("]")[0] for row in programs.splitlines() if row.startswith("| [")] == [
        program.removesuffix(".py") for program in run
    ]


def test_a_program_s_results_are_those_of_stock_torch() -> None:
    wrong = [one["program"] for found in results() for one in found.get("programs", ()) if not one.get("equal", True)]
    assert wrong == []


def test_each_program_is_of_a_package_and_knows_nothing_of_the_shim() -> None:
    used = {program for package in PACKAGES for program in package.programs}
    assert {file.name for file in PROGRAMS.glob("*.py")} == used
    assert [file.name for file in PROGRAMS.glob("*.py") if "compat_shim" in file.read_text()] == []
