"""Which out buffers take over the memory of an input: declared so, and the input dies at the call.

Inductor does that for its own pointwise kernels (``BaseSchedulerNode.decide_inplace_update``), at the same moment:
when the node's code is written. What it asks is asked here too, and more, since a kernel of ours takes tensors and
not indices: the input must be passed whole, once, and in the out buffer's own layout. In doubt the out buffer gets
memory of its own.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from torch._inductor import config, ir
from torch._inductor.scheduler import NopKernelSchedulerNode
from torch._inductor.virtualized import V

from compat_shim.out_variant.lowering import memory, releases
from compat_shim.patching.log import logger


@dataclasses.dataclass(frozen=True)
class Donation:
    """An out buffer that is made of an input.

    Attributes:
        out, input: the arguments of the call.
        buffer, donor: what they are given.
    """

    out: str
    input: str
    buffer: ir.Buffer
    donor: ir.Buffer


def find(node: Any) -> list[Donation]:
    """The donations of a call, to be asked when its code is about to be written.

    Args:
        node: the ``ExternKernelMultiOut``.
    """
    try:
        return list(_donations(node)) if node.declared and _is_on() else []
    except Exception:
        logger.exception("compat_shim: %s reuses no input here", node.pair.out)
        return []


def _is_on() -> bool:
    wanted = config.inplace_buffers and config.allow_buffer_reuse
    return wanted and releases.writes_python(V.graph.wrapper_code)


def _donations(node: Any) -> Iterator[Donation]:
    given = node.given()
    passed = collections.Counter(name for value in node.inputs for name in memory.shared(value.get_name()))
    taken: set[str] = set()
    for out, buffer in zip(node.pair.out_names, node.out_buffers):
        if buffer.get_name() in V.graph.removed_buffers:
            continue  # nobody reads it
        fitting = (name for name in node.declared.get(out, ()) if _may_give(given.get(name), buffer, node, passed))
        name = next((name for name in fitting if given[name].get_name() not in taken), None)
        if name is not None:
            taken.add(given[name].get_name())
            yield Donation(out, name, buffer, given[name])


def _may_give(donor: Any, buffer: ir.Buffer, node: Any, passed: collections.Counter[str]) -> bool:
    return (
        isinstance(donor, ir.Buffer)  # a view is none
        and passed[donor.get_name()] == 1
        and _fits(donor, buffer)
        and memory.is_own(V.graph.wrapper_code, donor)
        and _dies(donor.get_name(), node)
    )


def _dies(name: str, node: Any) -> bool:
    """Whether nothing needs a buffer after the call: the graph's outputs and all aliases considered."""
    scheduler = V.graph.scheduler
    call, buffer = scheduler.name_to_node[node.get_operation_name()], scheduler.name_to_buf[name]
    done = (call.ancestors, V.graph.removed_operations, scheduler.completed_operations)
    users = [user.node for user in buffer.users]
    return (
        all(user is call or any(user.get_name() in names for names in done) for user in users)
        and name in call.last_usage
        and V.graph.wrapper_code.can_reuse(buffer.node)
        and name not in scheduler.mutation_real_name.values()  # written to by another op
        and not isinstance(buffer.defining_op, NopKernelSchedulerNode)  # others live in it: see memory
        and not any(releases.runs_subgraphs(getattr(user, "node", None)) for user in users)  # or may
        and not releases.is_elsewhere(scheduler, name, call, users)
    )


def _fits(donor: ir.Buffer, buffer: ir.Buffer) -> bool:
    theirs, mine = donor.get_output_spec(), buffer.get_output_spec()
    return (
        type(theirs) is type(mine) is ir.FixedLayout
        and theirs.offset == 0
        and not getattr(theirs, "is_pinned", False)  # a copy to the device may still read it
        and _equal(theirs.size, mine.size)
        and _equal(theirs.stride, mine.stride)
        and releases.can_match_buffer_size(donor, buffer)  # on one device, of one dtype
    )


def _equal(lengths: Sequence[Any], others: Sequence[Any]) -> bool:
    return bool(V.graph.sizevars.statically_known_list_equals(lengths, others))
