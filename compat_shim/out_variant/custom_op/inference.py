"""``torch.library.infer_schema(tags=...)``: schemas of ops that return what they write to.

Mirrors torch 2.13 (#180851): the original infers the parameters; the returns follow from the tag.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any, NoReturn, cast

import torch

from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant import tag


def wrap_infer_schema(original: Callable[..., str]) -> Callable[..., str]:
    """``infer_schema`` that takes ``tags``, one or many."""

    def infer_schema(
        prototype_function: Callable[..., Any], /, *, mutates_args: Any, tags: Any = (), **options: Any
    ) -> str:
        found = [one for one in tag.strict_tags() if one in tag.normalized(tags)]
        if not found:
            return original(prototype_function, mutates_args=mutates_args, **options)
        if len(found) > 1:
            raise AssertionError("torch.Tag.inplace and torch.Tag.out are mutually exclusive")
        mutates = mutates_args if isinstance(mutates_args, str) else tuple(mutates_args)

        def infer(function: Callable[..., Any]) -> str:
            return original(function, mutates_args=mutates, **options)

        check = _check_out if found[0].name == "out" else _check_inplace
        return _inferred(infer, check, prototype_function, mutates)

    return infer_schema


# What torch 2.13 says in its own words, ours begin with: code may look for them.
_Refuse = Callable[[str], NoReturn]
_Check = Callable[[Any, list[Any], Any, Callable[[], str], _Refuse], None]


def _inferred(
    infer: Callable[[Callable[..., Any]], str], check: _Check, function: Callable[..., Any], mutates: Any
) -> str:
    signature = inspect.signature(function)

    def refuse(what: str) -> NoReturn:
        raise ValueError(f"infer_schema(func): {what} Got func with signature {signature})")

    # The parameters first, whatever the function returns: so does torch 2.13.
    returns_a_tensor = signature.replace(return_annotation=torch.Tensor)
    try:
        text = infer(_with_signature(function, returns_a_tensor))
    except ValueError as error:
        raise ValueError(str(error).replace(str(returns_a_tensor), str(signature))) from None
    schema = torch._C.parse_schema(text if text[0] != "(" else f"op{text}")
    written = schemas.out_arguments(schema)
    check(schema, written, mutates, lambda: infer(function).rpartition(" -> ")[2], refuse)
    return f"{text.rpartition(' -> ')[0]} -> {_joined([f'Tensor({_letter(argument)}!)' for argument in written])}"


def _with_signature(function: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    """A function of this signature whose annotations mean what they mean in ``function``."""
    made: Any = types.FunctionType((lambda: None).__code__, getattr(function, "__globals__", {}))
    made.__signature__ = signature
    return cast("Callable[..., Any]", made)


def _letter(argument: Any) -> str:
    return next(iter(argument.alias_info.before_set)).removeprefix("alias::")


def _joined(types: list[str]) -> str:
    return types[0] if len(types) == 1 else f"({', '.join(types)})"


def _check_out(_: Any, outs: list[Any], mutates: Any, returns: Callable[[], str], refuse: _Refuse) -> None:
    if not all(argument.kwarg_only for argument in outs):
        refuse("torch.Tag.out requires mutable arguments to be keyword-only.")
    if not all(str(argument.type) == "Tensor" for argument in outs):
        refuse("torch.Tag.out only supports mutable keyword-only Tensor arguments.")
    if not outs:
        refuse("torch.Tag.out requires at least one mutable keyword-only Tensor argument.")
    try:
        found = returns()
    except ValueError as error:
        if "It is not a type" in str(error):
            raise
        found = ""  # nothing that a schema can return
    if found != _joined(["Tensor"] * len(outs)):
        names = tuple(argument.name for argument in outs)
        refuse(
            f"torch.Tag.out requires the return annotation to match the mutable keyword-only Tensor arguments {names}."
        )


def _check_inplace(schema: Any, _: list[Any], mutates: Any, returns: Callable[[], str], refuse: _Refuse) -> None:
    first = next(iter(schema.arguments), None)
    if first is None or first.kwarg_only:
        refuse("torch.Tag.inplace requires a positional Tensor argument.")
    if str(first.type) != "Tensor":
        refuse("torch.Tag.inplace requires the first positional argument to be a Tensor.")
    if isinstance(mutates, str) or set(mutates) != {first.name}:
        refuse(
            f"torch.Tag.inplace requires mutates_args to contain exactly the first positional argument, got {mutates}."
        )
    if returns() != "Tensor":
        refuse("torch.Tag.inplace requires the return annotation to be torch.Tensor.")
