"""One screen: what does not fit is counted."""

from __future__ import annotations

import itertools
import re

import pytest

from compat_shim.reports.blocks import LINES, WIDTH, Block, fit

LONG = "/" + "x" * 119
ROWS = {"none": [], "one": ["a row"], "many": [f"row {n}" for n in range(300)], "long": [f"see {LONG} and {LONG}"] * 9}


def test_what_fits_is_shown_whole_beside_its_label() -> None:
    blocks = [Block("pairs", ["one", "two\nlines"], "2"), Block("nothing", [], "0"), Block("tagged", ["three"], "1")]
    assert fit("first", blocks, "last") == [
        "first",
        "pairs      one",
        "           two",
        "           lines",
        "tagged     three",
        "last",
    ]


@pytest.mark.parametrize("kinds", list(itertools.product(ROWS, repeat=3)), ids="-".join)
def test_it_is_one_screen_whatever_it_is_given_and_no_row_is_left_out_unsaid(kinds: tuple[str, ...]) -> None:
    blocks = [Block(f"b{n}", ROWS[kind], f"{len(ROWS[kind])} rows") for n, kind in enumerate(kinds)]
    lines = fit("first " * 30, blocks, "last")
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    for block in filter(lambda block: block.rows, blocks):
        start = next(n for n, line in enumerate(lines) if line.startswith(block.label))
        beside = [lines[start][11:], *itertools.takewhile(lambda line: line[0] == " ", lines[start + 1 :])]
        text = " ".join(map(str.strip, beside))
        shown = len(re.findall(r"a row|row \d+|see ", text))
        (hidden,) = re.findall(r"(?:and )?(\d+) (?:more|rows)", text) or ["0"]
        assert shown + int(hidden) == len(block.rows)


def test_the_blocks_have_their_share_and_what_is_urgent_goes_first() -> None:
    many = ROWS["many"]
    shared = fit("first", [Block("one", many, "300"), Block("two", many, "300")], "last")
    assert len(shared) == LINES
    assert [line[:3] for line in shared].index("two") == 10
    urgent = fit("first", [Block("one", many, "300"), Block("two", many[:12], "12", urgent=True)], "last")
    assert [line[:3] for line in urgent].index("two") == LINES - 13


def test_words_are_broken_only_where_they_are_wider_than_a_line() -> None:
    lines = fit("first", [Block("one", [f"see {LONG}"], "1")], "last")
    assert "".join(line[11:] for line in lines[1:-1]) == f"see {LONG}"
    path = "/" + "x" * 80
    assert fit("first", [Block("one", [f"see this one: {path}"], "1")], "last")[2].strip() == path
