"""Who wants to see what is decided: ``explain`` does. Costs nothing while nobody looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch._inductor.virtualized import V

from compat_shim.out_variant.lowering.decide import Decline
from compat_shim.out_variant.pairing import Pair


@dataclasses.dataclass(frozen=True)
class Decision:
    """What became of one call of a custom op in a graph that is being lowered.

    Attributes:
        op: the functional op.
        pair: its pair, or None if it has no out variant.
        reason: why the call was declined; None if it was lowered or there is no pair.
        outputs: what the fake kernel returned, if it was asked.
        buffers: the names of the out buffers; empty unless the call was lowered.
        stack_trace: where user code makes the call, as far as the graph's node tells.
    """

    op: Any
    pair: Pair | None
    reason: Decline | None
    outputs: Any
    buffers: tuple[str, ...]
    stack_trace: str


observers: list[Callable[[Decision], None]] = []


def tell(op: Any, pair: Pair | None, reason: Decline | None, outputs: Any = None, buffers: Any = ()) -> None:
    """Tell the observers of a decision. ``buffers`` are the out buffers of a lowered call."""
    if not observers:
        return
    trace = getattr(V.graph.current_node, "meta", {}).get("stack_trace") or ""
    decision = Decision(op, pair, reason, outputs, tuple(buffer.get_name() for buffer in buffers), trace)
    for observer in observers:
        observer(decision)


# Called with the name of an out buffer and the input whose memory it takes, while the call is written.
in_place_observers: list[Callable[[str, str], None]] = []


def tell_in_place(buffer: str, argument: str) -> None:
    """Tell the observers that an out buffer is the memory of an input, by the name of the argument."""
    for observer in in_place_observers:
        observer(buffer, argument)
