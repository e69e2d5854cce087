"""Which out variant belongs to an overload: the one answer, by tag or by the user's word.

``register_out_variant`` is for ops whose out variant carries no tag, has a flat name
(``op_out``) or belongs to another namespace. torch 2.12 has a registry of the same name
(#176117) that takes any two ops; ours refuses two that do not fit together.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compat_shim.out_variant import families, listing, marks, names
from compat_shim.out_variant import schema as schemas
from compat_shim.patching.log import logger

# torch is imported where it is used: importing it applies patches, and those import this module.
if TYPE_CHECKING:
    from torch._ops import OpOverload


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
            if mine.name not in given and mine.default_value != theirs.default_value:
                given[mine.name] = show(mine.default_value)
        return given


# functional → out, the names of its out arguments and the source. The ops are held weakly: the packets of
# a library that goes away take their overloads along, and two of one packet hold each other by it.
_Registered = tuple["weakref.ref[OpOverload]", tuple[str, ...], str]
_registered: dict[weakref.ref[OpOverload], _Registered] = {}
_changes = 0  # of the table above: an out variant that is taken by hand is missing from its family

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
    functional = names.find(functional_name) if isinstance(functional_op, str) else functional_op
    out = names.find(out_name) if isinstance(out_op, str) else out_op
    if functional is None or out is None:
        _waiting[functional_name] = (out_name, outs)
        return
    _waiting.pop(functional_name, None)
    _register(functional, out, outs)


def register_from_namespace(functional: OpOverload, out: OpOverload) -> None:
    """Take a pair that ``pair_namespace`` found. Raises as :func:`register_out_variant`."""
    _register(functional, out, None, "namespace")


def _register(functional: OpOverload, out: OpOverload, outs: Sequence[str] | None, source: str = "registered") -> None:
    global _changes
    written = schemas.out_names(out._schema)
    found = schemas.mismatches(functional._schema, out._schema)
    if outs is not None and sorted(outs) != sorted(written):
        found.append(f"outs={tuple(outs)} are not the arguments that it writes to, {written}")
    if found:
        raise ValueError(
            f"{out} cannot be the out variant of {functional}: {'; '.join(found)}\n"
            f"  {functional._schema}\n  {out._schema}"
        )
    key = weakref.ref(functional, _forget)
    _registered[key] = (weakref.ref(out), tuple(outs or written), source)
    _changes += 1
    marks.allow_direct_calls(out.name())


def _forget(dead: weakref.ref[OpOverload]) -> None:
    global _changes
    _registered.pop(dead, None)
    _changes += 1


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


def _manual(op: OpOverload) -> tuple[OpOverload, tuple[str, ...], str] | None:
    if _waiting and op.name() in _waiting:
        _settle_waiting(op.name())
    registered = _registered.get(weakref.ref(op))
    out = registered[0]() if registered is not None else None
    if registered is None or out is None or not (_alive(op) and _alive(out)):
        return None
    return out, *registered[1:]


def _alive(op: OpOverload) -> bool:
    """Whether ``op`` is still what its name stands for, and not left over from a dead library."""
    import torch

    namespace, _, name = op._schema.name.partition("::")
    packet = vars(getattr(torch.ops, namespace)).get(name)
    # A library that is collected, or was made by C++, takes its ops from the dispatcher, but no packet along.
    return packet is not None and packet is op._overloadpacket and names.exists(op.name())


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
        _state_of(op._schema.name),
        _changes,
        None if native is None else weakref.ref(native),
        len(_native_registry()),
        op.name() in _waiting,
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


def _state_of(base: str) -> tuple[tuple[str, bool], ...]:
    """The overloads of an op and which of those that write are tagged: what its family is made of."""
    return tuple(
        (schema.overload_name, schema.is_mutable and marks.is_tagged_name(names.of_schema(schema)))
        for schema in names.schemas_of(base)
    )


def _find_pair(op: OpOverload) -> Pair | None:
    if not schemas.is_functional(op._schema):
        return None
    manual = _manual(op)
    if manual is not None:
        return Pair(op, *manual)
    native = _native_manual(op)
    # torch's registry takes any two ops, and keeps those of a dead library.
    if native is not None and _alive(native) and not schemas.mismatches(op._schema, native._schema):
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

    def why_open(self, functional: str, out: str) -> str:
        """Why two that fit by their schemas are no pair; empty if they do not fit or are one."""
        mine = [names.of_schema(schema) for schema in self.functionals].index(functional)
        others = [names.of_schema(schema) for schema in self.outs]
        if out not in others or (mine, others.index(out)) not in self.decision.edges:
            return ""
        if self.out_of(functional) == out:
            return ""
        outs, functionals = self.decision.rivals(mine, others.index(out))
        fit = [others[place] for place in outs]
        fit += [names.of_schema(self.functionals[place]) for place in functionals]
        return f"{', '.join(fit)} fit too, and the names do not say that these two belong together"


def family_of(base: str, outs: Sequence[Any] | None = None, taken: Iterable[str] = ()) -> Family:
    """Decide which of an op's overloads belong together, without those that the user has paired.

    Args:
        base: the op, ``ns::op``.
        outs: the schemas of the overloads that may be out variants; by default the op's tagged ones.
        taken: names of overloads, functional or out, that are not to be paired.
    """
    every = names.schemas_of(base)
    if outs is None:
        outs = [schema for schema in every if schema.is_mutable and marks.is_tagged_name(names.of_schema(schema))]
    by_hand = {*taken, *_paired_by_hand()}
    functionals = [schema for schema in every if schemas.is_functional(schema)]
    left = [schema for schema in outs if names.of_schema(schema) not in by_hand]
    places = {place for place, schema in enumerate(functionals) if names.of_schema(schema) in by_hand}
    return Family(tuple(functionals), tuple(left), families.decide(functionals, left, places))


def _paired_by_hand() -> Iterator[str]:
    for reference, (out_reference, *_) in list(_registered.items()):
        for op in (reference(), out_reference()):
            if op is not None and _alive(op):
                yield op.name()
    for functional, out in list(_native_registry().items()):
        if _alive(functional) and _alive(out) and not schemas.mismatches(functional._schema, out._schema):
            yield functional.name()
            yield out.name()


def _native_manual(op: OpOverload) -> OpOverload | None:
    return _native_registry().get(op)


def _native_registry() -> dict[OpOverload, OpOverload]:
    """The pairs in torch's own registry (2.12 on; symmetric memory uses it)."""
    import torch

    module = getattr(torch._library, "_out_variant", None)
    return getattr(module, "_manual_out_variant_registry", {})


def all_pairs() -> Iterator[Pair]:
    """Every pair that exists in this process now, of ops outside torch's own namespaces."""
    seen: set[str] = set()
    for op in _functional_ops():
        pair = find_pair(op)
        if pair is not None and pair.functional.name() not in seen:
            seen.add(pair.functional.name())
            yield pair


def _functional_ops() -> Iterator[OpOverload]:
    for name in list(_waiting):
        _settle_waiting(name)
    for reference in list(_registered):
        op = reference()
        if op is not None and _alive(op):
            yield op
    yield from filter(_alive, list(_native_registry()))
    for base in tagged_ops():
        for schema in names.schemas_of(base):
            op = names.find(names.of_schema(schema))
            if op is not None:
                yield op


def tagged_ops() -> list[str]:
    """The ops (``ns::op``) outside torch's own namespaces that have an overload tagged as an out variant."""
    return sorted({name.partition(".")[0] for name in listing.tagged()})
