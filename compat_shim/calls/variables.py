"""The lines at the top of a function of generated code: one a kernel, and one that asks for the state of the process.

The variable is set whenever the function is entered: one that the module kept would outlive the op's library, and
with it the C++ object behind the overload.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch._inductor.codegen.wrapper import PythonWrapperCodegen
from torch._inductor.virtualized import V

_CALL, _STEP = "compat_shim_call", "compat_shim_step"
# Saved code also runs where the package is not installed.
_IMPORT = f"""
try:
    from compat_shim.calls.step import step as {_STEP}
except ImportError:
    {_STEP} = lambda *inputs: lambda op, device: op
"""


def may_have(wrapper: Any, kernel: str) -> bool:
    """Whether a wrapper's function can have a variable for what the code calls by that name.

    A subclass may write no Python, and the function of a partition is opened only after its calls on some releases.
    """
    return type(wrapper) is PythonWrapperCodegen and kernel.startswith("torch.ops.")


def _indent(wrapper: Any) -> int:
    """How deep the body of the wrapper's function is indented."""
    asked = getattr(wrapper, "get_wrapper_call_indent", None)  # from 2.7 on: the function may be a method
    return 1 if asked is None else asked()


def variable(wrapper: Any, kernel: str, *, device: str = "", value: str = "") -> str:
    """The variable for an overload in the wrapper's function, which is given its line if it has none yet.

    Args:
        wrapper: the wrapper, which may have variables.
        kernel: the overload's name in code, ``torch.ops.ns.op.out``.
        device: whose kernel is called the short way; empty for the long way.
        value: for the long way, what the variable is set to.
    """
    bound: dict[tuple[str, str], str] = vars(wrapper).setdefault("compat_shim_names", {})
    if (kernel, device) in bound:
        return bound[kernel, device]
    name = re.sub(r"\W", "_", f"call_{kernel.removeprefix('torch.ops.')}")
    while name in bound.values():  # ns.a_b.out and ns_a.b.out read alike
        name += "_"
    bound[kernel, device] = name
    with wrapper.prefix.indent(_indent(wrapper)):
        if device:
            if not vars(wrapper).get("compat_shim_asks"):
                wrapper.compat_shim_asks = True
                wrapper.add_import_once(_IMPORT)
                wrapper.prefix.writeline(f"{_CALL} = {_STEP}({_unguarded_inputs()})")
            value = f"{_CALL}({kernel}, {device!r})"
        wrapper.prefix.writeline(f"{name} = {value}")
    return name


def is_guarded() -> bool:
    """Whether Dynamo compiles, whose guards hold the types of the graph's inputs in each step."""
    return torch._guards.CompileContext.try_get() is not None


def _unguarded_inputs() -> str:
    return "" if is_guarded() else ", ".join(V.graph.graph_inputs)
