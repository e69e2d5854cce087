"""Overloads that look like an out variant of an op, and why each is or is not taken.

For people: ``status`` and ``explain`` show it. The lowering itself asks ``pairing``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from compat_shim.out_variant import marks, pairing
from compat_shim.out_variant import schema as schemas

if TYPE_CHECKING:
    from torch._ops import OpOverload

UNTAGGED = "it carries neither torch.Tag.out nor torch.Tag.out_variant, and no register_out_variant names it"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An overload that could be meant as the out variant of an op.

    Attributes:
        op, schema: the overload's name and schema.
        taken: how it is paired with the functional op: ``"tag"``, ``"registered"``, or ``""``.
        reasons: why it is not taken; empty if it is.
    """

    op: str
    schema: str
    taken: str
    reasons: tuple[str, ...]


def candidates(op: OpOverload) -> list[Candidate]:
    """The overloads of ``op``'s packet, and of the flat names ``op_out``, that write to an argument.

    Args:
        op: a functional overload, for example ``torch.ops.ns.op.default``.
    """
    pair = pairing.find_pair(op)
    found = [] if pair is None else [Candidate(pair.out.name(), str(pair.out._schema), pair.source, ())]
    for other in _writing_overloads(op):
        if pair is not None and other == pair.out:
            continue
        reasons = schemas.mismatches(op._schema, other._schema)
        if not marks.is_tagged(other):
            reasons.insert(0, UNTAGGED)
        elif other._overloadpacket != op._overloadpacket:
            reasons.insert(0, "it is an op of another name, which register_out_variant pairs and a tag does not")
        if not reasons and pair is not None:
            reasons.append(f"{pair.out.name()} is taken ({pair.source})")
        found.append(Candidate(other.name(), str(other._schema), "", tuple(reasons)))
    return found


def not_taken() -> Iterator[tuple[str, Candidate]]:
    """Each tagged overload of this process that is in no pair, with the functional op it does not fit.

    Of ops outside torch's own namespaces. Without a functional op at all it is named alone.
    """
    taken = {pair.out.name() for pair in pairing.all_pairs()}
    for packet in pairing.tagged_packets():
        overloads = [getattr(packet, name) for name in packet.overloads()]
        loose = [overload for overload in overloads if marks.is_tagged(overload) and overload.name() not in taken]
        functional = [overload for overload in overloads if schemas.is_functional(overload._schema)]
        for overload in loose:
            for op in functional:
                reasons = tuple(schemas.mismatches(op._schema, overload._schema))
                pair = pairing.find_pair(op)
                if not reasons and pair is not None:
                    reasons = (f"{pair.out.name()} is taken ({pair.source})",)
                yield op.name(), Candidate(overload.name(), str(overload._schema), "", reasons)
            if not functional:
                yield "", Candidate(overload.name(), str(overload._schema), "", ("its op has no functional overload",))


def _writing_overloads(op: OpOverload) -> Iterator[OpOverload]:
    import torch

    namespace, _, name = op._schema.name.partition("::")
    for flat in (name, f"{name}_out"):
        packet = getattr(getattr(torch.ops, namespace), flat, None)
        for overload_name in packet.overloads() if packet is not None else ():
            overload = getattr(packet, overload_name)
            if schemas.out_arguments(overload._schema):
                yield overload
