"""Overloads that look like an out variant of an op, and why each is or is not taken.

For people: ``status`` and ``explain`` show it. The lowering itself asks ``pairing``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from compat_shim.out_variant import kernels, marks, names, pairing
from compat_shim.out_variant import schema as schemas

if TYPE_CHECKING:
    from torch._ops import OpOverload

REMEDY = "compat_shim.register_out_variant({!r}, {!r}) pairs them"
UNREACHABLE = "torch.ops has an attribute of its own with the overload's name, so Python code cannot call it"
UNTAGGED = "it carries neither torch.Tag.out nor torch.Tag.out_variant, and no register_out_variant names it"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An overload that could be meant as the out variant of an op.

    Attributes:
        op, schema: the overload's name and schema.
        taken: how it is paired with the functional op: ``"tag"``, ``"namespace"``, ``"registered"``, or ``""``.
        reasons: why it is not taken, or on which devices it is taken and yet not called.
    """

    op: str
    schema: str
    taken: str
    reasons: tuple[str, ...]


def candidates(op: OpOverload) -> list[Candidate]:
    """The overloads of ``op``'s packet, and of the flat name ``op_out``, that write to an argument.

    Args:
        op: a functional overload, for example ``torch.ops.ns.op.default``.
    """
    pair = pairing.find_pair(op)
    found = []
    if pair is not None:
        found.append(Candidate(pair.out.name(), str(pair.out._schema), pair.source, limits(pair)))
    base = op._schema.name
    for schema in (*writing(base), *writing(f"{base}_out")):
        name = names.of_schema(schema)
        if pair is None or name != pair.out.name():
            found.append(Candidate(name, str(schema), "", tuple(_why_not(op, pair, schema))))
    return found


def limits(pair: pairing.Pair) -> tuple[str, ...]:
    """On which devices calls of the pair are not lowered for want of a fitting kernel, and what to do."""
    return tuple(kernels.limits(pair.functional.name(), pair.out.name(), pair.source))


def not_taken() -> Iterator[tuple[str, Candidate]]:
    """Each tagged overload of this process that is in no pair, with the functional op it does not fit.

    Of ops outside torch's own namespaces. Without a functional op at all it is named alone.
    """
    taken = {pair.out.name() for pair in pairing.all_pairs()}
    for base in pairing.tagged_ops():
        every = names.schemas_of(base)
        functional = [schema for schema in every if schemas.is_functional(schema)]
        for schema in every:
            name = names.of_schema(schema)
            if name in taken or not marks.is_tagged_name(name):
                continue
            for mine in functional:
                op = names.find(names.of_schema(mine))
                reasons = [UNREACHABLE] if op is None else _why_not(op, pairing.find_pair(op), schema)
                yield names.of_schema(mine), Candidate(name, str(schema), "", tuple(reasons))
            if not functional:
                yield "", Candidate(name, str(schema), "", ("its op has no functional overload",))


def writing(base: str) -> list[Any]:
    """The schemas of the overloads of ``ns::op`` that write to an argument, or are named as if they did."""
    return [schema for schema in names.schemas_of(base) if schemas.out_arguments(schema) or _is_named_out(schema)]


def _is_named_out(schema: Any) -> bool:
    last = schema.overload_name or schema.name
    return bool(last == "out" or last.endswith("_out"))


def refusals(functional: Any, families: Iterable[pairing.Family]) -> Iterator[tuple[str, list[str]]]:
    """Each overload that could be meant as the out variant of a functional one that has none, and why it is not."""
    mine = names.of_schema(functional)
    for family in families:
        for out in family.outs:
            theirs = names.of_schema(out)
            if theirs == mine:
                continue
            reasons = schemas.mismatches(functional, out)
            if not reasons:
                reasons = _open(family, mine, theirs)
            yield theirs, reasons


def _open(family: pairing.Family, functional: str, out: str) -> list[str]:
    """Why two overloads that fit by their schemas are no pair, and what pairs them."""
    why = family.why_open(functional, out)
    if names.find(out) is None:
        return [UNREACHABLE]
    return [why or "another overload goes before it", REMEDY.format(functional, out)]


def _why_not(op: OpOverload, pair: pairing.Pair | None, schema: Any) -> list[str]:
    """Why an overload is not the out variant of ``op``; the last of the reasons says what to do."""
    name, reasons = names.of_schema(schema), schemas.mismatches(op._schema, schema)
    if not marks.is_tagged_name(name):
        reasons.insert(0, UNTAGGED)
    elif schema.name != op._schema.name:
        reasons.insert(0, "it is an op of another name, which register_out_variant pairs and a tag does not")
    if reasons:
        return reasons
    if pair is not None:
        return [f"{pair.out.name()} is taken ({pair.source})"]
    return _open(pairing.family_of(op._schema.name), op.name(), name)
