"""``to_out_variant`` and its family: from a functional op to its out variant, by tag and schema.

Mirrors ``torch._library._out_variant`` (#174473, native since torch 2.11; ``get_out_arg_names``
since 2.12, #176117), with either tag accepted on every release.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch._ops import OpOverload

from compat_shim import process
from compat_shim.out_variant import lookalikes, marks, names, pairing, registry
from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant.tag import out_tags


def to_out_variant(op: OpOverload) -> OpOverload | None:
    """The overload of ``op``'s packet that is tagged as an out variant and matches its schema.

    Args:
        op: a functional overload, for example ``torch.ops.ns.op.default``.

    Returns:
        The out overload, or None if no tagged overload has the same inputs (names, types,
        defaults, in order) and as many out arguments as ``op`` has returns, or if that of another
        functional overload of the packet is meant (:mod:`compat_shim.out_variant.families`).

    Raises:
        RuntimeError: ``op`` is not functional, or a tagged overload that matches returns something
            other than nothing or its out arguments.
    """
    # The messages here and below begin with torch's own, word for word: code may look for them.
    if not schemas.is_functional(op._schema):
        raise RuntimeError(
            f"Failed to find out variant for op '{op}' as its schema is not functional. \n"
            f"  {op._schema}\nIt writes to an argument, or its name ends in '_'."
        )
    name = pairing.family_of(op._schema.name).out_of(op.name())
    found = None if name is None else names.find(name)
    # A default decides for torch, and not for the lowering, which passes what the call means.
    if found is not None and not schemas.default_mismatches(op._schema, found._schema):
        return found
    for candidate in tagged_overloads(op):
        # Of what tag_out() marked before it existed, nobody knew what it returns.
        if (
            any(tag in candidate.tags for tag in out_tags())
            and not _input_mismatches(op._schema, candidate._schema)
            and not schemas.returns_match(candidate._schema)
        ):
            raise RuntimeError(
                f"Out variant {candidate} has invalid returns. Expected either no returns or returns that alias"
                f" the mutable args, got: {candidate._schema}"
            )
    return _with_other_outs(op)


def _input_mismatches(functional: Any, out: Any) -> list[str]:
    """What keeps ``out`` from being the answer for ``functional`` in torch's own look-up."""
    found = schemas.input_mismatches(functional, out) + schemas.default_mismatches(functional, out)
    outs = len(schemas.out_arguments(out))
    return found if outs == len(functional.returns) else [*found, f"it writes to {outs} arguments"]


def _with_other_outs(op: OpOverload) -> OpOverload | None:
    """The answer where the out variant takes a list of Tensors, as torch has it. It is in no pair: not lowered to."""
    base = op._schema.name
    others = [overload._schema for overload in tagged_overloads(op) if takes_other_outs(overload)]
    if not others:
        return None
    pairs = pairing.family_of(base).decision.pairs
    functionals = pairing.family_of(base).functionals
    taken = [names.of_schema(functionals[place]) for place in pairs]
    name = pairing.family_of(base, others, taken, _input_mismatches).out_of(op.name())
    return None if name is None else names.find(name)


def takes_other_outs(op: OpOverload) -> bool:
    """Whether ``op`` writes to something other than Tensors, such as a ``Tensor(a!)[] out``."""
    return any(str(argument.type) not in schemas.OUT_TYPES for argument in schemas.out_arguments(op._schema))


def check_out_variant(functional_op: OpOverload, expected_out_op: OpOverload) -> None:
    """Check that ``to_out_variant(functional_op)`` is ``expected_out_op``.

    Raises:
        AssertionError: it is not; the message says why of each overload that could be meant, ``expected_out_op``
            among them, as ``explain --op`` does.
        RuntimeError: as :func:`to_out_variant`.
    """
    check_found(to_out_variant(functional_op), functional_op, expected_out_op)


def check_found(found: OpOverload | None, functional_op: OpOverload, expected_out_op: OpOverload) -> None:
    """Raise AssertionError if ``found``, the out variant of ``functional_op``, is not the one that is expected."""
    if found is None:
        raise AssertionError(
            f"We did not find an out variant for {functional_op}. Some common mistakes include:\n"
            "  1. The out variant is missing the torch.Tag.out tag (or torch.Tag.out_variant).\n"
            "  2. The out variant is not an overload of the original op ('op.out', 'op.overload_out'); a flat name\n"
            "     ('op_out') needs register_out_variant.\n"
            "  3. Its inputs differ from the functional op's in a name, a type, a default or the order.\n"
            f"  4. The original operator is not functional.\n{_described(functional_op, expected_out_op)}"
        )
    if found != expected_out_op:
        raise AssertionError(
            f"to_out_variant({functional_op}) returned {found}, but expected {expected_out_op}. The out variant name"
            " does not match the functional op. Where several schemas match, equal defaults decide and then the"
            f" names (X and X_out, default and out).\n{_described(functional_op, expected_out_op)}"
        )


def wrap_to_out_variant(original: Callable[..., Any]) -> Callable[..., Any]:
    """torch's own ``to_out_variant`` (2.11 on), with either tag accepted.

    From 2.12 on Inductor asks it in a compile. So what raises there, or is not lowered right (outs
    that are no Tensors), is torch's own answer, by the tag that torch looks for.
    """

    def either_tag(op: OpOverload) -> OpOverload | None:
        try:
            found = to_out_variant(op)
        except RuntimeError:
            original(op)
            return None
        return found if found is None or not takes_other_outs(found) or original(op) is found else None

    return answering(either_tag, original)


def wrap_check_out_variant(original: Callable[..., Any]) -> Callable[..., Any]:
    """torch's own ``check_out_variant`` (2.11 on), of torch's own ``to_out_variant``."""

    def either_tag(functional_op: OpOverload, expected_out_op: OpOverload) -> None:
        found = torch._library._out_variant.to_out_variant(functional_op)
        check_found(found, functional_op, expected_out_op)

    return answering(either_tag, original)


def wrap_lookup_manual_out_variant(original: Callable[..., Any]) -> Callable[..., Any]:
    """torch's own ``lookup_manual_out_variant`` (2.12 on), which finds what is registered here, too."""

    def lookup_manual_out_variant(op: OpOverload) -> OpOverload | None:
        found: OpOverload | None = registry.lookup_manual_out_variant(op)
        return original(op) if found is None else found

    return answering(lookup_manual_out_variant, original)


def get_out_arg_names(out_op: OpOverload) -> list[str]:
    """The names of the arguments that ``out_op`` writes to, in the schema's order."""
    return list(schemas.out_names(out_op._schema))


def tagged_overloads(op: OpOverload) -> list[OpOverload]:
    """The overloads of ``op``'s packet that are tagged as out variants."""
    every = [names.of_schema(schema) for schema in names.schemas_of(op._schema.name)]
    found = [names.find(name) for name in every if marks.is_tagged_name(name)]
    return [overload for overload in found if overload is not None]


def _described(op: OpOverload, expected: OpOverload) -> str:
    """Why each overload that could be meant is or is not the out variant of ``op``."""
    found = lookalikes.candidates(op, expected)
    pair = pairing.find_pair(op)
    if pair is not None:  # it is the first of them
        whys = schemas.default_mismatches(op._schema, pair.out._schema)
        if whys:
            whys.append("to_out_variant asks for equal defaults; compiled code calls it all the same")
        if pair.source != "tag":
            whys.append("to_out_variant looks at tags; lookup_manual_out_variant finds it, and compiled code calls it")
        found[0] = dataclasses.replace(found[0], reasons=(*whys, *found[0].reasons))
    return "\n".join([f"Here, for {op._schema}", *lookalikes.described(op.name(), found)])


def answering(ours: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """A look-up of torch's that answers as ``ours``, and to upstream's own lowering (2.12 on) as torch ships it.

    That lowering asks where ours is not there. It cannot make the calls of most pairs that are ours alone, and
    torch's cache keys do not hold them.
    """

    def answer(*args: Any) -> Any:
        return (original if _upstream_lowers() else ours)(*args)

    return answer


def _upstream_lowers() -> bool:
    """Whether Inductor is lowering a graph, without our lowering."""
    virtualized = sys.modules.get("torch._inductor.virtualized")
    return (
        virtualized is not None
        and not isinstance(virtualized.V.graph, virtualized.NullHandler)
        and not process.may_come("lowering")
    )
