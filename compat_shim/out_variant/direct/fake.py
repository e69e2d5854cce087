"""Fake tensors through ops that return what they write to and have no fake kernel of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from compat_shim.out_variant.direct import out_op


def wrap_dispatch_impl(original: Callable[..., Any]) -> Callable[..., Any]:
    """``FakeTensorMode._dispatch_impl``, with the fake kernel that torch 2.13 makes for ``Tag.out``."""

    def dispatch_impl(self: Any, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if out_op.may_be_called_directly(func) and not _has_fake(func):
            return out_op.written_arguments(func, args, kwargs)
        return original(self, func, types, args, kwargs)

    return dispatch_impl


def _has_fake(op: Any) -> bool:
    name = op.name()
    if torch._library.simple_registry.singleton.find(name).fake_impl.kernel is not None:
        return True
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    return any(has(name, key) for key in ("Meta", "CompositeImplicitAutograd"))
