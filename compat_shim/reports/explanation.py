"""What ``explain`` returns: plain data, and its text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from compat_shim import screen
from compat_shim.reports import grouped

if TYPE_CHECKING:
    from compat_shim.out_variant.waiting import Waiting

SCHEMA_VERSION = 1
_EACH = "(each call in full: `explain --all`, in Python `.text(all=True)`)"
_WAITING = 3  # so many pairs are shown, or one


@dataclasses.dataclass(frozen=True)
class CallSite:
    """One call of a custom op in one compiled graph.

    Attributes:
        op, out: the functional op, and its out variant (None: it has none).
        source: how the two were paired, ``tag``, ``namespace`` or ``registered``.
        lowered: whether the out variant is called in its place.
        decline: the name of the reason if not, for example ``OVERLAP``. Where there is no pair: ``NO_PAIR``,
            ``UNPAIRED`` (an overload fits, and nothing says that it is the out variant), or ``NOT_FUNCTIONAL``
            (an op that writes to an argument, as an out op that is called directly does).
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
        compiled_before: which of the pairs are younger than code that was compiled for the function before, and
            what to do; empty if none is.

    Its ``str()`` and ``repr()`` are one screen; ``print(explanation.text(all=True))`` shows each call.
    """

    active: bool
    why_inactive: str
    graphs: int
    calls: tuple[CallSite, ...]
    waiting: tuple[Waiting, ...] = ()
    compiled_before: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with ``schema_version``."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__  # what a notebook shows of a cell's last line

    def text(self, all: bool = False) -> str:
        """What was decided, for people.

        Args:
            all: each call by itself, with long lines whole; by default the calls are grouped so that the text is
                one screen (40 lines of 100 columns), and each is counted in one of the groups.
        """
        if all:
            blocks = [self._head(), *map(_lines, self.calls), *map(_waiting, self.waiting)]
            return "\n\n".join("\n".join(block) for block in blocks)
        return "\n".join(self._screen())

    def _screen(self) -> list[str]:
        head, waits = _wrapped(self._head()), _wrapped(self._waits())
        each = [_EACH] if self.calls else []
        groups = grouped.lines(self.calls, screen.LINES - len([*head, "", *waits, *each]))
        return [*head, *([""] if groups or waits else []), *groups, *waits, *each]

    def _head(self) -> list[str]:
        lowered = [call for call in self.calls if call.lowered]
        buffers, reused = sum(call.buffers for call in lowered), sum(call.reused for call in lowered)
        lines = []
        if not self.active:
            lines.append(f"the lowering is not applied: {self.why_inactive}")
        if not self.graphs:
            lines.append("Inductor compiled no graph")
        if not self.active and not self.calls:
            return [*lines, f"compiled graphs: {self.graphs}; calls of custom ops were not looked at"]
        into = f" ({buffers} buffers, {grouped.size(lowered)}, {reused} reused)" if lowered else ""
        lines.append(
            f"compiled graphs: {self.graphs}; calls of custom ops: {len(self.calls)}; lowered: {len(lowered)}{into}"
        )
        return [*lines, *filter(None, [self.compiled_before])]

    def _waits(self) -> list[str]:
        """Some of the pairs that wait, and how many there are besides."""
        shown = self.waiting if len(self.waiting) <= _WAITING else self.waiting[:1]
        left = len(self.waiting) - len(shown)
        lines = [line for waits in shown for line in _waiting(waits)]
        return [*lines, f"{left} more pairs that are registered by name wait"] if left else lines


def _lines(call: CallSite) -> list[str]:
    if call.lowered:
        rows = [
            ("lowered to", f"{call.out} ({call.source})"),
            ("buffers", f"{call.buffers}, {grouped.size([call])}, {call.reused} reused"),
            ("in place", call.in_place and f"of {', '.join(call.in_place)}"),
        ]
    else:
        rows = [("not lowered", call.reason), ("to change", call.change)]
    rows += [("way", grouped.way(call)), ("emitted", grouped.emitted(call)), ("where", call.where)]
    return [f"{call.op}  (graph {call.graph})", *(f"  {name:<12} {text}" for name, text in rows if text)]


def _waiting(waits: Waiting) -> list[str]:
    return [f"{waits.functional} => {waits.out} (registered by name)", f"  {waits}"]


def _wrapped(texts: list[str]) -> list[str]:
    return [line for text in texts for line in screen.wrapped(text, len(text) - len(text.lstrip()), hang=2)]
