"""Overloads by name: ``"ns::op.out"`` and ``"ns::op"`` for the overload without one."""

from __future__ import annotations

import contextlib
import contextvars
import keyword
from collections.abc import Iterator
from typing import Any

import torch
from torch._ops import OpOverload

from compat_shim.out_variant import schema as schemas


def name_of(op: Any) -> str:
    """The name of an overload, as ``op.name()`` has it; a string may say ``.default``.

    Raises:
        TypeError: ``op`` is neither an ``OpOverload`` nor a string.
        ValueError: a string that is not ``namespace::name`` or ``namespace::name.overload``.
    """
    if isinstance(op, OpOverload):
        return op.name()
    if not isinstance(op, str):
        raise TypeError(f"expected an OpOverload such as torch.ops.ns.op.default, or its name, found {op!r}")
    namespace, base, overload = split(op)
    if not (namespace and base) or "." in overload:
        raise ValueError(f"{op!r} is not the name of an overload, such as 'ns::op' or 'ns::op.out'")
    return f"{namespace}::{base}" if overload in ("", "default") else op


def split(name: str) -> tuple[str, str, str]:
    """``"ns::op.out"`` → ``("ns", "op", "out")``; an overload without a name, or a bare op, has the last one empty."""
    namespace, _, rest = name.partition("::")
    base, _, overload = rest.partition(".")
    return namespace, base, overload


def op_of(name: str) -> str:
    """``"ns::op.out"`` → ``"ns::op"``: the op that an overload is of."""
    return name.partition(".")[0]


def find(name: str) -> OpOverload | None:
    """The overload of that name, or None where no loaded library defines it or Python cannot reach it."""
    if not exists(name):
        return None
    namespace, op_name, overload = split(name)
    packet = getattr(getattr(torch.ops, namespace), op_name)
    found = getattr(packet, overload or "default", None)
    # A packet has attributes of its own: an overload called ``op`` or ``overloads`` is hidden by them.
    return found if isinstance(found, torch._ops.OpOverload) else None


def exists(name: str) -> bool:
    """Whether a loaded library defines the overload: one call into the dispatcher."""
    return _in_dispatcher(name) is not None


def alive(op: OpOverload) -> bool:
    """Whether ``op`` is still what its name stands for, and not left over from a dead library."""
    namespace, name, _ = split(op._schema.name)
    packet = vars(getattr(torch.ops, namespace)).get(name)
    # A library that is collected, or was made by C++, takes its ops from the dispatcher, but no packet along.
    return packet is not None and packet is op._overloadpacket and exists(op.name())


def schemas_of(base: str) -> list[Any]:
    """The schemas of all overloads of ``ns::op`` that loaded libraries define now, in the order of definition.

    A packet's own list is that of when the packet was made.
    """
    seen = _seen.get()
    if seen is None:
        return list(torch._C._jit_get_schemas_for_operator(base))
    if base not in seen:
        seen[base] = list(torch._C._jit_get_schemas_for_operator(base))
    return list(seen[base])


def writing(base: str) -> list[Any]:
    """The schemas of the overloads of ``ns::op`` that write to an argument, or are named as if they did."""
    return [schema for schema in schemas_of(base) if schemas.out_arguments(schema) or _is_named_out(schema)]


def _is_named_out(schema: Any) -> bool:
    last = schema.overload_name or schema.name
    return bool(last == "out" or last.endswith("_out"))


def of_schema(schema: Any) -> str:
    """The name of the overload with this schema, as ``op.name()`` has it."""
    return f"{schema.name}.{schema.overload_name}" if schema.overload_name else str(schema.name)


def tags_of(name: str) -> tuple[Any, ...]:
    """The tags of an overload; none where no loaded library defines it."""
    found = _in_dispatcher(name)
    return () if found is None else tuple(found[2])


def _in_dispatcher(name: str) -> Any:
    """What the dispatcher has under the name of an overload, or None."""
    seen = _seen.get()
    base, _, overload = name.partition(".")
    key = (base, overload)
    if seen is not None and key in seen:
        return seen[key]
    # One C++ call. Asking torch.ops would build a packet for every op.
    found = torch._C._get_operation_overload(base, overload)
    if seen is not None:
        seen[key] = found
    return found


# What the dispatcher has said while all pairs are looked at.
_seen: contextvars.ContextVar[dict[Any, Any] | None] = contextvars.ContextVar("seen", default=None)


@contextlib.contextmanager
def at_one_moment() -> Iterator[None]:
    """While this is active, the dispatcher is asked for each overload once: what it says does not change meanwhile.

    Each answer makes Python objects of a schema and tags, and a look at all pairs asks for one several times.
    """
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def source(name: str) -> str:
    """How Python source reaches an overload: ``torch.ops.ns.op.out``, by ``getattr`` where that is no path."""
    namespace, base, overload = split(name)
    path = "torch.ops"
    for part in (namespace, base, overload or "default"):
        path = f"{path}.{part}" if is_plain(part) else f"getattr({path}, {part!r})"
    return path


def is_plain(name: str) -> bool:
    """Whether the name of an op or argument stands for itself in Python source.

    Not so a keyword, ``__debug__``, and in the method of a class (the function of a graph is one from torch 2.9
    on) what begins with two underscores.
    """
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
