"""Pairs of a functional op and its out variant: found by tag, or registered by hand.

``register_out_variant`` is for ops whose out variant carries no tag, has a flat name
(``op_out``) or belongs to another namespace. torch 2.12 has a registry of the same name
(#176117) that takes any two ops; ours refuses two that do not fit together.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compat_shim.out_variant import listing, marks, names
from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant.discovery import get_out_arg_names, tagged_overloads
from compat_shim.patching.log import logger

# torch is imported where it is used: importing it applies patches, and those import this module.
if TYPE_CHECKING:
    from torch._ops import OpOverload, OpOverloadPacket


@dataclasses.dataclass(frozen=True)
class Pair:
    """A functional op and the out variant that may be called in its place.

    Attributes:
        functional, out: the overloads.
        out_names: the names of the out arguments, in the order of the functional op's returns.
        source: ``"tag"``, or ``"registered"`` for a pair made by hand.
    """

    functional: OpOverload
    out: OpOverload
    out_names: tuple[str, ...]
    source: str

    def describe(self) -> str:
        """Both schemas in one line: equal for equal pairs, in every process."""
        return f"{self.functional._schema} => {self.out._schema} {self.out_names} [{self.source}]"

    def arguments_by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """What a call of the functional op passes: argument name → value."""
        return schemas.by_name(self.functional._schema.arguments, args, kwargs)


# functional → out and the names of its out arguments. The ops are held weakly: the packets of a
# library that goes away take their overloads along, and two of one packet hold each other by it.
_Registered = tuple["weakref.ref[OpOverload]", tuple[str, ...]]
_registered: dict[weakref.ref[OpOverload], _Registered] = {}

# Pairs whose ops no library has defined yet, by name: functional → out, out arguments.
_waiting: dict[str, tuple[str, Sequence[str] | None]] = {}


def register_out_variant(
    functional_op: OpOverload | str, out_op: OpOverload | str, *, outs: Sequence[str] | None = None
) -> None:
    """Say that ``out_op`` is the out variant of ``functional_op``.

    It is the caller's word that the kernel writes each output into the buffer that it is given
    and does nothing else. Names, tags and namespaces do not matter, nor where the out arguments
    stand in the signature. The pair goes away with the library that defined either op.

    Args:
        functional_op: the overload that user code calls, returning one or more Tensors, or its
            name (``"ns::op"``).
        out_op: the overload with the same inputs (names, types, defaults, in order) and one
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
    functional = names.find(functional_name) if isinstance(functional_op, str) else functional_op
    out = names.find(out_name) if isinstance(out_op, str) else out_op
    if functional is None or out is None:
        _waiting[functional_name] = (out_name, outs)
        return
    _waiting.pop(functional_name, None)
    _register(functional, out, outs)


def _register(functional: OpOverload, out: OpOverload, outs: Sequence[str] | None) -> None:
    written = get_out_arg_names(out)
    found = schemas.mismatches(functional._schema, out._schema)
    if outs is not None and sorted(outs) != sorted(written):
        found.append(f"outs={tuple(outs)} are not the arguments that it writes to, {tuple(written)}")
    if found:
        raise ValueError(
            f"{out} cannot be the out variant of {functional}: {'; '.join(found)}\n"
            f"  {functional._schema}\n  {out._schema}"
        )
    key = weakref.ref(functional, lambda dead: _registered.pop(dead, None))
    _registered[key] = (weakref.ref(out), tuple(outs or written))
    marks.allow_direct_calls(out.name())
    _found.pop(functional, None)


def _settle_waiting(name: str) -> None:
    """Register a pair that waited, if both its ops exist by now."""
    out_name, outs = _waiting[name]
    functional, out = names.find(name), names.find(out_name)
    if functional is None or out is None:
        return
    del _waiting[name]
    try:
        _register(functional, out, outs)
    except ValueError as error:
        # In the midst of a compile, long after the call that made the mistake.
        logger.warning("compat_shim: a registered pair is ignored: %s", error)


def lookup_manual_out_variant(op: OpOverload) -> OpOverload | None:
    """The out variant registered by hand for ``op``, or None."""
    found = _manual(op)
    return None if found is None else found[0]


def _manual(op: OpOverload) -> tuple[OpOverload, tuple[str, ...]] | None:
    if _waiting and op.name() in _waiting:
        _settle_waiting(op.name())
    registered = _registered.get(weakref.ref(op))
    out = registered[0]() if registered is not None else None
    if registered is None or out is None or not (_alive(op) and _alive(out)):
        return None
    return out, registered[1]


def _alive(op: OpOverload) -> bool:
    """Whether ``op`` is still what its name stands for, and not left over from a dead library."""
    import torch

    namespace, _, name = op._schema.name.partition("::")
    packet = vars(getattr(torch.ops, namespace)).get(name)
    return packet is not None and packet is op._overloadpacket


# functional → what the answer was found from, and the answer: the out variant, held weakly since
# it leads back to the key, with the rest of the pair.
_Answer = tuple["weakref.ref[OpOverload]", tuple[str, ...], str]
_found: weakref.WeakKeyDictionary[OpOverload, tuple[object, _Answer | None]] = weakref.WeakKeyDictionary()


def find_pair(op: OpOverload) -> Pair | None:
    """The pair that ``op`` is the functional half of, or None. Never raises for a bad overload.

    A pair registered by hand goes before one found by tag. The answer is kept until an overload
    is added to the op, a pair is registered for it, or the out variant's library goes away.
    """
    if _waiting and op.name() in _waiting:
        _settle_waiting(op.name())
    native = _native_manual(op)
    state = (
        tuple(op._overloadpacket.overloads()),
        _registered.get(weakref.ref(op)),
        None if native is None else weakref.ref(native),
        op.name() in _waiting,
        len(marks.marked_names()),
    )
    known = _found.get(op)
    if known is not None and known[0] == state:
        if known[1] is None:
            return None
        reference, out_names, source = known[1]
        out = reference()
        if out is not None and _alive(out):
            return Pair(op, out, out_names, source)
    pair = _find_pair(op)
    _found[op] = (state, None if pair is None else (weakref.ref(pair.out), pair.out_names, pair.source))
    return pair


def _find_pair(op: OpOverload) -> Pair | None:
    if not schemas.is_functional(op._schema):
        return None
    manual = _manual(op)
    if manual is not None:
        return Pair(op, *manual, "registered")
    native = _native_manual(op)
    # torch's registry takes any two ops, and keeps those of a dead library.
    if native is not None and _alive(native) and not schemas.mismatches(op._schema, native._schema):
        return Pair(op, native, tuple(get_out_arg_names(native)), "registered")
    for out in tagged_overloads(op):
        if not schemas.mismatches(op._schema, out._schema):
            return Pair(op, out, tuple(get_out_arg_names(out)), "tag")
    return None


def _native_manual(op: OpOverload) -> OpOverload | None:
    """The pair in torch's own registry (2.12 on; symmetric memory uses it)."""
    import torch

    module = getattr(torch._library, "_out_variant", None)
    return getattr(module, "_manual_out_variant_registry", {}).get(op)


def all_pairs() -> Iterator[Pair]:
    """Every pair that exists in this process now, of ops outside torch's own namespaces."""
    seen: set[str] = set()
    for op in _functional_ops():
        pair = find_pair(op)
        if pair is not None and pair.functional.name() not in seen:
            seen.add(pair.functional.name())
            yield pair


def _functional_ops() -> Iterator[OpOverload]:
    import torch

    for name in list(_waiting):
        _settle_waiting(name)
    for reference in list(_registered):
        op = reference()
        if op is not None and _alive(op):
            yield op
    module = getattr(torch._library, "_out_variant", None)
    yield from filter(_alive, list(getattr(module, "_manual_out_variant_registry", {})))
    for packet in tagged_packets():
        for overload_name in packet.overloads():
            yield getattr(packet, overload_name)


def tagged_packets() -> Iterator[OpOverloadPacket]:
    """The ops outside torch's own namespaces that have an overload tagged as an out variant."""
    import torch

    for qualified in sorted({name.partition(".")[0] for name in listing.tagged()}):
        namespace, _, base = qualified.partition("::")
        yield getattr(getattr(torch.ops, namespace), base)
