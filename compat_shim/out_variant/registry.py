"""What the user registered: pairs by hand, and those that wait for their ops.

``register_out_variant`` is for ops whose out variant carries no tag, has a flat name
(``op_out``) or belongs to another namespace. torch 2.12 has a registry of the same name
(#176117) that takes any two ops; ours refuses two that do not fit together.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterator, Sequence

import torch
from torch._ops import OpOverload

from compat_shim import process
from compat_shim.out_variant import marks, names
from compat_shim.out_variant import schema as schemas
from compat_shim.patching.log import warn

# functional → out, the names of its out arguments and the source. The ops are held weakly: the packets of
# a library that goes away take their overloads along, and two of one packet hold each other by it.
# Last stand the names of both ops: a family looks at its own pairs alone.
_Registered = tuple["weakref.ref[OpOverload]", tuple[str, ...], str, tuple[str, str]]
_registered: dict[weakref.ref[OpOverload], _Registered] = process.shared("registered", dict)
# How often the table above has changed: an out variant that is taken by hand is missing from its family.
_changes: list[int] = process.shared("changes", lambda: [0])

# Pairs whose ops no library has defined yet, by name: functional → out, out arguments.
_waiting: dict[str, tuple[str, Sequence[str] | None]] = process.shared("waiting", dict)


def register_out_variant(
    functional_op: OpOverload | str, out_op: OpOverload | str, *, outs: Sequence[str] | None = None
) -> None:
    """Say that ``out_op`` is the out variant of ``functional_op``.

    It is the caller's word that the kernel writes each output into the buffer that it is given
    and does nothing else. Names, tags and namespaces do not matter, nor where the out arguments
    stand in the signature. The pair goes away with the library that defined either op, or another overload of
    it: torch.ops drops the whole op then. Registered again, it is there again.

    Args:
        functional_op: the overload that user code calls, returning one or more Tensors, or its
            name (``"ns::op"``).
        out_op: the overload with the same inputs (names and types, in order) and one
            out argument (``Tensor(a!)`` or ``Tensor!``) for each return of ``functional_op``;
            returns nothing or its out arguments. Or its name (``"ns::op.out"``). A pair of names
            waits where an op does not exist yet, and is checked once both do.
        outs: the names of the out arguments in the order of ``functional_op``'s returns; by
            default their order in the schema of ``out_op``.

    Raises:
        TypeError: an argument is neither an ``OpOverload`` nor a name.
        ValueError: the two do not fit together, or a name is not one; the message says in what.
    """
    functional_name, out_name = names.name_of(functional_op), names.name_of(out_op)
    process.warn_of_other_version()
    functional = names.find(functional_name) if isinstance(functional_op, str) else functional_op
    out = names.find(out_name) if isinstance(out_op, str) else out_op
    if functional is None or out is None:
        _waiting[functional_name] = (out_name, outs)
        _changes[0] += 1
        _take_from_namespace(out_name)
        return
    _waiting.pop(functional_name, None)
    _register(functional, out, outs)


def register_from_namespace(functional: OpOverload, out: OpOverload) -> None:
    """Take a pair that ``pair_namespace`` found. Raises as :func:`register_out_variant`."""
    process.warn_of_other_version()
    _register(functional, out, None, "namespace")


def _register(functional: OpOverload, out: OpOverload, outs: Sequence[str] | None, source: str = "registered") -> None:
    written = schemas.out_names(out._schema)
    found = schemas.mismatches(functional._schema, out._schema, ordered=outs is not None)
    if outs is not None and sorted(outs) != sorted(written):
        found.append(f"outs={tuple(outs)} are not the arguments that it writes to, {written}")
    if found:
        raise ValueError(
            f"{out} cannot be the out variant of {functional}: {'; '.join(found)}\n"
            f"  {functional._schema}\n  {out._schema}"
        )
    if source == "registered":
        _take_from_namespace(out.name())
    key = weakref.ref(functional, _forget)
    ops = (functional._schema.name, out._schema.name)
    _registered[key] = (weakref.ref(out), tuple(outs or written), source, ops)
    _changes[0] += 1
    marks.allow_direct_calls(out.name())


def _take_from_namespace(out_name: str) -> None:
    """An out variant that the user gives to one functional op is no longer what ``pair_namespace`` gave to another."""
    for key, (reference, _, source, _) in list(_registered.items()):
        out = reference()
        if source == "namespace" and out is not None and out.name() == out_name:
            del _registered[key]


def _forget(dead: weakref.ref[OpOverload]) -> None:
    _registered.pop(dead, None)
    _changes[0] += 1


def settle(name: str) -> None:
    """Register a pair that waited, if both its ops exist by now."""
    if name not in _waiting:
        return
    out_name, outs = _waiting[name]
    functional, out = names.find(name), names.find(out_name)
    if functional is None or out is None:
        return
    del _waiting[name]
    try:
        _register(functional, out, outs)
    except ValueError as error:
        # In the midst of a compile, long after the call that made the mistake.
        warn(process.settings(), f"a registered pair is ignored: {error}")


def settle_all_of(base: str) -> None:
    """Register the pairs that waited for overloads of an op: who is left in its family depends on them all."""
    for name in list(_waiting):
        if names.op_of(name) == base:
            settle(name)


def waiting(name: str | None = None) -> list[tuple[str, str]]:
    """The pairs, functional and out by name, that wait for an op: all, or that of the functional op called ``name``."""
    for functional in list(_waiting) if name is None else [name]:
        settle(functional)
    return [(functional, out) for functional, (out, _) in list(_waiting.items()) if name in (None, functional)]


def lookup_manual_out_variant(op: OpOverload) -> OpOverload | None:
    """The out variant registered by hand for ``op``, or None."""
    found = manual(op)
    return None if found is None else found[0]


def manual(op: OpOverload) -> tuple[OpOverload, tuple[str, ...], str] | None:
    """The out variant registered by hand for ``op``, the names of its out arguments and how it was paired."""
    settle(op.name())
    registered = _registered.get(weakref.ref(op))
    out = registered[0]() if registered is not None else None
    if registered is None or out is None or not (names.alive(op) and names.alive(out)):
        return None
    _, out_names, source, _ = registered
    return out, out_names, source


def by_name(functional: str) -> str | None:
    """The name of the out variant that a functional op of this name is or will be paired with by hand."""
    if functional in _waiting:
        return _waiting[functional][0]
    op = names.find(functional)
    found = None if op is None else manual(op)
    return None if found is None or found[2] != "registered" else found[0].name()


def changes() -> int:
    """A number that is another one once a pair was registered, or one has gone."""
    return _changes[0]


def state(op: OpOverload) -> tuple[object, ...]:
    """What the answers here for ``op``, and for who is left in its family, were made from."""
    native = native_manual(op)
    return _changes[0], None if native is None else weakref.ref(native), len(native_registry()), op.name() in _waiting


def functional_ops() -> Iterator[OpOverload]:
    """The functional halves of the pairs made by hand, here or in torch's own registry."""
    for name in list(_waiting):
        settle(name)
    for reference in list(_registered):
        op = reference()
        if op is not None and names.alive(op):
            yield op
    yield from filter(names.alive, list(native_registry()))


def paired_by_hand(ops: Collection[str]) -> Iterator[str]:
    """The names of the overloads of these ops, functional or out, that the user has paired, one by one."""
    yield from _paired("registered", ops)
    # Whose it is has been said, though the functional op is not there yet.
    yield from (out for out, _ in list(_waiting.values()))
    for functional, out in list(native_registry().items()):
        if names.alive(functional) and names.alive(out) and not schemas.mismatches(functional._schema, out._schema):
            yield functional.name()
            yield out.name()


def paired_by_namespace(ops: Collection[str]) -> Iterator[str]:
    """The names of the overloads of these ops, functional or out, that ``pair_namespace`` has paired."""
    return _paired("namespace", ops)


def _paired(wanted: str, ops: Collection[str]) -> Iterator[str]:
    for reference, (out_reference, _, source, (functional_op, out_op)) in list(_registered.items()):
        if source != wanted or not (functional_op in ops or out_op in ops):
            continue
        functional, out = reference(), out_reference()
        # What is left of a pair is free.
        if functional is None or out is None:
            continue
        if names.alive(functional) and names.alive(out):
            yield functional.name()
            yield out.name()


def native_manual(op: OpOverload) -> OpOverload | None:
    """The out variant that torch's own registry has for ``op``, or None."""
    return native_registry().get(op)


def native_registry() -> dict[OpOverload, OpOverload]:
    """The pairs in torch's own registry (2.12 on; symmetric memory uses it)."""
    module = getattr(torch._library, "_out_variant", None)
    return getattr(module, "_manual_out_variant_registry", {})
