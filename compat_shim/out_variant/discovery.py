"""``to_out_variant`` and its family: from a functional op to its out variant, by tag and schema.

Mirrors ``torch._library._out_variant`` (#174473, native since torch 2.11; ``get_out_arg_names``
since 2.12, #176117), with either tag accepted on every release.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from compat_shim.out_variant import marks, names, pairing, registry
from compat_shim.out_variant import schema as schemas

# torch is imported where it is used: importing it applies patches, and those import this module.
if TYPE_CHECKING:
    from torch._ops import OpOverload


def to_out_variant(op: OpOverload) -> OpOverload | None:
    """The overload of ``op``'s packet that is tagged as an out variant and matches its schema.

    Args:
        op: a functional overload, for example ``torch.ops.ns.op.default``.

    Returns:
        The out overload, or None if no tagged overload has the same inputs (names, types,
        defaults, in order) and as many out arguments as ``op`` has returns, or if that of another
        functional overload of the packet is meant (:mod:`compat_shim.out_variant.families`).

    Raises:
        RuntimeError: ``op`` is not functional, or a matching overload returns something other
            than nothing or its out arguments.
    """
    if not schemas.is_functional(op._schema):
        raise RuntimeError(
            f"{op} has no out variant: it is not functional, since its schema writes to an argument"
            f" or its name ends in '_': {op._schema}"
        )
    name = pairing.family_of(op._schema.name).out_of(op.name())
    found = None if name is None else names.find(name)
    # A default decides for torch, and not for the lowering, which passes what the call means.
    if found is not None and not schemas.default_mismatches(op._schema, found._schema):
        return found
    for candidate in tagged_overloads(op):
        outs = schemas.out_arguments(candidate._schema)
        if (
            len(outs) == len(op._schema.returns)
            and not schemas.input_mismatches(op._schema, candidate._schema)
            and not schemas.default_mismatches(op._schema, candidate._schema)
            and not schemas.returns_match(candidate._schema)
        ):
            raise RuntimeError(
                f"Out variant {candidate} has invalid returns: expected nothing, or the out arguments"
                f" in order, found {candidate._schema}"
            )
    return None


def check_out_variant(functional_op: OpOverload, expected_out_op: OpOverload) -> None:
    """Check that ``to_out_variant(functional_op)`` is ``expected_out_op``.

    Raises:
        AssertionError: it is not; the message names the common mistakes and the overloads found.
        RuntimeError: as :func:`to_out_variant`.
    """
    found = to_out_variant(functional_op)
    if found is None:
        raise AssertionError(
            f"We did not find an out variant for {functional_op} ({functional_op._schema}). Common mistakes:\n"
            "  1. The out variant is not tagged with torch.Tag.out (or torch.Tag.out_variant).\n"
            "  2. It is not an overload of the same op ('op.out', 'op.overload_out'); a flat name ('op_out')\n"
            "     needs register_out_variant.\n"
            "  3. Its inputs differ from the functional op's in a name, a type, a default or the order.\n"
            "  4. The functional op is not functional.\n"
            f"Overloads tagged as out variants:\n{_describe_candidates(functional_op)}"
        )
    if found != expected_out_op:
        raise AssertionError(
            f"to_out_variant({functional_op}) is {found}, but {expected_out_op} was expected: where several"
            " schemas match, equal defaults decide and then the names (X and X_out, default and out)."
        )


def get_out_arg_names(out_op: OpOverload) -> list[str]:
    """The names of the arguments that ``out_op`` writes to, in the schema's order."""
    return list(schemas.out_names(out_op._schema))


def tagged_overloads(op: OpOverload) -> list[OpOverload]:
    """The overloads of ``op``'s packet that are tagged as out variants."""
    every = [names.of_schema(schema) for schema in names.schemas_of(op._schema.name)]
    found = [names.find(name) for name in every if marks.is_tagged_name(name)]
    return [overload for overload in found if overload is not None]


def _describe_candidates(op: OpOverload) -> str:
    lines = []
    for candidate in tagged_overloads(op):
        reasons = schemas.mismatches(op._schema, candidate._schema)
        reasons += [] if reasons else schemas.default_mismatches(op._schema, candidate._schema)
        words = "; ".join(reasons) or "it matches"
        lines.append(f"  - {candidate._overloadname}: {candidate._schema}\n      {words}")
    return "\n".join(lines) or "  (none)"


def make_module(name: str) -> ModuleType:
    """The module ``torch._library._out_variant``, for releases that have none."""
    module = ModuleType(name, __doc__)
    contents: dict[str, Any] = {
        "to_out_variant": to_out_variant,
        "check_out_variant": check_out_variant,
        "get_out_arg_names": get_out_arg_names,
        "register_out_variant": registry.register_out_variant,
        "lookup_manual_out_variant": registry.lookup_manual_out_variant,
        "_is_functional": schemas.is_functional,
    }
    vars(module).update(contents)
    return module
