"""``torch.library.infer_schema(tags=...)``: schemas of ops that return what they write to.

Mirrors torch 2.13 (#180851): the original infers the parameters; the returns follow from the tag.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant import tag


def wrap_infer_schema(original: Callable[..., str]) -> Callable[..., str]:
    """``infer_schema`` that takes ``tags``, one or many."""

    def infer_schema(prototype_function: Callable[..., Any], /, *, tags: Any = (), **options: Any) -> str:
        text = original(prototype_function, **options)
        found = [one for one in tag.strict_tags() if one in tag.normalized(tags)]
        return _with_returns(text, found, prototype_function) if found else text

    return infer_schema


def _with_returns(text: str, tags: list[Any], function: Callable[..., Any]) -> str:
    import torch

    def refuse(what: str) -> NoReturn:
        raise ValueError(f"infer_schema(func): {what} Got func with signature {inspect.signature(function)})")

    if len(tags) > 1:
        raise AssertionError("torch.Tag.inplace and torch.Tag.out are mutually exclusive")
    schema = torch._C.parse_schema(text if text[0] != "(" else f"op{text}")
    written = schemas.out_arguments(schema)
    parameters, _, returns = text.rpartition(" -> ")
    if tags[0] == torch.Tag.out:
        _check_outs(written, returns, refuse)
    else:
        _check_inplace(schema, written, returns, refuse)
    return f"{parameters} -> {_joined([f'Tensor({_letter(argument)}!)' for argument in written])}"


def _letter(argument: Any) -> str:
    return next(iter(argument.alias_info.before_set)).removeprefix("alias::")


def _joined(types: list[str]) -> str:
    return types[0] if len(types) == 1 else f"({', '.join(types)})"


def _check_outs(outs: list[Any], returns: str, refuse: Callable[[str], NoReturn]) -> None:
    if not all(argument.kwarg_only for argument in outs):
        refuse("torch.Tag.out requires mutable arguments to be keyword-only.")
    if not all(str(argument.type) == "Tensor" for argument in outs):
        refuse("torch.Tag.out only supports mutable keyword-only Tensor arguments.")
    if not outs:
        refuse("torch.Tag.out requires at least one mutable keyword-only Tensor argument.")
    if returns != _joined(["Tensor"] * len(outs)):
        names = tuple(argument.name for argument in outs)
        refuse(
            f"torch.Tag.out requires the return annotation to match the mutable keyword-only Tensor arguments {names}."
        )


def _check_inplace(schema: Any, written: list[Any], returns: str, refuse: Callable[[str], NoReturn]) -> None:
    first = next(iter(schema.arguments), None)
    if first is None or first.kwarg_only:
        refuse("torch.Tag.inplace requires a positional Tensor argument.")
    if str(first.type) != "Tensor":
        refuse("torch.Tag.inplace requires the first positional argument to be a Tensor.")
    if [argument.name for argument in written] != [first.name]:
        refuse("torch.Tag.inplace requires mutates_args to contain exactly the first positional argument.")
    if returns != "Tensor":
        refuse("torch.Tag.inplace requires the return annotation to be torch.Tensor.")
