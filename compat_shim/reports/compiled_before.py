"""Does a function still run code that was compiled before its pairs were met?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch._dynamo import external_utils
from torch._dynamo.eval_frame import _debug_get_cache_entry_list

from compat_shim import screen
from compat_shim.out_variant.lowering import first_met
from compat_shim.reports.explanation import CallSite

_FILE = 40  # columns of a file's name


class Compiled:
    """What Inductor had compiled of a function when this was made."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._code = _code_of(fn)
        # Where an entry does not tell its backend (torch 2.6), it may be another one's.
        inductor: type = torch._TorchCompileInductorWrapper
        self._compiled: list[CodeType] = [
            entry.code
            for entry in (_debug_get_cache_entry_list(self._code) if self._code is not None else ())
            if isinstance(getattr(entry, "backend", None), inductor) or not hasattr(entry, "backend")
        ]

    def older_than(self, calls: Iterable[CallSite]) -> str:
        """That it is older than the pairs of some of these calls, and what to do; empty if it is not."""
        pairs = dict.fromkeys((call.op, call.out) for call in calls if call.lowered and call.out is not None)
        younger = [pair for pair in pairs if any(first_met.is_older(code, *pair) for code in self._compiled)]
        if not younger or self._code is None:
            return ""
        functional, out = younger[0]
        more = f" (and {len(younger) - 1} more)" if younger[1:] else ""
        where = f"{screen.file(self._code.co_filename, _FILE)}:{self._code.co_firstlineno}"
        name = getattr(self._code, "co_qualname", self._code.co_name)  # Python 3.11 on
        return (
            f"{name} ({where}) was compiled before any compile met the pair {functional} => {out}{more};"
            " that code stays as it is: call torch._dynamo.reset()"
        )


def _code_of(fn: Callable[..., Any]) -> CodeType | None:
    """The code that Dynamo compiles for a function, a method or a module."""
    if isinstance(fn, torch.nn.Module):
        fn = fn.forward
    if isinstance(fn, MethodType):
        fn = fn.__func__
    if not isinstance(fn, FunctionType) or fn.__code__.co_filename == external_utils.__file__:
        return None  # other objects that are called all share the code of Dynamo's wrapper: it tells nothing of one
    return fn.__code__
