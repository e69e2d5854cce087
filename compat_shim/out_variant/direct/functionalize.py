"""Functionalization (AOTAutograd, export) of calls of ops that return what they write to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compat_shim import shim
from compat_shim.out_variant import marks


def wrap_can_auto_functionalize(original: Callable[..., bool]) -> Callable[..., bool]:
    """``can_auto_functionalize``, which also takes ops that return what they write to."""

    def can_auto_functionalize(op: Any) -> bool:
        return original(op) or (
            marks.may_be_called_directly(op)
            and not _has_own_rule(op)
            # Inductor asks this too, and without our lowering it would emit wrong numbers.
            and shim.may_come("lowering")
        )

    return can_auto_functionalize


def _has_own_rule(op: Any) -> bool:
    import torch

    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), "Functionalize"))


def wrap_do_auto_functionalize(original: Callable[..., Any]) -> Callable[..., Any]:
    """``do_auto_functionalize`` and its second version: the results are the arguments written to."""

    def do_auto_functionalize(*called: Any, **options: Any) -> Any:
        result = original(*called, **options)
        op, args, kwargs = called[-3:]  # after the mode, which 2.6 does not pass
        if marks.returns_what_it_writes(op):
            return marks.written_arguments(op, args, kwargs or {})
        return result

    return do_auto_functionalize
