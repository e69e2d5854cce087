"""Out ops called directly, in Inductor: the results of the kernel are its out arguments.

Upstream (2.13 on) makes a buffer for each result that aliases the out buffer and holds the two
for unrelated: the out buffer is freed and given to the next kernel while its alias lives on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch._inductor import ir
from torch._inductor.virtualized import V
from torch.utils._pytree import tree_leaves

from compat_shim.out_variant.direct import out_op
from compat_shim.out_variant.lowering import releases
from compat_shim.out_variant.lowering.stand_in import StandIn


class _ReturnsNothing(StandIn):
    """The class, as if the fake kernel had returned nothing.

    The original then makes the kernel as for an op that returns nothing, with no output buffers.
    """

    def process_kernel(self, *args: Any, **kwargs: Any) -> Any:
        return releases.without_output(self._cls.process_kernel(*args, **kwargs))


def wrap_create(original: Callable[..., Any]) -> Callable[..., Any]:
    """``FallbackKernel.create``, which returns the out arguments of an op that returns those."""

    def create(cls: type[ir.FallbackKernel], kernel: Any, /, *args: Any, **kwargs: Any) -> Any:
        if cls is not ir.FallbackKernel or not out_op.returns_what_it_writes(kernel):
            return original(cls, kernel, *args, **kwargs)
        _realize_readers(kernel, args, kwargs)
        # C++ code has a handle for each return of the schema, so there the outputs stay; nobody reads them.
        in_python = not (V.graph.cpp_wrapper or V.graph.aot_mode)
        original(_ReturnsNothing(cls) if in_python else cls, kernel, *args, **kwargs)
        written = out_op.written_arguments(kernel, args, kwargs)
        return tuple(map(_buffer_of, written)) if isinstance(written, tuple) else _buffer_of(written)

    return create


def _realize_readers(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Compute what reads a buffer that the op writes to before the op does.

    The original asks for that too, but only once the op is among the graph's operations: what one of its own
    arguments was computed from would then be read again after the write.
    """
    for written in tree_leaves(out_op.written_arguments(op, args, kwargs)):
        if isinstance(written, ir.TensorBox):
            V.graph.mark_buffer_mutated(ir.ExternKernel.realize_input(written).get_name())


def _buffer_of(argument: Any) -> Any:
    """The buffer of an argument, or the view of one: what ``create`` returns is boxed by its caller."""
    realized = ir.ExternKernel.realize_input(argument)
    return realized.data if isinstance(realized, ir.StorageBox) else realized


def wrap_call_function(original: Callable[..., Any]) -> Callable[..., Any]:
    """``GraphLowering.call_function``, whose result for such an op is the very argument in the graph.

    ``create`` cannot give that one, since its callers box what they get; but a later
    ``copy_(argument, result)`` is nothing only where both are one box.
    """

    def call_function(self: Any, target: Any, args: Any, kwargs: Any) -> Any:
        result = original(self, target, args, kwargs)
        return out_op.written_arguments(target, args, kwargs) if out_op.returns_what_it_writes(target) else result

    return call_function
