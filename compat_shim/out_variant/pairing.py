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

from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant.discovery import get_out_arg_names, tagged_overloads
from compat_shim.out_variant.tag import out_tags

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
        return f"{self.functional._schema} => {self.out._schema} [{self.source}]"

    def arguments_by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """What a call of the functional op passes: argument name → value."""
        names = (argument.name for argument in self.functional._schema.arguments)
        return {**dict(zip(names, args)), **kwargs}


BUILTIN = ("aten", "prim", "prims")  # torch's own ops, as torch._library.utils.is_builtin has it

# functional → out, both held weakly: the packets of a library that goes away take their
# overloads along, and two overloads of one packet hold each other through it.
_registered: dict[weakref.ref[OpOverload], weakref.ref[OpOverload]] = {}


def register_out_variant(functional_op: OpOverload, out_op: OpOverload) -> None:
    """Say that ``out_op`` is the out variant of ``functional_op``.

    It is the caller's word that the kernel writes each output into the buffer that it is given
    and does nothing else. Names, tags and namespaces do not matter, nor where the out arguments
    stand in the signature. The pair goes away with the library that defined either op.

    Args:
        functional_op: the overload that user code calls, returning one or more Tensors.
        out_op: the overload with the same inputs (names, types, defaults, in order) and one
            out argument (``Tensor(a!)`` or ``Tensor!``) for each return of ``functional_op``;
            returns nothing or its out arguments.

    Raises:
        TypeError: an argument is not an ``OpOverload``.
        ValueError: the two do not fit together; the message says in what.
    """
    from torch._ops import OpOverload

    for op in (functional_op, out_op):
        if not isinstance(op, OpOverload):
            raise TypeError(f"expected an OpOverload such as torch.ops.ns.op.default, found {op!r}")
    found = schemas.mismatches(functional_op._schema, out_op._schema)
    if found:
        raise ValueError(
            f"{out_op} cannot be the out variant of {functional_op}: {'; '.join(found)}\n"
            f"  {functional_op._schema}\n  {out_op._schema}"
        )
    key = weakref.ref(functional_op, lambda dead: _registered.pop(dead, None))
    _registered[key] = weakref.ref(out_op)
    _found.pop(functional_op, None)


def lookup_manual_out_variant(op: OpOverload) -> OpOverload | None:
    """The out variant registered by hand for ``op``, or None."""
    reference = _registered.get(weakref.ref(op))
    out = reference() if reference is not None else None
    return out if out is not None and _alive(op) and _alive(out) else None


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
    native = _native_manual(op)
    state = (
        tuple(op._overloadpacket.overloads()),
        _registered.get(weakref.ref(op)),
        None if native is None else weakref.ref(native),
    )
    known = _found.get(op)
    if known is not None and known[0] == state:
        if known[1] is None:
            return None
        reference, names, source = known[1]
        out = reference()
        if out is not None and _alive(out):
            return Pair(op, out, names, source)
    pair = _find_pair(op)
    _found[op] = (state, None if pair is None else (weakref.ref(pair.out), pair.out_names, pair.source))
    return pair


def _find_pair(op: OpOverload) -> Pair | None:
    if not schemas.is_functional(op._schema):
        return None
    for out in (lookup_manual_out_variant(op), _native_manual(op)):
        # torch's registry keeps the ops of a dead library.
        if out is not None and _alive(out) and not schemas.mismatches(op._schema, out._schema):
            return Pair(op, out, tuple(get_out_arg_names(out)), "registered")
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

    tags = out_tags()
    builtin = tuple(f"{namespace}::" for namespace in BUILTIN)
    seen: set[str] = set()
    for qualified in torch._C._dispatch_get_all_op_names():
        # Thousands of names at each compile: most are torch's own, and for the rest one C++ call
        # tells the tags. Asking torch.ops would build a packet for every op.
        if qualified.startswith(builtin):
            continue
        name, _, overload = qualified.partition(".")
        if name in seen or not _is_tagged(name, overload, tags):
            continue
        seen.add(name)
        namespace, _, base = name.partition("::")
        yield getattr(getattr(torch.ops, namespace), base)


def _is_tagged(name: str, overload: str, tags: tuple[object, ...]) -> bool:
    import torch

    found = torch._C._get_operation_overload(name, overload)
    return found is not None and any(tag in found[2] for tag in tags)
