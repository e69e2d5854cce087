"""The wrapper line: the call of an out variant in generated Python code.

Mirrors ``ExternKernelMultiOutLine`` and ``generate_extern_kernel_multi_out`` of torch 2.12
(#176117); upstream passes the arguments as one flat list, this builds the call from the schema.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch._inductor.virtualized import V

from compat_shim.out_variant.lowering import releases


@dataclasses.dataclass
class ExternKernelMultiOutLine(releases.WrapperLine):
    """One line: ``torch.ops.ns.op.out(x, scale, out=buf1)``."""

    wrapper: Any
    node: Any

    def codegen(self, code: Any) -> None:
        code.writeline(self.text())

    def text(self) -> str:
        node = self.node
        return f"{node.get_kernel_name()}({', '.join(call_arguments(node))})"


def generate_extern_kernel_multi_out(wrapper: Any, node: Any) -> None:
    """Emit the call of an ``ExternKernelMultiOut`` node whose out buffers are allocated.

    A method of ``PythonWrapperCodegen`` from torch 2.12 on, and here on older releases.
    """
    releases.emit(wrapper, ExternKernelMultiOutLine(wrapper, node))


def call_arguments(node: Any) -> list[str]:
    """The arguments of the out variant's call as Python source, in the order of its schema.

    What the functional call left out is left out here, to the same default. After the first
    argument left out, the rest go by name.
    """
    pair = node.pair
    given = _given(node)
    given.update(zip(pair.out_names, (buffer.codegen_reference() for buffer in node.out_buffers)))
    arguments: list[str] = []
    by_position = True
    for argument in pair.out._schema.arguments:
        if argument.name not in given:
            by_position = False
        elif by_position and not argument.kwarg_only:
            arguments.append(given[argument.name])
        else:
            arguments.append(f"{argument.name}={given[argument.name]}")
    return arguments


def _given(node: Any) -> dict[str, str]:
    """What the functional call passes: argument name → Python source."""
    inputs = node.pair.functional._schema.arguments
    # codegen_args() leaves the keyword arguments in node.kwargs, so it must run first.
    positional = node.codegen_args()
    given = {argument.name: source for argument, source in zip(inputs, positional)}
    for name, value in node.kwargs.items():
        given[name] = V.graph.wrapper_code.val_to_arg_str(value)
    return given
