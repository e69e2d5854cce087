"""The function that compiled code calls in place of an overload: its kernel's, with what must be around it.

It is written out for each kernel, with the arguments of the schema: to take ``*args`` and pass them on would cost a
third of the whole. The checks are those of a call; those of a step are in ``step``.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any

import torch
from torch import _C
from torch._library.custom_ops import increment_version

from compat_shim.calls import results
from compat_shim.calls.python_kernel import PythonKernel

Call = Callable[..., Any]


def maker(schema: _C.FunctionSchema, kernel: PythonKernel) -> Callable[[Any, Any], Call]:
    """What makes the function for a step, given the overload and the step's guard.

    The guard is None for a kernel of ``Library.impl``. The overload is not kept: it may leave before the kernel.
    """
    arguments = [_Argument(argument, place) for place, argument in enumerate(schema.arguments)]
    scope: dict[str, Any] = {
        "_function": kernel.function,
        "_judged": kernel.judged,
        "_passes": results.passes(schema),
        "_share_storage": results.share_storage,
        "_overridden": _C._has_torch_function_variadic,
        "_bump": _C._increment_version,
        "_bump_any": increment_version,
        "_Tensor": torch.Tensor,
        **{f"_default_{one.name}": one.default for one in arguments},
    }
    exec("\n".join(_source(kernel, arguments, len(schema.returns))), scope)
    made: Callable[[Any, Any], Call] = scope["_make"]
    return made


class _Argument:
    """An argument of the schema: how it is taken and passed on."""

    def __init__(self, argument: Any, place: int) -> None:
        name = argument.name
        # A name of ours begins with an underscore.
        usable = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
        self.schema_name = name
        self.name = name if usable or argument.kwarg_only else f"argument_{place}"
        self.by_name = argument.kwarg_only
        self.has_default = argument.has_default_value()
        self.default = argument.default_value
        self.is_tensor = str(argument.real_type) == "Tensor"
        self.may_hold_tensors = "Tensor" in str(argument.real_type)
        self.is_list = "[]" in str(argument.real_type)

    @property
    def taken(self) -> str:
        return f"{self.name}=_default_{self.name}" if self.has_default else self.name

    @property
    def passed(self) -> str:
        return f"{self.name}={self.name}" if self.by_name else self.name


def _source(kernel: PythonKernel, arguments: list[_Argument], returns: int) -> list[str]:
    taken = [one.taken for one in arguments if not one.by_name]
    named = [one.taken for one in arguments if one.by_name]
    passed = ", ".join(one.passed for one in arguments)
    positional = "".join(f"{one.name}, " for one in arguments if not one.by_name)
    by_name = ", ".join(f"{one.name!r}: {one.name}" for one in arguments if one.by_name)
    given = f"({positional}), {{{by_name}}}"
    # A function mode, set_default_device() too, or a tensor of a class with __torch_function__.
    looked_at = [f"*({one.name} or ())" if one.is_list else one.name for one in arguments if one.may_hold_tensors]
    lines = [
        "def _make(_op, _guard):",
        f"    def call({', '.join([*taken, *(['*'] if named else []), *named])}):",
        f"        if _overridden({', '.join([*looked_at, 'None'])}):",
        f"            return _op({passed})",
        *(f"        {line}" for line in _bumps(kernel, arguments)),
    ]
    if kernel.definition is None:
        lines.append(f"        _result = _function({passed})")
    else:
        lines += ["        with _guard:", f"            _result = _function({passed})"]
    return [
        *lines,
        f"        if {_may_be_returned(kernel, given, returns)}:",
        "            return _result",
        f"        return _judged(_op, _result, {given})",
        "    return call",
    ]


def _bumps(kernel: PythonKernel, arguments: list[_Argument]) -> list[str]:
    """The version counters of what is written to, as ``custom_op``'s own kernel moves them, without a look at use."""
    mutated = {name for _, name in kernel.mutated}
    written = [one for one in arguments if one.schema_name in mutated]
    tensors = "".join(f"{one.name}, " for one in written if one.is_tensor)
    return [
        *([f"_bump(({tensors}))"] if tensors else []),
        *(f"_bump_any({one.name})" for one in written if not one.is_tensor),
    ]


def _may_be_returned(kernel: PythonKernel, given: str, returns: int) -> str:
    """Whether the dispatcher would return the very result, and ``custom_op`` has nothing against it."""
    if kernel.kind == "out":
        if len(kernel.outs) == 1:
            return f"_result is {kernel.outs[0]}"
        each = "".join(f" and _result[{place}] is {name}" for place, name in enumerate(kernel.outs))
        return f"type(_result) is tuple and len(_result) == {len(kernel.outs)}{each}"
    if returns == 0:
        return "_result is None"
    return "_passes(_result)" + (f" and not _share_storage(_result, {given})" if kernel.definition is not None else "")
