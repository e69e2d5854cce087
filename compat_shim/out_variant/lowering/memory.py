"""Whose memory a buffer is, and the line that gives an out buffer its own.

Where a graph is cut into partitions that CUDA graphs replay, the function that calls the partitions gets
tensors from them whose memory belongs to a CUDA graph. Inductor offers it for reuse like its own once such a
tensor is freed. An out buffer that took it and was returned would change in the next step, when the CUDA graph
writes there again; what torch's fallback returns is a tensor of its own.

Two more it does not know. Where tensors are concatenated, they are slices of the result; torch's own kernel may write
its result in place of a slice that nothing needs any more, and lives on in the whole. And what control flow returns
may be its operand.
"""

from __future__ import annotations

from typing import Any

from torch._inductor import ir
from torch._inductor.codegen.wrapper import AllocateLine, FreeIfNotReusedLine, ReuseLine, buffer_reuse_key
from torch._inductor.virtualized import V

from compat_shim.out_variant.lowering import releases


class OwnAllocateLine(AllocateLine):
    """The allocation of an out buffer, for which no memory is taken that is not ours."""

    def plan(self, state: Any) -> Any:
        if self.node.get_name() in V.graph.removed_buffers or not releases.calls_partitions(self.wrapper):
            return super().plan(state)
        names = _own_names(self.wrapper)
        # Torch takes a line out of the list for the key, so the list holds only those that it may take.
        key = buffer_reuse_key(self.node)
        offered = state.reuse_pool[key]
        state.reuse_pool[key] = [line for line in offered if line.node.get_name() in names]
        try:
            return super().plan(state)
        finally:
            state.reuse_pool[key] = [line for line in offered if not line.is_reused]


def _own_names(wrapper: Any) -> set[str]:
    """The buffers that the wrapper's function has allocated, under whatever name they have been reused since.

    Neither the partitions' outputs nor the graph's inputs are among them, nor what was written in place of either.
    What a fallback returned may be any tensor, so it is not either.
    """
    names: set[str] = set()
    for line in wrapper.lines:
        if isinstance(line, AllocateLine):
            names.add(line.node.get_name())
        elif isinstance(line, ReuseLine) and line.node.get_name() in names:
            names.add(line.reused_as.get_name())
    return names


def shared(name: str) -> set[str]:
    """A buffer and those whose memory it shares, as far as Inductor knows."""
    names: set[str] = set()
    todo = [name]
    while todo:
        name = todo.pop()
        if name not in names:
            names.add(name)
            buffer = V.graph.name_to_buffer.get(name)
            todo += () if buffer is None else buffer.get_inputs_that_alias_output()
    return names


def is_own(wrapper: Any, buffer: ir.Buffer) -> bool:
    """Whether the wrapper's function has allocated a buffer's memory. To be asked before the lines are planned."""
    name = buffer.get_name()
    for line in reversed(wrapper.lines):
        if isinstance(line, AllocateLine) and line.node.get_name() == name:
            # Between partitions torch's own line may yet be given memory of a CUDA graph.
            return isinstance(line, OwnAllocateLine) or not releases.calls_partitions(wrapper)
        if isinstance(line, ReuseLine) and line.reused_as.get_name() == name:
            if getattr(line.reused_as, "compat_shim_allocated", False):
                return True  # an out buffer, for which it was asked before
            name = line.node.get_name()
    return False


def _allocation(wrapper: Any, buffer: ir.Buffer) -> int | None:
    """Where the allocation of an out buffer stands among the wrapper's lines, the last of which it is near."""
    places = reversed(range(len(wrapper.lines)))
    return next((at for at in places if _allocates(wrapper.lines[at], buffer)), None)


def _allocates(line: Any, buffer: ir.Buffer) -> bool:
    return type(line) is AllocateLine and line.node is buffer


def allocate(wrapper: Any, buffer: ir.Buffer) -> None:
    """Emit the allocation of an out buffer, which takes no other's memory."""
    releases.allocate(wrapper, buffer)
    # Whether there are partitions is asked only when the line is planned: a subgraph's lines, which are
    # written into the function, are made while torch has partitions turned off.
    place = _allocation(wrapper, buffer)
    if place is not None:
        # It is torch's line, with all that the release's constructor made of it.
        wrapper.lines[place].__class__ = OwnAllocateLine


def take(wrapper: Any, donor: ir.Buffer, buffer: ir.Buffer) -> None:
    """Give an out buffer the memory of a buffer that nothing needs any more."""
    place = _allocation(wrapper, buffer)  # from 2.7 on the scheduler has emitted it before the node's code
    if place is not None:
        del wrapper.lines[place]
    wrapper.codegen_inplace_reuse(donor, buffer)


def offer_shared_later(wrapper: Any) -> None:
    """Let what is freed be reused only after the call that is written, where another buffer may live in it."""
    if not _may_share():
        return
    names = _may_be_shared(wrapper)
    later = [line for line in wrapper.lines if isinstance(line, FreeIfNotReusedLine) and line.node.get_name() in names]
    if later:
        stay = set(map(id, wrapper.lines)) - set(map(id, later))
        wrapper.lines[:] = [*(line for line in wrapper.lines if id(line) in stay), *later]


def _may_be_shared(wrapper: Any) -> set[str]:
    """The buffers in which others may live, unknown to torch: see above."""
    slices = [line.node.get_name() for line in wrapper.lines if isinstance(line, ReuseLine)]
    found = {whole for name in slices for whole in shared(name) if whole != name}
    for operation in V.graph.operations:
        if releases.runs_subgraphs(operation):
            node = V.graph.scheduler.name_to_node[operation.get_operation_name()]
            found.update(name for read in node.read_writes.reads for name in shared(read.name))
        elif isinstance(operation, ir.MultiOutput) and releases.runs_subgraphs(operation.inputs[0]):
            found.add(operation.get_name())
    return found


def _may_share() -> bool:
    """Whether the graph has anything of that kind."""
    known: bool | None = vars(V.graph).get("compat_shim_may_share")
    if known is None:
        kinds = (isinstance(one, ir.ConcatKernel) or releases.runs_subgraphs(one) for one in V.graph.operations)
        known = V.graph.compat_shim_may_share = any(kinds)
    return known
