"""Looks on while Inductor compiles: the decisions, and the generated code that they are found in."""

from __future__ import annotations

import contextlib
import functools
import math
import re
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch._inductor.graph import GraphLowering

from compat_shim.calls import long_way
from compat_shim.out_variant import marks, waiting
from compat_shim.out_variant.lowering import announce, generated_code, overlap, releases
from compat_shim.reports import advice, explanation, no_pair, status_screen
from compat_shim.reports.status import status


class Observer:
    """Collects call sites: a graph's decisions come first, then its code, all in one thread."""

    def __init__(self) -> None:
        self.calls: list[explanation.CallSite] = []
        self.graphs = 0
        self._undecided: dict[int, list[tuple[announce.Decision, int | None]]] = {}
        self._ways: dict[int, list[long_way.Way]] = {}
        self._in_place: dict[int, dict[str, str]] = {}  # out buffer → the input whose memory it takes
        self._lock = threading.Lock()

    def decision(self, decision: announce.Decision) -> None:
        # A name like aten's may come here too: torch's own ops are no custom ops.
        if isinstance(decision.op, torch._ops.OpOverload) and decision.op.namespace not in marks.BUILTIN:
            # The sizes are asked for now: their symbols belong to the compile.
            entry = (decision, _bytes(decision.outputs))
            self._undecided.setdefault(threading.get_ident(), []).append(entry)

    def way(self, way: long_way.Way) -> None:
        self._ways.setdefault(threading.get_ident(), []).append(way)

    def in_place(self, buffer: str, argument: str) -> None:
        self._in_place.setdefault(threading.get_ident(), {})[buffer] = argument

    def code(self, code: str) -> None:
        with self._lock:
            thread = threading.get_ident()
            emitted = _Emitted(code, self._ways.pop(thread, []), self._in_place.pop(thread, {}))
            for decision, size in self._undecided.pop(thread, []):
                self.calls.append(_call_site(decision, size, emitted, self.graphs))
            self.graphs += 1

    def explanation(self) -> explanation.Explanation:
        """What was seen until now."""
        why = status_screen.why_not_lowered(status())
        return explanation.Explanation(not why, why, self.graphs, tuple(self.calls), tuple(waiting.waiting()))


@contextlib.contextmanager
def observed() -> Iterator[Observer]:
    """Look on at all compiles of this process, in a throw-away cache. What the body raises is raised after it."""
    observer = Observer()
    before = GraphLowering.save_output_code

    def code(source: str) -> None:
        if before is not None:
            before(source)
        observer.code(source)

    failure: BaseException | None = None
    with releases.fresh_cache(), mock.patch.object(GraphLowering, "save_output_code", code):
        announce.observers.append(observer.decision)
        announce.in_place_observers.append(observer.in_place)
        long_way.observers.append(observer.way)
        try:
            yield observer
        except BaseException as error:  # torch keeps the folder of a cache that an error leaves
            failure = error
        finally:
            announce.observers.remove(observer.decision)
            announce.in_place_observers.remove(observer.in_place)
            long_way.observers.remove(observer.way)
    if failure is not None:
        raise failure


class _Emitted:
    """The code of a graph, and what was told while it was written."""

    def __init__(self, code: str, ways: list[long_way.Way], in_place: dict[str, str]) -> None:
        self.code = code
        self.in_place = in_place
        self.why_no_pair = functools.cache(no_pair.why)  # each op of the graph is looked at once
        self._ways = ways
        self._seen: dict[str, int] = {}

    def reuses(self, buffer: str) -> bool:
        return re.search(rf"^\s*{buffer} = .*# reuse", self.code, re.MULTILINE) is not None

    def find(self, decision: announce.Decision, called: str) -> tuple[str, long_way.Way | None]:
        """The line of a call, and the way that it takes."""
        names = [f"{name}(" for name in generated_code.names(self.code, called)]
        lines = [line.strip() for line in self.code.splitlines() if any(name in line for name in names)]
        if decision.buffers:
            buffer = decision.buffers[0]
            lines = [line for line in lines if re.search(rf"\b{buffer}\b", line)]
            ways, place = [way for way in self._ways if way.buffer == buffer], 0
        else:  # a fallback's buffer has no name yet when it is decided: the calls of an op stand in their order
            ways = [way for way in self._ways if way.op is decision.op and not way.buffer]
            place = self._seen[called] = self._seen.get(called, -1) + 1
        return lines[place] if place < len(lines) else "", ways[place] if place < len(ways) else None


def _call_site(decision: announce.Decision, size: int | None, emitted: _Emitted, graph: int) -> explanation.CallSite:
    pair, reason, lowered = decision.pair, decision.reason, bool(decision.buffers)
    if pair is None:
        decline, words, change = emitted.why_no_pair(decision.op)
    elif reason is not None:
        decline, words, change = reason.name, reason.value, advice.ADVICE[reason.name]
    else:
        decline = words = change = ""
    called = releases.kernel_name(pair.out if pair is not None and lowered else decision.op)
    line, way = emitted.find(decision, called)
    return explanation.CallSite(
        op=decision.op.name(),
        out=None if pair is None else pair.out.name(),
        source=None if pair is None else pair.source,
        lowered=lowered,
        decline=decline,
        reason=words,
        change=change,
        buffers=len(decision.buffers),
        buffer_bytes=size,
        reused=sum(map(emitted.reuses, decision.buffers)),
        call=line,
        short=way is not None and way.long_way is None,
        long_way="" if way is None or way.long_way is None else way.long_way.value,
        where=_where(decision.stack_trace),
        graph=graph,
        in_place=tuple(emitted.in_place[buffer] for buffer in decision.buffers if buffer in emitted.in_place),
    )


def _bytes(outputs: Any) -> int | None:
    """The size of the outputs' storages by the sizes of this compile, or None if one is not known."""
    total = 0
    if outputs is None:
        return None
    for tensor in torch.utils._pytree.tree_leaves(outputs):
        if not isinstance(tensor, torch.Tensor) or tensor.layout is not torch.strided:
            return None
        sizes, strides = list(map(overlap.hint, tensor.shape)), list(map(overlap.hint, tensor.stride()))
        known = [(size, stride) for size, stride in zip(sizes, strides) if size is not None and stride is not None]
        if len(known) < len(sizes):
            return None
        extent = 1 + sum((size - 1) * stride for size, stride in known)
        total += (extent if math.prod(size for size, _ in known) else 0) * tensor.dtype.itemsize
    return total


def _where(stack_trace: str) -> str:
    """The innermost line of a stack trace: ``file:line: source``."""
    found = re.findall(r'File "([^"]+)", line (\d+), in .*\n\s*(.*)', stack_trace)
    return "{}:{}: {}".format(*found[-1]) if found else ""
