"""Overloads by name: ``"ns::op.out"`` and ``"ns::op"`` for the overload without one."""

from __future__ import annotations

import keyword
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
    """The overload of that name, or None where no loaded library defines it or Python cannot reach it."""
    import torch

    if not exists(name):
        return None
    base, _, overload = name.partition(".")
    namespace, _, op_name = base.partition("::")
    packet = getattr(getattr(torch.ops, namespace), op_name)
    found = getattr(packet, overload or "default", None)
    # A packet has attributes of its own: an overload called ``op`` or ``overloads`` is hidden by them.
    return found if isinstance(found, torch._ops.OpOverload) else None


def exists(name: str) -> bool:
    """Whether a loaded library defines the overload: one call into the dispatcher."""
    import torch

    base, _, overload = name.partition(".")
    return torch._C._get_operation_overload(base, overload) is not None


def alive(op: OpOverload) -> bool:
    """Whether ``op`` is still what its name stands for, and not left over from a dead library."""
    import torch

    namespace, _, name = op._schema.name.partition("::")
    packet = vars(getattr(torch.ops, namespace)).get(name)
    # A library that is collected, or was made by C++, takes its ops from the dispatcher, but no packet along.
    return packet is not None and packet is op._overloadpacket and exists(op.name())


def schemas_of(base: str) -> list[Any]:
    """The schemas of all overloads of ``ns::op`` that loaded libraries define now, in the order of definition.

    A packet's own list is that of when the packet was made.
    """
    import torch

    return list(torch._C._jit_get_schemas_for_operator(base))


def of_schema(schema: Any) -> str:
    """The name of the overload with this schema, as ``op.name()`` has it."""
    return f"{schema.name}.{schema.overload_name}" if schema.overload_name else str(schema.name)


def tags_of(name: str) -> tuple[Any, ...]:
    """The tags of an overload; none where no loaded library defines it."""
    import torch

    base, _, overload = name.partition(".")
    # One C++ call. Asking torch.ops would build a packet for every op.
    found = torch._C._get_operation_overload(base, overload)
    return () if found is None else tuple(found[2])


def source(name: str) -> str:
    """How Python source reaches an overload: ``torch.ops.ns.op.out``, by ``getattr`` where that is no path."""
    base, _, overload = name.partition(".")
    path = "torch.ops"
    for part in (*base.split("::"), overload or "default"):
        path = f"{path}.{part}" if is_plain(part) else f"getattr({path}, {part!r})"
    return path


def is_plain(name: str) -> bool:
    """Whether the name of an op or argument stands for itself in Python source.

    Not so a keyword, ``__debug__``, and in the method of a class (the function of a graph is one from torch 2.9
    on) what begins with two underscores.
    """
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
