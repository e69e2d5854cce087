"""The text and the data of an explanation."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from compat_shim.reports.explanation import Explanation
from support.call_sites import DECLINED, LOWERED

EACH = "(each call in full: `explain --all`, in Python `.text(all=True)`)"


@dataclasses.dataclass(frozen=True)
class Waiting:
    """Stands for that of ``out_variant.waiting``, which imports torch."""

    functional: str
    out: str

    def __str__(self) -> str:
        return f"{self.out} is missing"


def test_the_text_sums_up_and_then_shows_the_calls_by_op_and_outcome() -> None:
    again = dataclasses.replace(LOWERED, where="a.py:2: f(x)", buffer_bytes=4)
    assert str(Explanation(True, "", 2, (LOWERED, DECLINED, again))).splitlines() == [
        "compiled graphs: 2; calls of custom ops: 3; lowered: 2 (4 buffers, 100 bytes, 2 reused)",
        "",
        "ns::f (1 call)",
        "  not lowered  they overlap",
        "  to change    let them not",
        "  emitted      (not found in the generated code)",
        "ns::f (2 calls)",
        "  lowered to   ns::f.out (tag)",
        "  buffers      4, 100 bytes, 2 reused",
        "  first        a.py:1: f(x)",
        "  emitted      torch.ops.ns.f.out(x, out=buf0)",
        EACH,
    ]


def test_asked_for_all_the_text_shows_each_call_in_full() -> None:
    long = dataclasses.replace(
        LOWERED, call=f"torch.ops.ns.f.out({'x, ' * 200}out=buf0)", where="/x" * 100 + ".py:1: f"
    )
    text = Explanation(True, "", 2, (long, DECLINED), (Waiting("ns::g", "ns::g_out"),)).text(all=True)  # type: ignore[arg-type]
    assert text.splitlines() == [
        "compiled graphs: 2; calls of custom ops: 2; lowered: 1 (2 buffers, 96 bytes, 1 reused)",
        "",
        "ns::f  (graph 0)",
        "  lowered to   ns::f.out (tag)",
        "  buffers      2, 96 bytes, 1 reused",
        f"  emitted      {long.call}",
        f"  where        {long.where}",
        "",
        "ns::f  (graph 1)",
        "  not lowered  they overlap",
        "  to change    let them not",
        "  emitted      (not found in the generated code)",
        "",
        "ns::g => ns::g_out (registered by name)",
        "  ns::g_out is missing",
    ]


def test_a_notebook_s_last_line_is_the_same_screen() -> None:
    explanation = Explanation(True, "", 1, (LOWERED,))
    assert repr(explanation) == str(explanation) == explanation.text()


def test_a_size_that_is_not_known_is_not_counted_as_none() -> None:
    unknown = dataclasses.replace(LOWERED, buffer_bytes=None)
    assert str(Explanation(True, "", 1, (LOWERED, unknown))).count("at least 96 bytes") == 2


def test_the_text_says_if_there_was_nothing_to_see() -> None:
    assert str(Explanation(False, "DISABLED: the shim is not active", 0, ())).splitlines() == [
        "the lowering is not applied: DISABLED: the shim is not active",
        "Inductor compiled no graph",
        "compiled graphs: 0; calls of custom ops were not looked at",
    ]


def test_that_the_function_was_compiled_before_is_said_above_the_calls() -> None:
    lines = str(Explanation(True, "", 1, (LOWERED,), compiled_before="f was compiled before")).splitlines()
    assert lines[1:4] == ["f was compiled before", "", "ns::f (1 call)"]


def test_a_few_pairs_that_wait_are_shown_and_many_are_counted() -> None:
    def shown(count: int) -> list[str]:
        waiting: Any = tuple(Waiting(f"ns::f{number}", f"ns::f{number}_out") for number in range(count))
        return str(Explanation(True, "", 1, (), waiting)).splitlines()[2:]

    assert shown(1) == ["ns::f0 => ns::f0_out (registered by name)", "  ns::f0_out is missing"]
    assert len(shown(3)) == 6
    assert shown(300) == [*shown(1), "299 more pairs that are registered by name wait"]


def test_the_dictionary_is_json_with_a_schema_version() -> None:
    data = json.loads(json.dumps(Explanation(True, "", 1, (LOWERED,)).to_dict()))
    assert (data["schema_version"], data["graphs"], data["active"], data["compiled_before"]) == (1, 1, True, "")
    assert data["calls"] == [{**dataclasses.asdict(LOWERED), "in_place": []}]
