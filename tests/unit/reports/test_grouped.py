"""However many calls there are, what is said of them is one screen, and each is counted in it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pytest

from compat_shim import screen
from compat_shim.reports.explanation import CallSite, Explanation
from support.call_sites import declined, lowered

DECLINES = ("OVERLAP", "STRIDES", "NO_PAIR", "UNPAIRED", "NOT_FUNCTIONAL")
MODEL = f"/home/somebody/{'deep/' * 21}model.py"
assert len(MODEL) > 120


def screen_of(calls: Sequence[CallSite]) -> list[str]:
    """The lines of the text, after a look at what holds for every one."""
    lines = str(Explanation(True, "", 7, tuple(calls))).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    whole = "".join("".join(lines).split())  # a long name breaks the line that has the count
    assert sum(map(int, re.findall(r"\((\d+)calls?(?:of\d+ops)?\)", whole))) == len(calls)
    return lines


def model(ops: int, layers: int = 50) -> list[CallSite]:
    """A model of so many layers that calls each of some ops once; the last of them is not lowered."""
    calls = []
    for layer in range(layers):
        at = {"where": f"{MODEL}:{layer + 10}: y = torch.ops.ns.f(x, y, z, u, v, w, a, b, c)", "graph": layer}
        long = f"torch.ops.ns.f.out({'arg0_1, ' * 30}out=buf1)"
        calls += [lowered(f"ns::op{op}", call=long, **at) for op in range(ops - 1)]
        calls.append(declined(f"ns::op{ops - 1}", "OVERLAP", reason="they overlap " * 12, **at))
    return calls


def test_a_model_of_fifty_layers_is_shown_op_by_op() -> None:
    lines = screen_of(model(3))
    assert [line for line in lines if line.endswith("(50 calls)")] == [
        "ns::op2 (50 calls)",  # what can be changed goes first
        "ns::op0 (50 calls)",
        "ns::op1 (50 calls)",
    ]
    assert sum("model.py:10: y = torch" in line for line in lines) == 3
    assert lines.count("  lowered to   ns::op0.out (tag)") == 1
    assert "  buffers      100, 4800 bytes, 50 reused" in lines


def test_more_ops_have_fewer_lines_each_and_still_the_reason_the_remedy_and_a_place() -> None:
    lines = screen_of(model(12))
    assert "ns::op0 (50 calls); lowered to: ns::op0.out (tag); buffers: 100, 4800 bytes, 50 reused" in lines
    assert "  to change    mend ns::op11" in lines
    assert sum("model.py:10" in line for line in lines) == 12


def test_three_hundred_ops_are_shown_by_namespace_and_outcome() -> None:
    calls = [
        lowered(f"ns::op{number}") if number % 3 else declined(f"ns::op{number}", DECLINES[number // 3 % 5])
        for number in range(300)
    ]
    lines = screen_of([*calls, *calls])
    heads = [line for line in lines if line.startswith("ns::*")]
    assert heads == ["ns::* (40 calls of 20 ops)"] * 4 + ["ns::* (400 calls of 200 ops)", "ns::* (40 calls of 20 ops)"]
    assert "  not lowered  why OVERLAP" in lines
    assert "  to change    (the first) mend ns::op0" in lines
    assert "  first        ns::op1 at a.py:1: f(x)" in lines
    assert any(re.fullmatch(r"  ops          op0, op15, .* and \d+ more", line) for line in lines)


def test_three_hundred_namespaces_are_shown_by_outcome() -> None:
    calls = [lowered(f"ns{number}::f") for number in range(200)]
    calls += [declined(f"ns{number}::f", "OVERLAP") for number in range(200, 300)]
    lines = screen_of(calls)
    assert [line for line in lines if "namespaces" in line] == [
        "100 namespaces (100 calls of 100 ops)",
        "200 namespaces (200 calls of 200 ops)",
    ]


def test_where_that_is_too_long_too_outcomes_are_only_counted() -> None:
    calls = [declined(f"ns{number}::f", f"REASON{number % 30}", reason="why " * 90) for number in range(300)]
    lines = screen_of(calls)
    assert "10 namespaces (10 calls of 10 ops): REASON7" in lines


def test_calls_of_an_op_that_go_different_ways_are_counted_by_way() -> None:
    by_dispatcher = {"long_way": "it is seldom called"}
    lines = screen_of([*[lowered("ns::f", short=True)] * 3, lowered("ns::f", **by_dispatcher), lowered("ns::f")])
    assert "  way          3 by the kernel's Python function; 1 by dispatcher: it is seldom called; 1 by a way" in lines
    assert any(line.strip() == "that was not told" for line in lines)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_calls_are_the_text_is_a_screen_and_counts_them_all(seed: int) -> None:
    rng = random.Random(seed)
    word = lambda: "".join(rng.choices("abc_", k=rng.choice([1, 8, 130])))  # noqa: E731
    spaces = [word() for _ in range(rng.choice([1, 3, 60]))]
    ops = [f"{rng.choice(spaces)}::{word()}{number}" for number in range(rng.choice([1, 5, 14, 40, 300]))]
    calls = []
    for _ in range(rng.choice([1, 2, 50, 700])):
        said = {
            "where": rng.choice(["", "a.py:1: f(x)", f"{MODEL}:12: {word()}"]),
            "call": rng.choice(["", word(), f"{word()} " * 40]),
            "short": rng.random() < 0.3,
            "long_way": rng.choice(["", f"{word()} why " * rng.choice([1, 9])]),
        }
        op = rng.choice(ops)
        reason = f"{rng.choice(['why', word()])} " * rng.choice([1, 30])
        outcomes = [lowered(op, **said), declined(op, rng.choice(DECLINES), reason=reason, **said)]
        calls.append(rng.choice(outcomes))
    screen_of(calls)


def test_a_screen_is_what_the_text_is_held_to() -> None:
    assert (screen.LINES, screen.WIDTH) == (40, 100)


def test_calls_that_reuse_an_input_say_of_which() -> None:
    calls = [lowered("ns::f", in_place=("x",)), lowered("ns::f", in_place=("x", "residual")), lowered("ns::f")]
    assert "  in place     3 of them, of x, residual" in screen_of(calls)
    assert "in place" not in "".join(screen_of(calls[2:]))
    assert "  in place     of x, residual" in Explanation(True, "", 1, tuple(calls)).text(all=True).splitlines()
