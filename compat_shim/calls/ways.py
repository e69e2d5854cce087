"""Which way does a call take? Decided while the graph is lowered; where it may be the short one, in each step again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._inductor import ir
from torch._inductor.virtualized import V

from compat_shim import process
from compat_shim.calls import exact, known
from compat_shim.calls.long_way import LongWay

# From how many calls in a graph on it pays to ask for the state of the process, for a kernel of Library.impl: one
# call of custom_op costs several times as much.
PAYS_FROM = 3


# The attribute of a node that says which way its call takes.
WAY = "compat_shim_way"

# Buffers that Inductor's own code allocates, or that guards have seen. Any other may be what an op has returned, which
# its fake need not have told in full.
_SURE = (ir.ComputedBuffer, ir.TemplateBuffer, ir.ExternKernelOut, ir.InputBuffer)


@dataclasses.dataclass(frozen=True)
class ShortWay:
    """A call that may call the kernel's function.

    Attributes:
        device: the type of the device whose kernel it is.
        signature: of the kernel that was found.
        unsure: whether an argument may be another tensor than its fake promised, so that each call must look.
    """

    device: str
    signature: int
    unsure: bool


def of_call(
    op: Any, device: torch.device | None, node: Any, arguments: Callable[[], Mapping[str, Any]], *, paired: bool
) -> LongWay | ShortWay:
    """Which way the call that is being lowered takes.

    Args:
        op: the overload that generated code will call.
        device: whose kernel the dispatcher runs.
        node: Inductor's node of the call.
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
    if not exact.arguments_are(op._schema, arguments()):
        return LongWay.ARGUMENTS
    return ShortWay(device.type, found.signature, any(map(_is_unsure, torch.utils._pytree.tree_leaves(node.inputs))))


def _is_unsure(value: Any) -> bool:
    name = value.get_name() if hasattr(value, "get_name") else None
    if name is None or name in V.graph.graph_inputs or name in V.graph.constants:
        return False
    buffer = V.graph.name_to_buffer.get(name)
    return not isinstance(buffer, _SURE) and not getattr(buffer, "compat_shim_allocated", False)


def pays(op: Any, device: str, calls: int) -> bool:
    """Whether a look at the state of the process pays for that many calls of the overload in a graph."""
    found = known.find(op, device)
    return not isinstance(found, LongWay) and (found.definition is not None or calls >= PAYS_FROM)
