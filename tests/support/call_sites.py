"""Calls as ``explain`` has them, without a compile."""

from __future__ import annotations

import dataclasses
from typing import Any

from compat_shim.reports.explanation import CallSite

LOWERED = CallSite(
    op="ns::f",
    out="ns::f.out",
    source="tag",
    lowered=True,
    decline="",
    reason="",
    change="",
    buffers=2,
    buffer_bytes=96,
    reused=1,
    call="torch.ops.ns.f.out(x, out=buf0)",
    short=False,
    long_way="",
    where="a.py:1: f(x)",
    graph=0,
)
DECLINED = dataclasses.replace(
    LOWERED,
    **{"lowered": False, "decline": "OVERLAP", "reason": "they overlap", "change": "let them not"},
    **{"buffers": 0, "reused": 0, "call": "", "where": "", "graph": 1},
)


def lowered(op: str, **changes: Any) -> CallSite:
    """A call of this op that is lowered."""
    return dataclasses.replace(LOWERED, op=op, out=f"{op}.out", **changes)


def declined(op: str, decline: str, **changes: Any) -> CallSite:
    """A call of this op that is not lowered for this reason."""
    said = {"reason": f"why {decline}", "change": f"mend {op}", **changes}
    return dataclasses.replace(DECLINED, op=op, decline=decline, **said)
