"""Does a call in generated code pass what the dispatcher would hand to a Python kernel?

The dispatcher converts: an int for a ``float`` argument arrives as a float, a tuple as a list, a conjugated tensor
resolved, and what equals the schema's default is left out. A kernel that is called without it must get the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy
import torch
from torch import _C
from torch._inductor import ir

from compat_shim.calls.python_kernel import same_value

_PYTHON: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "SymInt": (int,),
    "float": (float,),
    "bool": (bool,),
    "str": (str,),
    "Scalar": (int, float, bool, complex),
    "number": (int, float, bool, complex),
    "ScalarType": (torch.dtype,),
    "Device": (torch.device,),
}
_SYMBOLIC = ("int", "SymInt", "Scalar", "number")
# Of these the dispatcher hands lists on as they are.
_LISTED = ("int", "SymInt", "float", "bool", "str")


def arguments_are(schema: _C.FunctionSchema, given: Mapping[str, Any]) -> bool:
    """Whether each argument of a call in a graph is of its schema's very type.

    Args:
        schema: the overload's.
        given: the arguments that the call passes, by name: IR nodes, numbers, symbols, lists of these.
    """
    arguments = {argument.name: argument for argument in schema.arguments}
    return all(_is_exact(arguments[name], value) for name, value in given.items())


def _is_exact(argument: Any, value: Any) -> bool:
    if not _is(argument.real_type, value):
        return False
    if not argument.has_default_value() or isinstance(value, (ir.IRNode, sympy.Expr, torch.SymInt)):
        return True
    default = argument.default_value
    try:
        equal = bool(value == default)
    except Exception:  # what cannot be compared here the dispatcher may compare
        return False
    return not equal or same_value(value, default)  # -0.0 equals a default of 0.0, and is left out for it


def _is(type_: Any, value: Any) -> bool:
    kind = type_.kind()
    if kind == "OptionalType":
        return value is None or _is(type_.getElementType(), value)
    if kind == "ListType":
        element = type_.getElementType()
        listed = element.kind() == "TensorType" or str(element) in _LISTED
        return listed and isinstance(value, list) and all(_is(element, item) for item in value)
    if kind == "TensorType":
        return isinstance(value, ir.IRNode)
    name = str(type_)
    if isinstance(value, (torch.SymInt, sympy.Integer)):
        return name in _SYMBOLIC
    if isinstance(value, sympy.Expr):
        return name in _SYMBOLIC and not isinstance(value, sympy.Number) and value.is_integer is True
    return type(value) in _PYTHON.get(name, ())


def device_of(nodes: Iterable[torch.fx.Node]) -> torch.device | None:
    """The device whose kernel a call of these inputs runs: one other than the CPU goes before it."""
    devices = [one.device for node in nodes for one in _tensors(node.meta.get("val"))]
    return next((device for device in devices if device.type != "cpu"), devices[0] if devices else None)


def _tensors(value: Any) -> list[torch.Tensor]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [one for one in values if isinstance(one, torch.Tensor)]


def tensors_are_plain(nodes: Iterable[torch.fx.Node], device: torch.device) -> bool:
    """Whether the tensors that a call takes have only the device's own dispatch key, and no lazy bits.

    Args:
        nodes: the inputs of the call's node in the graph.
        device: the one whose kernel the dispatcher runs: others of the tensors may be on the CPU.
    """
    return all(_is_plain(node.meta.get("val"), device) for node in nodes)


def _is_plain(value: Any, device: torch.device) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(one, device) for one in value)
    if not isinstance(value, torch.Tensor):
        return value is None or isinstance(value, (int, float, torch.SymInt, torch.SymFloat, torch.SymBool))
    return (
        value.layout is torch.strided
        and not (value.is_quantized or value.is_conj() or value.is_neg() or value._is_zerotensor())
        and value.device.type in (device.type, "cpu")
    )
