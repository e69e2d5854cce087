"""Lines that fit a screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat_shim import screen


@pytest.mark.parametrize("text", ["word " * 60, "x" * 350, "a-b" * 50, "two\nlines  and   blanks"])
def test_no_line_is_wider_than_a_screen_and_no_word_is_lost(text: str) -> None:
    for lines in (screen.wrapped(text), screen.wrapped(text, indent=4, hang=9), screen.row("name", text)):
        assert max(map(len, lines)) <= screen.WIDTH
        said = "".join(lines).replace(" ", "").removeprefix("name")
        assert said == "".join(text.split())


def test_a_row_is_wrapped_under_its_text_and_one_without_text_is_none() -> None:
    first, second = screen.row("name", "w " * 80)
    assert first.startswith("  name         w w")
    assert second.startswith(" " * 15 + "w w")
    assert len(first) - len("  name         ") <= screen.room()
    assert screen.row("name", "") == []


def test_a_text_is_shortened_in_the_middle_or_at_its_end() -> None:
    assert screen.shortened("0123456789", 10) == screen.cut("0123456789", 10) == "0123456789"
    assert screen.shortened("0123456789", 8) == "01...789"
    assert screen.cut("0123456789", 8) == "01234..."


def test_a_file_is_named_from_the_working_folder_and_at_most_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert screen.file(str(tmp_path / "a" / "b.py"), 50) == "a/b.py"
    assert screen.file(f"{tmp_path}b.py", 500) == f"{tmp_path}b.py"
    long = screen.file(f"/{'x' * 120}/model.py", 50)
    assert (len(long), long[:2], long[-9:]) == (50, "/x", "/model.py")
    tmp_path.joinpath("gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    tmp_path.joinpath("gone").rmdir()
    assert screen.file("/a/b.py", 50) == "/a/b.py"


def test_as_many_names_as_fit_and_the_number_of_the_others() -> None:
    names = [f"op{number}" for number in range(300)]
    assert screen.some(names[:3], 20) == "op0, op1, op2"
    assert screen.some(names, 30) == "op0, op1, op2 and 297 more"
    assert screen.some(["x" * 99, "y"], 30) == "2 names"
    assert len(screen.some(["x" * 99], 30)) == 30
