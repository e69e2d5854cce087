"""What ``explain`` returns: plain data, and its text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compat_shim.out_variant.waiting import Waiting

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class CallSite:
    """One call of a custom op in one compiled graph.

    Attributes:
        op, out: the functional op, and its out variant (None: it has none).
        source: how the two were paired, ``tag``, ``namespace`` or ``registered``.
        lowered: whether the out variant is called in its place.
        decline: the name of the reason if not, for example ``OVERLAP``; ``NO_PAIR`` without an out variant.
        reason, change: the reason in words, and what to change about it.
        buffers: how many output buffers Inductor allocates for the call.
        buffer_bytes: their size by the sizes seen at this compile (of the op's own outputs where it is
            not lowered); None if that is not known.
        reused: how many of them are buffers that something else needed before.
        call: the emitted line.
        short: whether it calls the kernel's Python function, in each step in which nobody listens on the way round.
        long_way: why it goes through the dispatcher instead, as far as that was told.
        where: the line of user code, as far as torch tells.
        graph: the number of the compiled graph, from 0.
        in_place: the inputs whose memory an out buffer takes over in the call (``may_reuse_input``).
    """

    op: str
    out: str | None
    source: str | None
    lowered: bool
    decline: str
    reason: str
    change: str
    buffers: int
    buffer_bytes: int | None
    reused: int
    call: str
    short: bool
    long_way: str
    where: str
    graph: int
    in_place: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What was decided in all compiles that were looked at.

    Attributes:
        active: whether the shim's lowering is applied; if not, torch's own behaviour was seen.
        why_inactive: the reason if it is not.
        graphs: how many graphs Inductor compiled.
        calls: the call sites, in the order in which they were lowered.
        waiting: the pairs of this process that are registered by name and wait for an op.
    """

    active: bool
    why_inactive: str
    graphs: int
    calls: tuple[CallSite, ...]
    waiting: tuple[Waiting, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with ``schema_version``."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        lowered = [call for call in self.calls if call.lowered]
        buffers, reused = sum(call.buffers for call in lowered), sum(call.reused for call in lowered)
        lines = []
        if not self.active:
            lines.append(f"the lowering is not applied: {self.why_inactive}")
        if not self.graphs:
            lines.append("Inductor compiled no graph")
        lines.append(
            f"compiled graphs: {self.graphs}; calls of custom ops: {len(self.calls)}; lowered: {len(lowered)}"
            f" ({buffers} output buffers, {_bytes(lowered)}, {reused} reused)"
        )
        for call in self.calls:
            lines += ["", *_lines(call)]
        for waits in self.waiting:
            lines += ["", f"{waits.functional} => {waits.out} (registered by name)", f"  {waits}"]
        return "\n".join(lines)


def _lines(call: CallSite) -> list[str]:
    if call.lowered:
        rows = [
            ("lowered to", f"{call.out} ({call.source})"),
            ("buffers", f"{call.buffers}, {_bytes([call])}, {call.reused} reused"),
            ("in place", call.in_place and f"of {', '.join(call.in_place)}"),
        ]
    else:
        rows = [("not lowered", call.reason), ("to change", call.change)]
    rows += [
        ("way", "the kernel's Python function" if call.short else call.long_way and f"dispatcher: {call.long_way}")
    ]
    rows += [("emitted", call.call or "(not found in the generated code)"), ("where", call.where)]
    return [f"{call.op}  (graph {call.graph})", *(f"  {name:<12} {text}" for name, text in rows if text)]


def _bytes(calls: list[CallSite]) -> str:
    known = [call.buffer_bytes for call in calls if call.buffer_bytes is not None]
    return f"{sum(known)} bytes" if len(known) == len(calls) else f"at least {sum(known)} bytes"
