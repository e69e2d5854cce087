"""The call of an out variant in generated C++ code, for ``cpp_wrapper`` and AOTInductor.

Torch's own fallback kernel knows how to emit the call of any overload there: a mutating one returns
its ``MutationOutput``s. So the call is emitted by a fallback kernel for the *out* overload that is in
no graph: it lives while its code is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch._inductor import ir


class _Returned(ir.MutationOutput):
    """An out buffer that the out variant returns: already declared, and assigned what comes back."""

    def __init__(self, buffer: ir.Buffer) -> None:  # registers no buffer, unlike its base
        self.buffer = buffer

    def get_name(self) -> str:
        return self.buffer.get_name()

    def get_mutation_names(self) -> list[str]:
        return [self.buffer.get_name()]


class OutCall(ir.FallbackKernel):
    """The call of ``node.pair.out`` with every argument of its schema, defaults filled in.

    Args:
        node: the ``ExternKernelMultiOut`` whose call it is; its out buffers are allocated.
    """

    def __init__(self, node: Any) -> None:  # registers no operation, unlike its base
        self.__dict__.update(vars(node))
        pair = node.pair
        self._unflatten_functional = node.unflatten_args
        self.op_overload = pair.out
        self.set_cpp_kernel_name(None)
        self.set_python_kernel_name(None)
        self.ordered_kwargs_for_cpp_kernel: list[str] = []
        self.collect_arg_kwarg_properties()
        self.inputs = [*node.inputs, *node.out_buffers]
        self.unflatten_args = self._unflatten
        self.kwargs = self._unflatten(self.inputs, self.constant_args)[1]
        returned = pair.out._schema.returns
        self.outputs = [_Returned(buffer) for buffer in node.out_buffers] if returned else []
        self.mutation_outputs: list[ir.MutationOutput] = []

    def _unflatten(self, tensors: Sequence[Any], constants: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        count = len(self.out_buffers)
        given = self.pair.arguments_by_name(*self._unflatten_functional(tensors[:-count], constants))
        given.update(zip(self.pair.out_names, tensors[-count:]))
        positional: list[Any] = []
        keyword: dict[str, Any] = {}
        for argument in self.pair.out._schema.arguments:
            value = given.get(argument.name, argument.default_value)
            if argument.kwarg_only:
                keyword[argument.name] = value
            else:
                positional.append(value)
        return positional, keyword

    def codegen_comment(self, *args: Any, **kwargs: Any) -> None:
        """The node has written it, above the allocations."""
