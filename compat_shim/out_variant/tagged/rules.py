"""What a schema must be like to carry ``torch.Tag.out`` or ``torch.Tag.inplace``.

Mirrors the checks that ``Library.define`` makes since torch 2.13 (#180851). ``Tag.out_variant``
has no rules.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant import tag


def check(text: Any, tags: tuple[Any, ...]) -> None:
    """Check a schema against the rules of its tags.

    Args:
        text: the schema, as a string or a ``torch._C.FunctionSchema``.

    Raises:
        ValueError: it breaks a rule; the message says which, and quotes the schema.
    """
    import torch

    rules = {torch.Tag.out: ("torch.Tag.out", _out_problems), torch.Tag.inplace: ("torch.Tag.inplace", _inplace)}
    for one in tag.strict_tags():
        if one in tags:
            name, find = rules[one]
            schema = torch._C.parse_schema(text) if isinstance(text, str) else text
            for problem in find(schema):
                raise ValueError(f"A schema tagged with {name} {problem}. Got: {schema}")


def _out_problems(schema: Any) -> Iterator[str]:
    outs = schemas.out_arguments(schema)
    if not outs:
        yield "must have at least one mutable argument, the out"
    positional = [argument.name for argument in outs if not argument.kwarg_only]
    if positional:
        yield f"must have its mutable arguments keyword-only, after the '*'; found positional {positional}"
    others = [f"{argument.type} {argument.name}" for argument in outs if str(argument.type) != "Tensor"]
    if others:
        yield f"only supports plain Tensor mutable arguments; found {others}"
    if len(schema.returns) != len(outs):
        yield (
            f"must return all its mutable arguments: it has {len(outs)} and {len(schema.returns)} returns"
            " (torch.Tag.out_variant or compat_shim.register_out_variant take one that returns nothing)"
        )
    yield from _return_problems(schema.returns, outs)


def _inplace(schema: Any) -> Iterator[str]:
    first = schema.arguments[0] if schema.arguments else None
    if first is None or first.kwarg_only:
        yield "must have a positional argument"
        return
    if not schemas.is_out(first):
        yield f"must have a mutable first argument, Tensor(a!), but {first.name!r} is not written to"
    if str(first.type) != "Tensor":
        yield f"must have a Tensor for its first argument, but {first.name!r} is a {first.type}"
    if len(schema.returns) != 1:
        yield f"must return exactly one value, its first argument; found {len(schema.returns)}"
    yield from _return_problems(schema.returns, [first])
    others = [argument.name for argument in schemas.out_arguments(schema) if argument.name != first.name]
    if others:
        yield f"must only mutate its first argument; found also {others}"


def _return_problems(returns: Any, arguments: list[Any]) -> Iterator[str]:
    for index, (returned, argument) in enumerate(zip(returns, arguments)):
        alias = returned.alias_info
        wanted = f"return {index} must be the mutable alias of argument {argument.name!r}"
        if str(returned.type) != "Tensor" or alias is None:
            yield f"must return its mutable arguments: {wanted}, and it is a plain {returned.type}"
        elif not alias.is_write:
            yield f"must return its mutable arguments: {wanted}, Tensor(a!) and not Tensor(a)"
        elif alias.before_set != argument.alias_info.before_set:
            yield f"must return its mutable arguments in order: {wanted}, and it aliases another one"


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
