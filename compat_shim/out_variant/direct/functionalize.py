"""Functionalization (AOTAutograd, export) of calls of ops that return what they write to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from compat_shim import process
from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant.direct import out_op


def wrap_can_auto_functionalize(original: Callable[..., bool]) -> Callable[..., bool]:
    """``can_auto_functionalize``, which also takes ops that return what they write to."""

    def can_auto_functionalize(op: Any) -> bool:
        return original(op) or (
            out_op.may_be_called_directly(op)
            and not _has_own_rule(op)
            # Somebody may have replaced what the lowering does, without which the numbers are wrong.
            and process.may_come("lowering")
        )

    return can_auto_functionalize


def _has_own_rule(op: Any) -> bool:
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), "Functionalize"))


def wrap_do_auto_functionalize(original: Callable[..., Any]) -> Callable[..., Any]:
    """``do_auto_functionalize`` and its second version: the results are the arguments written to."""

    def do_auto_functionalize(*called: Any, **options: Any) -> Any:
        result = original(*called, **options)
        op, args, kwargs = called[-3:]  # after the mode, which 2.6 does not pass
        if out_op.returns_what_it_writes(op):
            return out_op.written_arguments(op, args, kwargs or {})
        return result

    return do_auto_functionalize


def wrap_dense(original: Callable[..., Any]) -> Callable[..., Any]:
    """``auto_functionalized_v2_dense``, as the post-grad pass calls it: an out op's buffer is not cloned.

    Where torch does not see that a buffer may be overwritten, the op writes to a clone. What an
    out op finds in its buffer does not matter, so a new one does.
    """

    def dense(op: Any, /, _only_clone_these_bases: Any = None, **kwargs: Any) -> Any:
        cloned = _only_clone_these_bases
        if cloned and out_op.is_out_op(op):
            whole = [index for index in cloned if _is_written_whole(op, kwargs, index)]
            bases = kwargs["_all_bases"]
            kwargs["_all_bases"] = [_like(base) if index in whole else base for index, base in enumerate(bases)]
            cloned = tuple(index for index in cloned if index not in whole)
        return original(op, _only_clone_these_bases=cloned, **kwargs)

    return dense


def _is_written_whole(op: Any, kwargs: dict[str, Any], index: int) -> bool:
    """Whether one out argument of the call, and no other, is the base of that index, not a part of it."""
    names = [argument.name for argument in schemas.out_arguments(op._schema)]
    users = [name for name in names if kwargs.get(f"_{name}_base_index") == index]
    parts = ("size", "slice_dim", "storage_offset")
    return len(users) == 1 and not any(f"_{users[0]}_{part}" in kwargs for part in parts)


def _like(base: Any) -> Any:
    return torch.empty_strided(base.size(), base.stride(), dtype=base.dtype, device=base.device)
