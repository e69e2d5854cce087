"""The wrapper line: the call of an out variant in generated Python code, or as a node of an FX graph.

Mirrors ``ExternKernelMultiOutLine`` and ``generate_extern_kernel_multi_out`` of torch 2.12
(#176117); upstream passes the arguments as one flat list, this builds the call from the schema.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

from torch._inductor import config
from torch._inductor.virtualized import V

from compat_shim import process
from compat_shim.calls import long_way, python_kernel, variables, ways
from compat_shim.calls.long_way import LongWay
from compat_shim.out_variant import names
from compat_shim.out_variant.lowering import releases
from compat_shim.out_variant.lowering.emission import asserts, fx_call

_CHECKED = "compat_shim_checked"
# Calls of one overload in a graph from which on a variable for it is worth a line. A graph of fewer
# reads like torch 2.12's.
_OFTEN = 4


@dataclasses.dataclass
class ExternKernelMultiOutLine(releases.WrapperLine):
    """One line: ``torch.ops.ns.op.out(x, scale, out=buf1)``, or by the name it is bound to."""

    wrapper: Any
    node: Any
    name: str
    asserts: list[str]

    def codegen(self, code: Any) -> None:
        for text in self.texts():
            code.writeline(text)

    def codegen_fx(self, converter: Any) -> Any:
        """What the FX wrapper (torch 2.8 on) calls with this line."""
        return lambda line: fx_call.call(converter, line.node)

    def texts(self) -> list[str]:
        """The call, then what torch has after its own kernel: asserts and ``generate_intermediate_hooks``."""
        texts = [self.text(), *self.asserts]
        first, *others = self.node.out_buffers
        origin = first.get_origin_node()
        # Torch has none after a kernel of several outputs.
        if config.generate_intermediate_hooks and origin is not None and not others:
            texts.append(f"run_intermediate_hooks({origin.name!r}, {first.codegen_reference()})")
        return texts

    def text(self) -> str:
        pair = self.node.pair
        ops = [pair.functional, pair.out] if self.name == _CHECKED else []
        return f"{self.name}({', '.join([*map(releases.kernel_name, ops), *call_arguments(self.node)])})"


def generate_extern_kernel_multi_out(wrapper: Any, node: Any) -> None:
    """Emit the call of an ``ExternKernelMultiOut`` node whose out buffers are allocated.

    A method of ``PythonWrapperCodegen`` from torch 2.12 on, and here on older releases.
    """
    if process.settings().check:
        wrapper.add_import_once(f"from compat_shim.out_variant.lowering.emission.checked import checked as {_CHECKED}")
        name = _CHECKED
    else:
        name = _name(wrapper, node)
    releases.emit(wrapper, ExternKernelMultiOutLine(wrapper, node, name, asserts.texts(wrapper, node)))


def _name(wrapper: Any, node: Any) -> str:
    """What the call calls: the overload's name, or a variable.

    It is the kernel's own function where the call takes the short way, and the overload where the graph calls it
    often: the four look-ups of ``torch.ops.ns.op.out`` take a twentieth of a small call's time, and so does the
    overload's Python frame around the function in C++.
    """
    kernel: str = node.get_kernel_name()
    out, way = node.pair.out, node.compat_shim_way
    calls = _count(wrapper)[node.pair]
    if not variables.may_have(wrapper, kernel):
        way = LongWay.WRAPPER
    elif isinstance(way, ways.ShortWay) and not ways.pays(out, way.device, calls):
        way = LongWay.FEW
    is_short = isinstance(way, ways.ShortWay)
    long_way.tell(node.op_overload, None if is_short else way, node.out_buffers[0].get_name())
    if is_short:
        return variables.short(wrapper, kernel, way)
    if way is LongWay.WRAPPER or calls < _OFTEN:
        return kernel
    value = f"{kernel}._op" if python_kernel.calls_only_its_op(out) else kernel
    return variables.variable(wrapper, kernel, value)


def _count(wrapper: Any) -> collections.Counter[Any]:
    """How often the graph calls the out variant of each pair."""
    counts: collections.Counter[Any] | None = vars(wrapper).get("compat_shim_counts")
    if counts is None:
        pairs = (getattr(operation, "pair", None) for operation in V.graph.operations)
        counts = wrapper.compat_shim_counts = collections.Counter(pair for pair in pairs if pair is not None)
    return counts


def call_arguments(node: Any) -> list[str]:
    """The arguments of the out variant's call as Python source, in the order of its schema.

    What the functional call left out is left out here where the default is the same. After the first
    argument left out, the rest go by name.
    """
    pair = node.pair
    given = _given(node)
    given.update(zip(pair.out_names, (buffer.codegen_reference() for buffer in node.out_buffers)))
    given.update((found.input, given[found.out]) for found in node.donations)  # the donor's name is gone
    arguments: list[str] = []
    by_position = True
    for argument in pair.out._schema.arguments:
        if argument.name not in given:
            by_position = False
        elif by_position and not argument.kwarg_only:
            arguments.append(given[argument.name])
        else:
            arguments.append(_by_name(argument.name, given[argument.name]))
    return arguments


def _by_name(name: str, value: str) -> str:
    return f"{name}={value}" if names.is_plain(name) else f"**{{{name!r}: {value}}}"


def _given(node: Any) -> dict[str, str]:
    """What the functional call passes: argument name → Python source."""
    # codegen_args() leaves the keyword arguments in node.kwargs, so it must run first.
    positional = node.codegen_args()
    keyword = {name: V.graph.wrapper_code.val_to_arg_str(value) for name, value in node.kwargs.items()}
    return node.pair.arguments_by_name(positional, keyword, V.graph.wrapper_code.val_to_arg_str)
