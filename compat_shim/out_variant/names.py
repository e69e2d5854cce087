"""Overloads by name: ``"ns::op.out"`` and ``"ns::op"`` for the overload without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# torch is imported where it is used: importing it applies patches, and those import this module.
if TYPE_CHECKING:
    from torch._ops import OpOverload


def name_of(op: Any) -> str:
    """The name of an overload, as ``op.name()`` has it; a string may say ``.default``.

    Raises:
        TypeError: ``op`` is neither an ``OpOverload`` nor a string.
        ValueError: a string that is not ``namespace::name`` or ``namespace::name.overload``.
    """
    from torch._ops import OpOverload

    if isinstance(op, OpOverload):
        return op.name()
    if not isinstance(op, str):
        raise TypeError(f"expected an OpOverload such as torch.ops.ns.op.default, or its name, found {op!r}")
    namespace, separator, rest = op.partition("::")
    base, _, overload = rest.partition(".")
    if not (separator and namespace and base) or "." in overload:
        raise ValueError(f"{op!r} is not the name of an overload, such as 'ns::op' or 'ns::op.out'")
    return f"{namespace}::{base}" if overload in ("", "default") else op


def find(name: str) -> OpOverload | None:
    """The overload of that name, or None where no loaded library defines it."""
    import torch

    if not exists(name):
        return None
    base, _, overload = name.partition(".")
    namespace, _, op_name = base.partition("::")
    packet = getattr(getattr(torch.ops, namespace), op_name)
    return getattr(packet, overload or "default", None)


def exists(name: str) -> bool:
    """Whether a loaded library defines the overload: one call into the dispatcher."""
    import torch

    base, _, overload = name.partition(".")
    return torch._C._get_operation_overload(base, overload) is not None
