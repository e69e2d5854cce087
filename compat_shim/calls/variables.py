"""The lines at the top of a function of generated code: one a kernel, and one that asks for the state of the process.

The variable is set whenever the function is entered: one that the module kept would outlive the op's library, and
with it the C++ object behind the overload.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch._inductor.codegen import wrapper as wrapper_module
from torch._inductor.virtualized import V

from compat_shim import process
from compat_shim.calls.ways import WAY, ShortWay

_CALL, _STEP = "compat_shim_call", "compat_shim_step"
# Saved code also runs where the package is not installed, and must not bring it where it was not imported.
_IMPORT = f"""
import sys
{_STEP} = getattr(sys.modules.get({process.OWNER!r}), 'step', lambda *inputs: lambda op, *_: op)
"""


def may_have(wrapper: Any, kernel: str) -> bool:
    """Whether a wrapper's function can have a variable for what the code calls by that name.

    A subclass may write no Python, and the function of a partition is opened only after its calls on some releases.
    """
    return type(wrapper) is wrapper_module.PythonWrapperCodegen and kernel.startswith("torch.ops.")


def has_custom_codegen(kernel: str) -> bool:
    """Whether a custom wrapper codegen is registered for what the code calls by that name (torch 2.11 on)."""
    return kernel in getattr(wrapper_module, "CUSTOM_EXTERN_KERNEL_CODEGEN", ())


def _indent(wrapper: Any) -> int:
    """How deep the body of the wrapper's function is indented."""
    asked = getattr(wrapper, "get_wrapper_call_indent", None)  # from 2.7 on: the function may be a method
    return 1 if asked is None else asked()


def short(wrapper: Any, kernel: str, way: ShortWay) -> str:
    """The variable for an overload whose kernel is called the short way."""
    if not vars(wrapper).get("compat_shim_asks"):
        wrapper.compat_shim_asks = True
        wrapper.add_import_once(_IMPORT)
        _write(wrapper, f"{_CALL} = {_STEP}({', '.join(_inputs_to_look_at())})")
    unsure = ", True" if way.unsure else ""
    return variable(wrapper, kernel, f"{_CALL}({kernel}, {way.device!r}, {way.signature}{unsure})")


def variable(wrapper: Any, kernel: str, value: str) -> str:
    """The variable for an overload in the wrapper's function, which is given its line if it has none yet.

    Args:
        wrapper: the wrapper, which may have variables.
        kernel: the overload's name in code, ``torch.ops.ns.op.out``.
        value: what the variable is set to.
    """
    bound: dict[str, str] = vars(wrapper).setdefault("compat_shim_names", {})
    if value in bound:
        return bound[value]
    name = re.sub(r"\W", "_", f"call_{kernel.removeprefix('torch.ops.')}")
    while name in bound.values():  # ns.a_b.out and ns_a.b.out read alike
        name += "_"
    bound[value] = name
    _write(wrapper, f"{name} = {value}")
    return name


def _write(wrapper: Any, line: str) -> None:
    with wrapper.prefix.indent(_indent(wrapper)):
        wrapper.prefix.writeline(line)


def is_guarded() -> bool:
    """Whether Dynamo compiles, whose guards hold the types of the graph's inputs in each step."""
    return torch._guards.CompileContext.try_get() is not None


def _inputs_to_look_at() -> list[str]:
    """The graph's inputs that short calls take and that no guard has looked at: the backward's have none."""
    if is_guarded() and not V.graph.is_backward:
        return []
    taken = {
        value.get_name()
        for node in V.graph.operations
        if isinstance(vars(node).get(WAY), ShortWay)
        for value in torch.utils._pytree.tree_leaves(node.inputs)
        if hasattr(value, "get_name")
    }
    return [name for name in V.graph.graph_inputs if name in taken]
