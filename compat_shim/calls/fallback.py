"""Calls of custom ops in no pair: torch's own ``FallbackKernel``, with another name in its line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch._inductor import ir
from torch._inductor.virtualized import V

from compat_shim import process
from compat_shim.calls import exact, kernel_record, long_way, step, variables, ways
from compat_shim.calls.long_way import LongWay

process.offer("step", step.step)


def wrap_create(original: Callable[..., Any]) -> Callable[..., Any]:
    """``FallbackKernel.create`` that decides which way the calls of torch's own nodes take."""

    def create(cls: type[ir.FallbackKernel], kernel: Any, /, *args: Any, **kwargs: Any) -> Any:
        if process.short_calls() != "all" or getattr(kernel, "namespace", "aten") in kernel_record.BUILTIN:
            return original(cls, kernel, *args, **kwargs)
        before = len(V.graph.operations)
        result = original(cls, kernel, *args, **kwargs)
        for node in V.graph.operations[before:]:
            if type(node) is ir.FallbackKernel and node.op_overload is kernel:
                vars(node)[ways.WAY] = _decide(node)
        return result

    return create


def _decide(node: ir.FallbackKernel) -> LongWay | ways.ShortWay:
    device = exact.device_of(V.graph.current_node.all_input_nodes)
    if device is None:
        return LongWay.NO_DEVICE
    args, kwargs = node.unflatten_args(node.inputs, node.constant_args)
    arguments = node.op_overload._schema.arguments
    positional = [argument.name for argument in arguments if not argument.kwarg_only]
    # Inductor passes by name what the call leaves out. Where something may be left out, the function has those names.
    if not kwargs.keys().isdisjoint(positional) and not any(one.has_default_value() for one in arguments):
        return LongWay.ARGUMENTS
    given = {**dict(zip(positional, args)), **kwargs}
    return ways.of_call(node.op_overload, device, node, lambda: given, paired=False)


def wrap_codegen(original: Callable[..., None]) -> Callable[..., None]:
    """``FallbackKernel.codegen`` whose line calls a variable where the call may take the short way."""

    def codegen(self: ir.FallbackKernel, wrapper: Any) -> None:
        way = vars(self).get(ways.WAY, LongWay.NOT_ASKED)
        kernel = self.python_kernel_name or ""
        if not isinstance(way, LongWay) and not variables.may_have(wrapper, kernel):
            way = LongWay.WRAPPER
        elif variables.has_custom_codegen(kernel):
            way = LongWay.CUSTOM_CODEGEN
        if not isinstance(way, LongWay):
            self.python_kernel_name = variables.short(wrapper, kernel, way)
        long_way.tell(self.op_overload, way if isinstance(way, LongWay) else None)
        original(self, wrapper)

    return codegen
