"""Whose memory a freed buffer is, where a graph is cut into partitions that CUDA graphs replay.

The function that calls the partitions gets tensors from them whose memory belongs to a CUDA graph.
Inductor offers it for reuse like its own once such a tensor is freed. An out buffer that took it and
was returned would change in the next step, when the CUDA graph writes there again; what torch's
fallback returns is a tensor of its own.
"""

from __future__ import annotations

from typing import Any

from torch._inductor import ir
from torch._inductor.codegen.wrapper import AllocateLine, ReuseLine, buffer_reuse_key
from torch._inductor.virtualized import V

from compat_shim.out_variant.lowering import releases


class OwnAllocateLine(AllocateLine):
    """The allocation of an out buffer, for which no memory is taken that is not ours."""

    def plan(self, state: Any) -> Any:
        names = None if self.node.get_name() in V.graph.removed_buffers else own_names(self.wrapper)
        if names is None:
            return super().plan(state)
        # Torch takes a line out of the list for the key, so the list holds only those that it may take.
        key = buffer_reuse_key(self.node)
        offered = state.reuse_pool[key]
        state.reuse_pool[key] = [line for line in offered if line.node.get_name() in names]
        try:
            return super().plan(state)
        finally:
            state.reuse_pool[key] = [line for line in offered if not line.is_reused]


def own_names(wrapper: Any) -> set[str] | None:
    """The buffers whose memory is ours to reuse in the wrapper's function; None where every buffer's is.

    Between partitions that is what the function has allocated, under whatever name it has been reused
    since. Neither the partitions' outputs nor the graph's inputs are among them, nor what was written
    in place of either. What a fallback returned may be any tensor, so it is not either.
    """
    if not releases.calls_partitions(wrapper):
        return None
    names: set[str] = set()
    for line in wrapper.lines:
        if isinstance(line, AllocateLine):
            names.add(line.node.get_name())
        elif isinstance(line, ReuseLine) and line.node.get_name() in names:
            names.add(line.reused_as.get_name())
    return names


def take_only_own(wrapper: Any, buffer: ir.Buffer) -> None:
    """Let the allocation of an out buffer, which is among the wrapper's lines, take no other's memory."""
    # Whether there are partitions is asked only when the line is planned: a subgraph's lines, which are
    # written into the function, are made while torch has partitions turned off.
    for line in reversed(wrapper.lines):
        if type(line) is AllocateLine and line.node is buffer:
            # It is torch's line, with all that the release's constructor made of it.
            line.__class__ = OwnAllocateLine
            return
