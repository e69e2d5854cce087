"""Overloads that look like an out variant of an op, and why each is or is not taken.

For people: ``status`` and ``explain`` show it. The lowering itself asks ``pairing``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from torch._ops import OpOverload

from compat_shim.out_variant import kernels, marks, names, pairing
from compat_shim.out_variant import schema as schemas

REMEDY = "compat_shim.register_out_variant({!r}, {!r}) pairs them"
UNREACHABLE = (
    "torch.ops has an attribute of its own with the overload's name, so Python code cannot call it; give it another"
)
OTHER_NAME = "it is an op of another name, which register_out_variant pairs and a tag does not"
AGREE = "let the two schemas agree: the same inputs by name, type and order, and one Tensor(a!) out a Tensor returned"
NONE = "no overload of {0} and none of {0}_out writes to an argument"
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


def candidates(op: OpOverload, *others: OpOverload) -> list[Candidate]:
    """The overloads of ``op``'s packet, and of the flat name ``op_out``, that write to an argument.

    Args:
        op: a functional overload, for example ``torch.ops.ns.op.default``.
        others: overloads that could be meant, too.
    """
    pair = pairing.find_pair(op)
    found = []
    if pair is not None:
        found.append(Candidate(pair.out.name(), str(pair.out._schema), pair.source, limits(pair)))
    base = op._schema.name
    for schema in (*names.writing(base), *names.writing(f"{base}_out"), *(other._schema for other in others)):
        name = names.of_schema(schema)
        if name not in [candidate.op for candidate in found]:
            found.append(Candidate(name, str(schema), "", tuple(_why_not(op, schema))))
    return found


def described(name: str, found: Iterable[Candidate]) -> list[str]:
    """The candidates of the op of this name (``ns::op``) and why each is or is not taken, in lines."""
    lines = []
    for candidate in found:
        verdict = f"taken ({candidate.taken})" if candidate.taken else "not taken"
        lines += [f"  {verdict}: {candidate.schema}", *(f"      {reason}" for reason in candidate.reasons)]
    return lines or [f"  no candidate: {NONE.format(names.op_of(name))}"]


def limits(pair: pairing.Pair) -> tuple[str, ...]:
    """On which devices calls of the pair are not lowered for want of a fitting kernel, and what to do."""
    return tuple(kernels.limits(pair.functional.name(), pair.out.name(), pair.source))


def not_taken() -> Iterator[tuple[str, Candidate]]:
    """Each tagged overload of this process that is in no pair, with the functional op it does not fit.

    Of ops outside torch's own namespaces. An op for direct calls, which no functional op belongs to, is none of them.
    """
    taken = {pair.out.name() for pair in pairing.all_pairs()}
    for base in pairing.tagged_ops():
        if names.split(base)[0] in marks.TORCH_NAMESPACES:
            continue  # some of them are asynchronous, and torch lowers the others itself
        every = names.schemas_of(base)
        functional = [schema for schema in every if schemas.is_functional(schema)]
        for schema in every:
            name = names.of_schema(schema)
            if name in taken or not marks.is_tagged_name(name):
                continue
            for mine in functional:
                yield names.of_schema(mine), Candidate(name, str(schema), "", tuple(why_not(mine, schema)))
            if not functional:
                yield from _of_flat_name(base, schema)


def _of_flat_name(base: str, out: Any) -> Iterator[tuple[str, Candidate]]:
    """The functional overloads of ``ns::op`` that a tagged overload of ``ns::op_out`` fits."""
    for mine in names.schemas_of(base.removesuffix("_out")) if base.endswith("_out") else ():
        if not schemas.mismatches(mine, out):
            reasons = (OTHER_NAME, *why_not(mine, out))
            yield names.of_schema(mine), Candidate(names.of_schema(out), str(out), "", reasons)


def refusals(functional: Any, families: Iterable[pairing.Family]) -> Iterator[tuple[str, list[str]]]:
    """Each overload that could be meant as the out variant of a functional one that has none, and why it is not."""
    for family in families:
        for out in family.outs:
            if names.of_schema(out) != names.of_schema(functional):
                yield names.of_schema(out), why_not(functional, out)


def why_not(functional: Any, out: Any) -> list[str]:
    """Why an overload is not the out variant of a functional one, by their schemas; the last reason says what to do.

    ``status``, ``explain`` and ``pair_namespace`` all say this.
    """
    mine, theirs = names.of_schema(functional), names.of_schema(out)
    reasons = schemas.mismatches(functional, out)
    if reasons:
        return [*reasons, AGREE]
    op = names.find(mine)
    if op is None or names.find(theirs) is None:
        return [UNREACHABLE]
    pair = pairing.find_pair(op)
    why = f"{pair.out.name()} is taken ({pair.source})" if pair is not None else _why_open(functional, out)
    return [*filter(None, [why]), REMEDY.format(mine, theirs)]


def _why_open(functional: Any, out: Any) -> str:
    """Why two overloads that fit by their schemas are no pair; empty if only a tag or the user's word is missing."""
    mine, theirs = names.of_schema(functional), names.of_schema(out)
    for schema in names.schemas_of(functional.name):
        pair = pairing.find_pair_by_name(names.of_schema(schema)) if schemas.is_functional(schema) else None
        if pair is not None and pair.out.name() == theirs:
            return f"it is the out variant of {pair.functional.name()} ({pair.source})"
    by_tag = out.name == functional.name and marks.is_tagged_name(theirs)
    family = pairing.family_of(functional.name, None if by_tag else names.writing(out.name))
    why = family.why_open(mine, theirs)
    if not why and out.name != functional.name:
        packet = pairing.family_of(functional.name, names.writing(functional.name))
        if any(names.of_schema(packet.functionals[edge]) == mine for edge, _ in packet.decision.edges):
            return f"overloads of {functional.name} itself fit, and go before a flat name"
    return why


def _why_not(op: OpOverload, schema: Any) -> list[str]:
    """:func:`why_not`, and before it what concerns tags alone."""
    name, reasons = names.of_schema(schema), why_not(op._schema, schema)
    if not marks.is_tagged_name(name):
        return [UNTAGGED, *reasons]
    return [OTHER_NAME, *reasons] if schema.name != op._schema.name else reasons
