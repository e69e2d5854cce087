"""Which out variant belongs to which functional overload, decided for a whole family at once.

A family is the functional overloads of one op and the overloads that may be their out variants. The
decision is a pure function of schemas: it calls no op and asks no dispatcher.

1. An edge joins a functional overload and an out overload that can be called in its place: the same names,
   types and order of the inputs, one out argument a return. Defaults do not count.
2. An edge that is alone at both ends is a pair, whatever the names. But ``X_out`` that fits an ``X`` which the
   user has paired with another is nobody's.
3. Of an overload with several edges, those with equal defaults, where that leaves one at both ends.
4. Then the names decide, by torch's conventions and without case: ``X`` and ``X_out``, the default overload
   and ``out``; for outs that nobody claims so, ``X`` and ``out`` in an op without a default overload, and
   ``dim_X`` and ``X_out``. A pair needs exactly one claimant at both ends.
5. What is left stays unpaired: that another pair is taken does not make it right.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from compat_shim.out_variant import schema as schemas

Edge = tuple[int, int]  # the places of a functional and an out overload in their lists


@dataclasses.dataclass(frozen=True)
class Decision:
    """What was decided of a family, by the places of the overloads in the lists that were given.

    Attributes:
        pairs: functional → out.
        edges: every functional and out overload that fit by their schemas.
        owners: the edges whose out is named for another functional overload that it fits too and that has its
            pair already → that one.
    """

    pairs: dict[int, int]
    edges: tuple[Edge, ...]
    owners: dict[Edge, int]

    def rivals(self, functional: int, out: int) -> tuple[list[int], list[int]]:
        """Other outs that fit the functional overload, and other functional overloads that fit the out."""
        return (
            [other for mine, other in self.edges if mine == functional and other != out],
            [other for other, theirs in self.edges if theirs == out and other != functional],
        )


def decide(
    functionals: Sequence[Any],
    outs: Sequence[Any],
    taken: Collection[int] = (),
    mismatches: Callable[[Any, Any], list[str]] = schemas.mismatches,
) -> Decision:
    """Pair the functional overloads of an op with their out variants.

    Args:
        functionals: the schemas of all functional overloads of the op.
        outs: the schemas of the overloads that are out variants, by tag or by the user's word, without those
            that the user has paired by hand.
        taken: the places of the functional overloads that have a pair already.
        mismatches: why two schemas have no edge; empty if they have one.
    """
    edges = [
        (mine, theirs)
        for mine, functional in enumerate(functionals)
        for theirs, out in enumerate(outs)
        if mine not in taken and not mismatches(functional, out)
    ]
    left = [
        (mine, theirs) for mine in taken for theirs, out in enumerate(outs) if not mismatches(functionals[mine], out)
    ]
    owners = _owners(edges, left, functionals, outs)
    may_be = [edge for edge in edges if edge not in owners]
    pairs = dict(_alone(may_be))
    open_edges = _without(may_be, pairs)
    equal = [
        (mine, theirs) for mine, theirs in open_edges if not schemas.default_mismatches(functionals[mine], outs[theirs])
    ]
    pairs.update(_alone(equal))
    open_edges = _without(open_edges, pairs)
    for functional, out in _by_names(open_edges, functionals, outs):
        pairs[functional] = out
    return Decision(pairs, tuple(edges), owners)


def _alone(edges: Collection[Edge]) -> list[Edge]:
    """The edges that share neither end with another."""
    left = collections.Counter(mine for mine, _ in edges)
    right = collections.Counter(theirs for _, theirs in edges)
    return [(mine, theirs) for mine, theirs in edges if left[mine] == 1 and right[theirs] == 1]


def _without(edges: Iterable[Edge], pairs: dict[int, int]) -> list[Edge]:
    """The edges of which neither end is in a pair."""
    taken = set(pairs.values())
    return [(mine, theirs) for mine, theirs in edges if mine not in pairs and theirs not in taken]


def _owners(
    edges: Collection[Edge], left: Collection[Edge], functionals: Sequence[Any], outs: Sequence[Any]
) -> dict[Edge, int]:
    """The edges whose out is named for a functional overload that has left with a pair by hand: edge → that one.

    Args:
        left: the edges of those that have left.
    """

    def is_named(edge: Edge) -> bool:
        name = functionals[edge[0]].overload_name.lower()
        return bool(name) and _out_name(outs[edge[1]]) == f"{name}_out"

    owned = {theirs: mine for mine, theirs in filter(is_named, left)}
    for _, theirs in filter(is_named, edges):
        owned.pop(theirs, None)
    return {edge: owned[edge[1]] for edge in edges if edge[1] in owned}


def _by_names(edges: Sequence[Edge], functionals: Sequence[Any], outs: Sequence[Any]) -> list[Edge]:
    names = [functional.overload_name.lower() for functional in functionals]
    has_default = "" in names
    out_names = [_out_name(out) for out in outs]

    def claims(says: Callable[[str, str], bool], among: Iterable[Edge]) -> list[Edge]:
        return [(mine, theirs) for mine, theirs in among if says(names[mine], out_names[theirs])]

    first = claims(lambda name, out: out == (f"{name}_out" if name else "out"), edges)
    claimed = {theirs for _, theirs in first}
    unclaimed = [(mine, theirs) for mine, theirs in edges if theirs not in claimed]
    second = claims(
        lambda name, out: (
            (out == "out" and not has_default) or (name[:4] == "dim_" and out == f"{name.removeprefix('dim_')}_out")
        ),
        unclaimed,
    )
    settled = {mine for mine, _ in first}
    return _alone([*first, *((mine, theirs) for mine, theirs in second if mine not in settled)])


def _out_name(out: Any) -> str:
    """The overload's name as if it stood in the functional op's packet: ``op_out.X`` reads ``X_out``."""
    name = str(out.overload_name).lower()
    base = out.name.lower()
    # An out variant of a flat name tells by the op's name that it is one.
    if base.endswith("_out") and not name.endswith("out"):
        return f"{name}_out" if name else "out"
    return name
