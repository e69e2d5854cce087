"""Which out variant belongs to an overload: the one answer, by tag or by the user's word."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from torch._ops import OpOverload

from compat_shim.out_variant import families, listing, marks, names, registry
from compat_shim.out_variant import schema as schemas


@dataclasses.dataclass(frozen=True)
class Pair:
    """A functional op and the out variant that may be called in its place.

    Attributes:
        functional, out: the overloads.
        out_names: the names of the out arguments, in the order of the functional op's returns.
        source: ``"tag"``, ``"namespace"`` for one that ``pair_namespace`` found, or ``"registered"`` for one
            made by hand.
    """

    functional: OpOverload
    out: OpOverload
    out_names: tuple[str, ...]
    source: str

    def describe(self) -> str:
        """Both schemas in one line: equal for equal pairs, in every process."""
        return f"{self.functional._schema} => {self.out._schema} {self.out_names} [{self.source}]"

    def arguments_by_name(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], show: Callable[[Any], Any] = lambda value: value
    ) -> dict[str, Any]:
        """What a call of the functional op passes: argument name → value.

        What the call leaves out is in it where the out variant has another default, or none.

        Args:
            show: how a default is given, for example as source.
        """
        functional = self.functional._schema
        given = schemas.by_name(functional.arguments, args, kwargs)
        for mine, theirs in zip(schemas.inputs(functional), schemas.inputs(self.out._schema)):
            # By what it is, not by what it equals: 1 and 1.0 give other dtypes, 0.0 and -0.0 other signs. And the
            # default_value of an argument without a default is None, too.
            same = theirs.has_default_value() and repr(mine.default_value) == repr(theirs.default_value)
            if mine.name not in given and not same:
                given[mine.name] = show(mine.default_value)
        return given


# functional → what the answer was found from, and the answer: the out variant, held weakly since
# it leads back to the key, with the rest of the pair.
_Answer = tuple["weakref.ref[OpOverload]", tuple[str, ...], str]
_found: weakref.WeakKeyDictionary[OpOverload, tuple[object, _Answer | None]] = weakref.WeakKeyDictionary()


def find_pair(op: OpOverload) -> Pair | None:
    """The pair that ``op`` is the functional half of, or None. Never raises for a bad overload.

    A pair registered by hand goes before one found by tag. The answer is kept until an overload
    is added to the op, a pair is registered for it, or the out variant's library goes away.
    """
    current = names.find(op.name())
    # torch.ops drops an op with any library that defined an overload of it, while a trace still meets the old object.
    if current is not None and current._schema == op._schema:
        op = current
    registry.settle_all_of(op._schema.name)
    state = (_state_of(op._schema.name), registry.state(op))
    known = _found.get(op)
    if known is not None and known[0] == state:
        if known[1] is None:
            return None
        reference, out_names, source = known[1]
        out = reference()
        if out is not None and names.alive(out):
            return Pair(op, out, out_names, source)
    pair = _find_pair(op)
    _found[op] = (state, None if pair is None else (weakref.ref(pair.out), pair.out_names, pair.source))
    return pair


def find_pair_by_name(name: str) -> Pair | None:
    """The pair that the overload of this name is the functional half of; None also where there is no such overload."""
    op = names.find(name)
    return None if op is None else find_pair(op)


def _state_of(base: str) -> tuple[tuple[str, bool], ...]:
    """The overloads of an op and which of those that write are tagged: what its family is made of."""
    return tuple(
        (schema.overload_name, schema.is_mutable and marks.is_tagged_name(names.of_schema(schema)))
        for schema in names.schemas_of(base)
    )


def _find_pair(op: OpOverload) -> Pair | None:
    if not schemas.is_functional(op._schema):
        return None
    manual = registry.manual(op)
    if manual is not None:
        return Pair(op, *manual)
    native = registry.native_manual(op)
    # torch's registry takes any two ops, and keeps those of a dead library.
    if native is not None and names.alive(native) and not schemas.mismatches(op._schema, native._schema):
        return _pair(op, native, "registered")
    out_name = family_of(op._schema.name).out_of(op.name())
    out = None if out_name is None else names.find(out_name)
    return None if out is None else _pair(op, out, "tag")


def _pair(op: OpOverload, out: OpOverload, source: str) -> Pair:
    return Pair(op, out, schemas.out_names(out._schema), source)


@dataclasses.dataclass(frozen=True)
class Family:
    """The functional overloads of an op, the overloads that may be their out variants, and the decision.

    Attributes:
        functionals, outs: their schemas.
        decision: who belongs to whom, by their places in these lists.
    """

    functionals: tuple[Any, ...]
    outs: tuple[Any, ...]
    decision: families.Decision

    def out_of(self, functional: str) -> str | None:
        """The name of the out variant of the functional overload of this name."""
        found = {
            names.of_schema(self.functionals[mine]): names.of_schema(self.outs[theirs])
            for mine, theirs in self.decision.pairs.items()
        }
        return found.get(functional)

    def without(self, overloads: Set[str]) -> Family:
        """The same decision, but none of these overloads is in a pair."""
        pairs = {
            mine: theirs
            for mine, theirs in self.decision.pairs.items()
            if overloads.isdisjoint((names.of_schema(self.functionals[mine]), names.of_schema(self.outs[theirs])))
        }
        return dataclasses.replace(self, decision=dataclasses.replace(self.decision, pairs=pairs))

    def why_open(self, functional: str, out: str) -> str:
        """Why two that fit by their schemas are no pair; empty if they do not fit or are one."""
        mine = [names.of_schema(schema) for schema in self.functionals].index(functional)
        others = [names.of_schema(schema) for schema in self.outs]
        if out not in others or (mine, others.index(out)) not in self.decision.edges:
            return ""
        if self.out_of(functional) == out:
            return ""
        owner = self.decision.owners.get((mine, others.index(out)))
        if owner is not None:
            return f"by its name it is that of {names.of_schema(self.functionals[owner])}"
        outs, functionals = self.decision.rivals(mine, others.index(out))
        fit = [others[place] for place in outs]
        fit += [names.of_schema(self.functionals[place]) for place in functionals]
        # Where all of these are in pairs that somebody made, nothing stands between the two any more.
        return f"{', '.join(fit)} fit too, and the names do not say that these two belong together" if fit else ""


def family_of(
    base: str,
    outs: Sequence[Any] | None = None,
    taken: Iterable[str] = (),
    mismatches: Callable[[Any, Any], list[str]] = schemas.mismatches,
) -> Family:
    """Decide which of an op's overloads belong together, without those that the user has paired.

    Args:
        base: the op, ``ns::op``.
        outs: the schemas of the overloads that may be out variants; by default the op's tagged ones.
        taken: names of functional overloads that are not to be paired.
        mismatches: why two schemas do not fit; by default what keeps a call from being lowered.
    """
    registry.settle_all_of(base)
    every = names.schemas_of(base)
    if outs is None:
        outs = [schema for schema in every if schema.is_mutable and marks.is_tagged_name(names.of_schema(schema))]
    ops = {base, *(schema.name for schema in outs)}
    by_hand = {*taken, *registry.paired_by_hand(ops)}
    functionals = [schema for schema in every if schemas.is_functional(schema)]
    left = [schema for schema in outs if names.of_schema(schema) not in by_hand]
    places = {place for place, schema in enumerate(functionals) if names.of_schema(schema) in by_hand}
    family = Family(tuple(functionals), tuple(left), families.decide(functionals, left, places, mismatches))
    # Decided as a whole: that pair_namespace has paired two does not make the rest fit each other.
    return family.without(set(registry.paired_by_namespace(ops)))


def all_pairs() -> Iterator[Pair]:
    """Every pair that exists in this process now, of ops outside torch's own namespaces."""
    seen: set[str] = set()
    for op in _functional_ops():
        pair = find_pair(op)
        if pair is not None and pair.functional.name() not in seen:
            seen.add(pair.functional.name())
            yield pair


def _functional_ops() -> Iterator[OpOverload]:
    yield from registry.functional_ops()
    for base in tagged_ops():
        for schema in names.schemas_of(base):
            op = names.find(names.of_schema(schema))
            if op is not None:
                yield op


def tagged_ops() -> list[str]:
    """The ops (``ns::op``) outside torch's own namespaces that have an overload tagged as an out variant."""
    return sorted({names.op_of(name) for name in listing.tagged()})
