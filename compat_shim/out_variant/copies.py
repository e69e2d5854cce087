"""Does a Python kernel of an out variant only copy what the functional op's function returns? Then it gains nothing.

It is right, and costs a buffer and a copy more than the functional op. It can be seen where the kernel is a Python
function that calls ``copy_`` and what bears the functional op's name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import torch

from compat_shim.calls import kernel_record
from compat_shim.out_variant import names

COPIES = "it copies what the functional op's function returns: one buffer and one copy more"


def copies(functional: str, out: str, device: str) -> bool:
    """Whether the out variant's kernel for a device is seen to be ``out.copy_(functional(...))``.

    Args:
        functional, out: the names of the overloads.
        device: the type, ``"cuda"``.
    """
    function = _function(out, device)
    mentioned = set() if function is None else set(_mentioned(function))
    return "copy_" in mentioned and names.split(functional)[1] in mentioned


def note(functional: str, out: str, device: str) -> str:
    """The same in words; empty if it is not seen to copy."""
    return COPIES if copies(functional, out, device) else ""


def _function(name: str, device: str) -> Callable[..., Any] | None:
    """The Python function that calls of an overload on a device run, if that is known."""
    definition = torch._library.custom_ops.OPDEFS.get(name)
    if definition is not None:
        found: Callable[..., Any] | None = definition._backend_fns.get(device, definition._backend_fns.get(None))
        return found
    for key in (str(torch._C._dispatch_key_for_device(device)), *kernel_record.COMPOSITE_KEYS):
        registered = kernel_record.function(name, key)
        if registered is not None:
            return registered.function
    return None


def _mentioned(function: Callable[..., Any]) -> Iterator[str]:
    """The names that a function's code refers to, those of the functions it calls and their modules left aside."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if isinstance(code, CodeType):
        yield from code.co_names
        yield from code.co_freevars
