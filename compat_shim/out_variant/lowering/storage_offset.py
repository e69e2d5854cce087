"""The storage offset of a view with dynamic shapes, which Inductor's own lowering gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._inductor.virtualized import V


def wrap_call_function(original: Callable[..., Any]) -> Callable[..., Any]:
    """``GraphLowering.call_function``, right for the storage offset of a view with dynamic shapes.

    Inductor's lowering answers with the offset of what is viewed. An op that writes to a view
    (``out=buffer[1]``) is called with that view made anew at that offset.
    """

    def call_function(self: Any, target: Any, args: Any, kwargs: Any) -> Any:
        if target is torch.ops.aten.sym_storage_offset.default:
            offset = V.graph.current_node.meta.get("val")
            if isinstance(offset, torch.SymInt):
                return offset.node.expr
        return original(self, target, args, kwargs)

    return call_function
