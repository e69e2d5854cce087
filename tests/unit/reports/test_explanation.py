"""The text and the data of an explanation."""

from __future__ import annotations

import dataclasses
import json

from compat_shim.reports.explanation import CallSite, Explanation

LOWERED = CallSite(
    "ns::f",
    "ns::f.out",
    "tag",
    True,
    "",
    "",
    "",
    2,
    96,
    1,
    "torch.ops.ns.f.out(x, out=buf0)",
    False,
    "",
    "a.py:1: f(x)",
    0,
)
DECLINED = dataclasses.replace(
    LOWERED,
    **{"lowered": False, "decline": "OVERLAP", "reason": "they overlap", "change": "let them not"},
    **{"buffers": 0, "reused": 0, "call": "", "where": "", "graph": 1},
)


def test_the_text_sums_up_and_then_shows_each_call() -> None:
    assert str(Explanation(True, "", 2, (LOWERED, DECLINED))).splitlines() == [
        "compiled graphs: 2; calls of custom ops: 2; lowered: 1 (2 output buffers, 96 bytes, 1 reused)",
        "",
        "ns::f  (graph 0)",
        "  lowered to   ns::f.out (tag)",
        "  buffers      2, 96 bytes, 1 reused",
        "  emitted      torch.ops.ns.f.out(x, out=buf0)",
        "  where        a.py:1: f(x)",
        "",
        "ns::f  (graph 1)",
        "  not lowered  they overlap",
        "  to change    let them not",
        "  emitted      (not found in the generated code)",
    ]


def test_a_size_that_is_not_known_is_not_counted_as_none() -> None:
    unknown = dataclasses.replace(LOWERED, buffer_bytes=None)
    assert "at least 96 bytes" in str(Explanation(True, "", 1, (LOWERED, unknown)))


def test_the_text_says_if_there_was_nothing_to_see() -> None:
    lines = str(Explanation(False, "DISABLED: the shim is not active", 0, ())).splitlines()
    assert lines[0] == "the lowering is not applied: DISABLED: the shim is not active"
    assert lines[1] == "Inductor compiled no graph"


def test_the_dictionary_is_json_with_a_schema_version() -> None:
    data = json.loads(json.dumps(Explanation(True, "", 1, (LOWERED,)).to_dict()))
    assert (data["schema_version"], data["graphs"], data["active"]) == (1, 1, True)
    assert data["calls"] == [dataclasses.asdict(LOWERED)]
