"""What a schema must be like to carry ``torch.Tag.out`` or ``torch.Tag.inplace``.

Mirrors the checks that ``Library.define`` makes since torch 2.13 (#180851). ``Tag.out_variant``
has no rules.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import torch

from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant import tag


def check(text: Any, tags: tuple[Any, ...]) -> None:
    """Check a schema against the rules of its tags.

    Args:
        text: the schema, as a string or a ``torch._C.FunctionSchema``.

    Raises:
        ValueError: it breaks a rule; the message says which, and quotes the schema.
    """
    rules = {torch.Tag.out: _out_problems, torch.Tag.inplace: _inplace_problems}
    for one in tag.strict_tags():
        if one in tags:
            schema = torch._C.parse_schema(text) if isinstance(text, str) else text
            for problem in rules[one](schema):
                hint = "" if schema.returns or one != torch.Tag.out else _RETURNS_NOTHING
                raise ValueError(f"{problem}. Got: {schema}{hint}")


_RETURNS_NOTHING = "\ntorch.Tag.out_variant or compat_shim.register_out_variant take an op that returns nothing"

# The messages begin with torch 2.13's own, word for word: code may look for them.


def _out_problems(schema: Any) -> Iterator[str]:
    start = "Schema tagged with torch.Tag.out"
    outs = schemas.out_arguments(schema)
    if not outs:
        yield f"{start} must have at least one mutable argument"
    positional = [argument.name for argument in outs if not argument.kwarg_only]
    if positional:
        yield (
            f"{start} requires all mutable arguments to be keyword-only (after the *)."
            f" Found mutable positional args: {positional}"
        )
    others = [argument.name for argument in outs if str(argument.type) != "Tensor"]
    if others:
        yield f"{start} only supports Tensor mutable arguments. Found unsupported mutable args: {others}"
    if len(schema.returns) != len(outs):
        yield (
            f"{start} must return all mutable arguments"
            f" (got {len(outs)} mutable args but {len(schema.returns)} returns)"
        )
    for index, (returned, argument) in enumerate(zip(schema.returns, outs)):
        alias, wanted = returned.alias_info, argument.alias_info.before_set
        start = f"Return {index} of schema tagged with torch.Tag.out must"
        if alias is None:
            yield f"{start} alias mutable arg '{argument.name}'"
        elif not alias.is_write:
            yield f"{start} be a mutable alias (e.g., Tensor(a!), not Tensor(a)) of arg '{argument.name}'"
        elif alias.before_set != wanted:
            yield (
                f"{start} alias mutable arg '{argument.name}'"
                f" (return aliases {alias.before_set} but arg aliases {wanted})"
            )


def _inplace_problems(schema: Any) -> Iterator[str]:
    start = "Schema tagged with torch.Tag.inplace"
    first = schema.arguments[0] if schema.arguments else None
    if first is None or first.kwarg_only:
        yield f"{start} must have at least one positional argument"
        return
    if not schemas.is_out(first):
        yield f"{start} requires the first positional argument to be mutable (e.g., Tensor(a!))"
    if str(first.type) != "Tensor":
        yield (
            f"{start} requires the first positional argument to be a Tensor."
            f" Got type '{first.type}' for arg '{first.name}'"
        )
    if len(schema.returns) != 1:
        yield f"{start} must return exactly one value (the first argument). Got {len(schema.returns)} returns"
        return
    returned = schema.returns[0]
    alias, wanted = returned.alias_info, first.alias_info.before_set
    start_of_return = f"{start} must return the first mutable argument"
    if str(returned.type) != "Tensor":
        yield f"{start_of_return} (return must be a Tensor, got type '{returned.type}')"
    elif alias is None:
        yield f"{start_of_return} (return must alias the first argument)"
    elif not alias.is_write:
        yield f"{start_of_return} (return must be a mutable alias, e.g., Tensor(a!))"
    elif alias.before_set != wanted:
        yield f"{start_of_return} (return aliases {alias.before_set} but first arg aliases {wanted})"
    others = [argument.name for argument in schemas.out_arguments(schema) if argument.name != first.name]
    if others:
        yield f"{start} must only mutate the first positional argument. Found additional mutable args: {others}"


# The tags that the op being defined gets besides: up to torch 2.7 custom_op() has no way to say it.
_added: contextvars.ContextVar[tuple[Any, ...]] = contextvars.ContextVar("added_tags", default=())


@contextlib.contextmanager
def adding(tags: tuple[Any, ...]) -> Iterator[None]:
    """While this is active, ``Library.define`` adds ``tags``."""
    token = _added.set(tags)
    try:
        yield
    finally:
        _added.reset(token)


def wrap_define(original: Callable[..., Any]) -> Callable[..., Any]:
    """``Library.define``, which checks the schema of an op tagged ``out`` or ``inplace``."""

    def define(self: Any, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> Any:
        if tags:
            tags = tag.normalized((*tag.normalized(tags), *_added.get()))
            check(schema, tags)
        return original(self, schema, alias_analysis, tags=tags)

    return define


def refuse_autograd(overload: Any, shown: Any) -> None:
    """Raise RuntimeError if ``overload`` is tagged ``out``; ``shown`` is what the user calls it."""
    if torch.Tag.out in overload.tags:
        raise RuntimeError(
            f"Cannot register autograd formula for operator tagged with torch.Tag.out: {shown}."
            " Out variants do not support autograd."
        )
