"""The calls of an explanation in groups, so that all of them fit a screen."""

from __future__ import annotations

import collections
import enum
import itertools
import re
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from compat_shim import screen

if TYPE_CHECKING:
    from compat_shim.reports.explanation import CallSite

_NAME = 50  # columns that the name of a file or an op may have in a row


class _Detail(enum.Enum):
    """How much is said of each group."""

    ROWS = enum.auto()
    BRIEF = enum.auto()
    HEAD = enum.auto()


def lines(calls: Sequence[CallSite], room: int) -> list[str]:
    """What became of the calls, each of which is counted in one group: as much as fits.

    Args:
        calls: in the order in which they were decided.
        room: how many lines there may be.
    """
    *layouts, shortest = _LAYOUTS
    for key, detail in layouts:
        found = (line for group in _groups(calls, key) for line in _lines(group, detail))
        fitting = list(itertools.islice(found, room + 1))
        if len(fitting) <= room:
            return fitting
    key, detail = shortest
    return [line for group in _groups(calls, key) for line in _lines(group, detail)]


def size(calls: Sequence[CallSite]) -> str:
    """How large the outputs of the calls are."""
    known = [call.buffer_bytes for call in calls if call.buffer_bytes is not None]
    return f"{sum(known)} bytes" if len(known) == len(calls) else f"at least {sum(known)} bytes"


def way(call: CallSite) -> str:
    """Which way a call takes in compiled code, and why; empty if that was not told."""
    return "the kernel's Python function" if call.short else call.long_way and f"dispatcher: {call.long_way}"


def emitted(call: CallSite) -> str:
    """The line of generated code."""
    return call.call or "(not found in the generated code)"


def _by_op(call: CallSite) -> Hashable:
    return call.op, call.out, call.source, call.lowered, call.reason, call.change


def _by_namespace(call: CallSite) -> Hashable:
    return _namespace(call), call.lowered, call.decline


def _by_outcome(call: CallSite) -> Hashable:
    return call.lowered, call.decline


# The first that fits is taken.
_LAYOUTS: tuple[tuple[Callable[[CallSite], Hashable], _Detail], ...] = (
    (_by_op, _Detail.ROWS),
    (_by_op, _Detail.BRIEF),
    (_by_namespace, _Detail.ROWS),
    (_by_namespace, _Detail.BRIEF),
    (_by_outcome, _Detail.ROWS),
    (_by_outcome, _Detail.BRIEF),
    (_by_outcome, _Detail.HEAD),
)


def _groups(calls: Sequence[CallSite], key: Callable[[CallSite], Hashable]) -> list[list[CallSite]]:
    """First those that were not lowered, last those that never are."""
    found: dict[Hashable, list[CallSite]] = collections.defaultdict(list)
    for call in calls:
        found[key(call)].append(call)
    return sorted(found.values(), key=lambda group: (group[0].decline == "NOT_FUNCTIONAL", group[0].lowered))


def _lines(group: list[CallSite], detail: _Detail) -> list[str]:
    ops = list(dict.fromkeys(call.op for call in group))
    several = len(ops) > 1
    calls = f"{len(group)} call{'s' if group[1:] else ''}{f' of {len(ops)} ops' if several else ''}"
    head = f"{_name(group, ops)}  ({calls})"
    rows = _lowered(group, several) if group[0].lowered else _not_lowered(group)
    if detail is _Detail.HEAD:
        return screen.wrapped(f"{head}: {group[0].decline or 'lowered'}", hang=2)
    if detail is _Detail.BRIEF:
        # The facts of what is lowered, and the reason why something is not.
        for name in list(rows) if group[0].lowered else ["not lowered"]:
            head += f"; {name}: {rows.pop(name)}"
    if several:
        one = len({name.partition("::")[0] for name in ops}) == 1
        rows["ops"] = screen.some([name.partition("::")[2] if one else name for name in ops], screen.room())
    rows["first" if group[1:] else "where"] = _place(group[0], named=several)
    if detail is _Detail.ROWS:
        rows["way"] = _ways(group)
        rows["emitted"] = "" if several else screen.shortened(emitted(group[0]), screen.room())
    return [*screen.wrapped(head, hang=2), *(line for row in rows.items() for line in screen.row(*row))]


def _name(group: list[CallSite], ops: list[str]) -> str:
    """What the ops of a group have in common."""
    namespaces = {_namespace(call) for call in group}
    if len(ops) == 1:
        return ops[0]
    return f"{namespaces.pop()}::*" if len(namespaces) == 1 else f"{len(namespaces)} namespaces"


def _namespace(call: CallSite) -> str:
    return call.op.partition("::")[0]


def _lowered(group: list[CallSite], several: bool) -> dict[str, str]:
    sources = ", ".join(dict.fromkeys(str(call.source) for call in group))
    buffers, reused = sum(call.buffers for call in group), sum(call.reused for call in group)
    rows = {
        "lowered to": f"{'their out variants' if several else group[0].out} ({sources})",
        "buffers": f"{buffers}, {size(group)}, {reused} reused",
    }
    in_place = [name for call in group for name in call.in_place]
    if in_place:
        rows["in place"] = f"{len(in_place)} of them, of {', '.join(dict.fromkeys(in_place))}"
    return rows


def _not_lowered(group: list[CallSite]) -> dict[str, str]:
    reasons, changes = ([getattr(call, name) for call in group] for name in ("reason", "change"))
    return {"not lowered": _of_first(reasons), "to change": _of_first(changes)}


def _of_first(texts: list[str]) -> str:
    """What is said of the first of several calls; that it is not said of all of them so, if it is not."""
    return texts[0] if texts.count(texts[0]) == len(texts) else f"(the first) {texts[0]}"


def _ways(group: list[CallSite]) -> str:
    counts = collections.Counter(map(way, group))
    if len(counts) == 1:
        return way(group[0])
    return "; ".join(f"{count} by {text or 'a way that was not told'}" for text, count in counts.items())


def _place(call: CallSite, named: bool) -> str:
    """The line of user code, in one line: as much of it as there is room for."""
    found = re.fullmatch(r"(.*?)(:\d+): (.*)", call.where, re.DOTALL)
    if found is None:
        return call.op if named else ""
    file, line, source = found.groups()
    place = f"{screen.file(file, _NAME)}{line}: {source}"
    return screen.cut(f"{screen.shortened(call.op, _NAME)} at {place}" if named else place, screen.room())
