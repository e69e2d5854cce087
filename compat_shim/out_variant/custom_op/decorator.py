"""``torch.library.custom_op(tags=...)`` for ops that return what they write to.

Mirrors torch 2.13 (#180851). Without a tag that has rules, the original does all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant import tag
from compat_shim.out_variant.custom_op import rules
from compat_shim.out_variant.custom_op.definition import BASE_TAKES_TAGS, WritingOpDef


def wrap_custom_op(original: Callable[..., Any]) -> Callable[..., Any]:
    """``custom_op`` that takes ``tags``, one or many."""

    def custom_op(name: str, fn: Callable[..., Any] | None = None, /, *, tags: Any = None, **options: Any) -> Any:
        if tags is None:
            return original(name, fn, **options)
        define = functools.partial(_define, original, name, tags=tag.normalized(tags), **options)
        return define if fn is None else define(fn)

    return custom_op


def _define(
    original: Callable[..., Any], name: str, function: Callable[..., Any], /, *, tags: tuple[Any, ...], **options: Any
) -> Any:
    if any(one in tags for one in tag.strict_tags()):
        return _define_writing(name, function, tags=tags, **options)
    if BASE_TAKES_TAGS:
        return original(name, function, tags=tags, **options)
    with rules.adding(tags):
        return original(name, function, **options)


def _define_writing(
    name: str,
    function: Callable[..., Any],
    *,
    tags: tuple[Any, ...],
    mutates_args: Any,
    device_types: Any = None,
    schema: str | None = None,
) -> Any:
    """Define an op that is tagged ``out`` or ``inplace``: a ``CustomOpDef``."""
    inferred = schema is None
    if schema is None:
        schema = torch.library.infer_schema(function, mutates_args=mutates_args, tags=tags)
    namespace, op_name = name.split("::")
    definition = WritingOpDef(namespace, op_name, schema, function, tags)
    written = set(schemas.out_names(definition._opoverload._schema))
    if not inferred and written != set(mutates_args):
        # torch's own words, to the letter.
        raise ValueError(
            f"Attempted to create a custom op with `mutates_args={mutates_args}` and `schema={schema}. The schema"
            f" suggests that the op mutates {written}which is different from what was provided to us in"
            " `mutates_args`. Please make these consistent."
        )
    definition.register_kernel(device_types)(function)
    return definition


def wrap_register_autograd(original: Callable[..., Any]) -> Callable[..., Any]:
    """``torch.library.register_autograd``, which says for an out op why it has none."""

    def register_autograd(op: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(op, (str, torch._ops.OpOverload)):
            overload = torch._library.utils.lookup_op(op) if isinstance(op, str) else op
            rules.refuse_autograd(overload, torch._library.custom_ops._maybe_get_opdef(op) or overload)
        return original(op, *args, **kwargs)

    return register_autograd
