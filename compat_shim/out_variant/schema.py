"""What two schemas must have in common for one op to be the out variant of the other.

Nothing here calls an op or knows a release: it compares ``torch._C.FunctionSchema`` objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

OUT_TYPES = ("Tensor", "Optional[Tensor]")
NOT_ANNOTATED = "no argument is annotated as written: write `Tensor(a!) out`"


def is_out(argument: Any) -> bool:
    """Whether an argument of a schema is written to: ``Tensor(a!) out`` or ``Tensor! out``."""
    return argument.alias_info is not None and argument.alias_info.is_write


def out_arguments(schema: Any) -> list[Any]:
    """The arguments that the op writes to, in the schema's order."""
    return [argument for argument in schema.arguments if is_out(argument)]


def out_names(schema: Any) -> tuple[str, ...]:
    """The names of the arguments that the op writes to, in the schema's order."""
    return tuple(argument.name for argument in out_arguments(schema))


def inputs(schema: Any) -> list[Any]:
    """The arguments that the op does not write to, in the schema's order."""
    return [argument for argument in schema.arguments if not is_out(argument)]


def by_name(arguments: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a call passes for these arguments of a schema: name → value. Those left out are not in it."""
    return {**dict(zip((argument.name for argument in arguments), args)), **kwargs}


def is_functional(schema: Any) -> bool:
    """Whether the op writes to no argument and is not named like an in-place op (``name_``)."""
    return not schema.name.endswith("_") and not out_arguments(schema)


def returns_match(schema: Any) -> bool:
    """Whether an out variant returns nothing, or its out arguments in order (by their aliases)."""
    outs = out_arguments(schema)
    if not schema.returns:
        return True
    if len(schema.returns) != len(outs):
        return False
    return all(
        returned.alias_info is not None and returned.alias_info.before_set == out.alias_info.before_set
        for returned, out in zip(schema.returns, outs)
    )


def input_mismatches(functional: Any, out: Any) -> list[str]:
    """How the inputs of two schemas differ; empty if names, types and order agree.

    Defaults do not count: a lowered call passes what the functional call means.
    """
    left, right = inputs(functional), inputs(out)
    found = [difference for mine, theirs in zip(left, right) if (difference := _difference(mine, theirs))]
    found += [f"input {extra.name!r} is missing from the out variant" for extra in left[len(right) :]]
    found += [f"the functional op has no input {extra.name!r}" for extra in right[len(left) :]]
    return found


def default_mismatches(functional: Any, out: Any) -> list[str]:
    """How the defaults of two schemas with the same inputs differ."""
    return [
        f"input {mine.name!r} has default {mine.default_value!r} and {theirs.default_value!r} in the out variant"
        for mine, theirs in zip(inputs(functional), inputs(out))
        if mine.default_value != theirs.default_value
    ]


def order_mismatches(functional: Any, out: Any) -> list[str]:
    """Whether names say that returns and out arguments belong together in another order than they stand in."""
    written = out_names(out)
    for place, returned in enumerate(functional.returns):
        if returned.name in written and written.index(returned.name) != place:
            return [
                f"the returns {tuple(one.name for one in functional.returns)} and the out arguments {written} have the"
                " same names in another order; register_out_variant(..., outs=...) says which belong together"
            ]
    return []


def mismatches(functional: Any, out: Any, *, ordered: bool = False) -> list[str]:
    """Why ``out`` is not an out variant of ``functional`` that can be called in its place.

    Args:
        ordered: the user says which out argument is for which return.

    Returns:
        Reasons in words; empty if it is one.
    """
    found: list[str] = []
    if not is_functional(functional):
        found.append("the functional op writes to an argument or is named like an in-place op")
    if any(returned.alias_info is not None for returned in functional.returns):
        found.append("the functional op returns an alias of an argument")
    if not functional.returns:
        found.append("the functional op returns nothing")
    bad_returns = [str(returned.type) for returned in functional.returns if str(returned.type) != "Tensor"]
    if bad_returns:
        found.append(f"the functional op returns {', '.join(bad_returns)}, not only Tensors")
    found += input_mismatches(functional, out)
    outs = out_arguments(out)
    if not outs:
        found.append(NOT_ANNOTATED)
    elif len(outs) != len(functional.returns):
        found.append(f"it writes to {len(outs)} arguments, but {len(functional.returns)} are returned")
    found += [
        f"out argument {argument.name!r} is a {argument.type}, not a Tensor"
        for argument in outs
        if str(argument.type) not in OUT_TYPES
    ]
    if not returns_match(out):
        found.append("it returns something other than nothing or its out arguments in order")
    if not ordered:
        found += order_mismatches(functional, out)
    return found


def _difference(mine: Any, theirs: Any) -> str:
    if mine.name != theirs.name:
        return f"input {mine.name!r} is named {theirs.name!r} in the out variant"
    # `type` shows a ScalarType, a Layout and a MemoryFormat as int. Either shows a SymInt as int.
    if str(mine.real_type) != str(theirs.real_type):
        return f"input {mine.name!r} is a {mine.real_type} and a {theirs.real_type} in the out variant"
    left, right = mine.default_value, theirs.default_value
    if type(left) is type(right) and left == right and repr(left) != repr(right):
        # The dispatcher drops what equals a default, so that a kernel in Python gets its own.
        return f"input {mine.name!r} has default {left!r} and {right!r} in the out variant, which no call tells apart"
    return ""
