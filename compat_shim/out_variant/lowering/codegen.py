"""The wrapper line: the call of an out variant in generated Python code, or as a node of an FX graph.

Mirrors ``ExternKernelMultiOutLine`` and ``generate_extern_kernel_multi_out`` of torch 2.12
(#176117); upstream passes the arguments as one flat list, this builds the call from the schema.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch._inductor import config
from torch._inductor.virtualized import V

from compat_shim import shim
from compat_shim.out_variant.lowering import fx, releases

_CHECKED = "compat_shim_checked"


@dataclasses.dataclass
class ExternKernelMultiOutLine(releases.WrapperLine):
    """One line: ``torch.ops.ns.op.out(x, scale, out=buf1)``."""

    wrapper: Any
    node: Any

    def codegen(self, code: Any) -> None:
        for text in self.texts():
            code.writeline(text)

    def codegen_fx(self, converter: Any) -> Any:
        """What the FX wrapper (torch 2.8 on) calls with this line."""
        return lambda line: fx.call(converter, line.node)

    def texts(self) -> list[str]:
        """The call, then the hook that torch has after its own kernel (``generate_intermediate_hooks``)."""
        texts = [self.text()]
        first, *others = self.node.out_buffers
        origin = first.get_origin_node()
        # Torch has none after a kernel of several outputs.
        if config.generate_intermediate_hooks and origin is not None and not others:
            texts.append(f"run_intermediate_hooks({origin.name!r}, {first.codegen_reference()})")
        return texts

    def text(self) -> str:
        node = self.node
        name = node.get_kernel_name()
        arguments = call_arguments(node)
        if shim.current_settings().check:
            name, arguments = _CHECKED, [releases.kernel_name(node.pair.functional), name, *arguments]
        return f"{name}({', '.join(arguments)})"


def generate_extern_kernel_multi_out(wrapper: Any, node: Any) -> None:
    """Emit the call of an ``ExternKernelMultiOut`` node whose out buffers are allocated.

    A method of ``PythonWrapperCodegen`` from torch 2.12 on, and here on older releases.
    """
    if shim.current_settings().check:
        wrapper.add_import_once(f"from compat_shim.out_variant.check import checked as {_CHECKED}")
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
    # codegen_args() leaves the keyword arguments in node.kwargs, so it must run first.
    positional = node.codegen_args()
    keyword = {name: V.graph.wrapper_code.val_to_arg_str(value) for name, value in node.kwargs.items()}
    return node.pair.arguments_by_name(positional, keyword)
