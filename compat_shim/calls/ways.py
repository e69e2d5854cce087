"""Which way does a call take? Decided while the graph is lowered; where it may be the short one, in each step again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._inductor.virtualized import V

from compat_shim import process
from compat_shim.calls import exact, known
from compat_shim.calls.long_way import LongWay

# From how many calls in a graph on it pays to ask for the state of the process, for a kernel of Library.impl: one
# call of custom_op costs several times as much.
PAYS_FROM = 3


def of_call(
    op: Any, device: torch.device | None, arguments: Callable[[], Mapping[str, Any]], *, paired: bool
) -> LongWay | None:
    """Why the call that is being lowered takes the long way; None if it may take the short one.

    Args:
        op: the overload that generated code will call.
        device: whose kernel the dispatcher runs.
        arguments: what the call passes, but for out buffers: name → IR node, number, symbol or list of these.
        paired: whether the overload is called as an out variant.
    """
    which = process.short_calls()
    if which == "off":
        return LongWay.OFF
    if process.settings().check and paired:
        return LongWay.CHECK
    if device is None:
        return LongWay.NO_DEVICE
    found = known.find(op, device.type)
    if isinstance(found, LongWay):
        return found
    if not paired and (which != "all" or found.definition is None):
        return LongWay.NOT_ASKED
    if not exact.tensors_are_plain(V.graph.current_node.all_input_nodes, device):
        return LongWay.TENSORS
    return None if exact.arguments_are(op._schema, arguments()) else LongWay.ARGUMENTS


def pays(op: Any, device: torch.device, calls: int) -> bool:
    """Whether a look at the state of the process pays for that many calls of the overload in a graph."""
    found = known.find(op, device.type)
    return not isinstance(found, LongWay) and (found.definition is not None or calls >= PAYS_FROM)
