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

from compat_shim.calls import plain, results
from compat_shim.calls.python_kernel import PythonKernel

Call = Callable[..., Any]


def maker(
    schema: _C.FunctionSchema, kernel: PythonKernel, device: str, inference: bool, unsure: bool
) -> Callable[..., Call]:
    """What makes the function for a step.

    It takes the overload, which is not kept, since it may leave before the kernel; what enters and leaves the guard of
    the body, and that of a call that passes by ADInplaceOrView (None for a kernel of ``Library.impl``).

    Args:
        device: the type of the device that the kernel was found for.
        inference: whether the step is in inference mode, in which the tensors that were made in it pass by that key.
        unsure: whether an argument may be another tensor than its fake promised.
    """
    arguments = [_Argument(argument, place) for place, argument in enumerate(schema.arguments)]
    scope: dict[str, Any] = {
        "_function": kernel.function,
        "_judged": kernel.judged,
        "_passes": results.passes(schema),
        "_share_storage": results.share_storage,
        "_is_alias_of": _C._is_alias_of,
        "_overridden": _C._has_torch_function_variadic,
        "_bump": _C._increment_version,
        "_bump_any": increment_version,
        "_all_pass_by": _all_pass_by,
        "_any_of_inference": _any_of_inference,
        "_strided": torch.strided,
        "_are_plain": plain.are_plain,
        "_plain": plain.keys(device, inference) | plain.keys("cpu", inference) if unsure else frozenset(),
        "_keys": _C._dispatch_keys,
        "_Tensor": torch.Tensor,
        "_Parameter": torch.nn.Parameter,
        "_type": type,
        "_tuple": tuple,
        "_len": len,
        **{f"_default_{one.name}": one.default for one in arguments},
    }
    source = "\n".join(_source(kernel, arguments, schema.returns, inference, unsure))
    exec(compile(source, f"<compat_shim: {schema.name}>", "exec"), scope)
    made: Callable[..., Call] = scope["_make"]
    return made


class _Argument:
    """An argument of the schema: how it is taken and passed on."""

    def __init__(self, argument: Any, place: int) -> None:
        name = argument.name
        self.schema_name = name
        # (None begins with an underscore: those are the names of ours.)
        self.name = f"_argument_{place}" if keyword.iskeyword(name) else name
        self.by_name = argument.kwarg_only
        self.has_default = argument.has_default_value()
        self.default = argument.default_value
        self.is_tensor = str(argument.real_type) == "Tensor"
        self.may_hold_tensors = "Tensor" in str(argument.real_type)
        self.is_list = "List[" in str(argument.real_type)

    @property
    def taken(self) -> str:
        return f"{self.name}=_default_{self.name}" if self.has_default else self.name

    @property
    def passed(self) -> str:
        return f"{self.name}={self.name}" if self.by_name else self.name


def _all_pass_by(*tensors: torch.Tensor | None) -> bool:
    return all(tensor is None or tensor.is_inference() for tensor in tensors)


def _any_of_inference(*tensors: torch.Tensor | None) -> bool:
    return any(tensor is not None and tensor.is_inference() for tensor in tensors)


def _source(
    kernel: PythonKernel, arguments: list[_Argument], returns: list[Any], inference: bool, unsure: bool
) -> list[str]:
    taken = [one.taken for one in arguments if not one.by_name]
    named = [one.taken for one in arguments if one.by_name]
    passed = ", ".join(one.passed for one in arguments)
    positional = "".join(f"{one.name}, " for one in arguments if not one.by_name)
    by_name = ", ".join(f"{one.name!r}: {one.name}" for one in arguments if one.by_name)
    given = f"({positional}), {{{by_name}}}"
    # A function mode, set_default_device() too, or a tensor of a class with __torch_function__.
    looked_at = [f"*({one.name} or ())" if one.is_list else one.name for one in arguments if one.may_hold_tensors]
    lines = [
        "def _make(_op, _guard, _below):",
        "    _enter, _exit = _guard or (None, None)",
        f"    def call({', '.join([*taken, *(['*'] if named else []), *named])}):",
        f"        if {' or '.join(_reasons(kernel, arguments, looked_at, inference, unsure))}:",
        f"            return _op({passed})",
    ]
    lines += _body(kernel, arguments, looked_at, f"_function({passed})", inference)
    return [
        *lines,
        f"        if {_may_be_returned(kernel, arguments, looked_at, returns)}:",
        "            return _result",
        f"        return _judged(_op, _result, {given})",
        "    return call",
    ]


def _body(
    kernel: PythonKernel, arguments: list[_Argument], looked_at: list[str], called: str, inference: bool
) -> list[str]:
    """The call of the function in the state that ``custom_op`` gives it."""
    lines = []
    bumps = _bumps(kernel, arguments)
    if inference and kernel.mutated:
        lines.append(f"        _passes_by = _all_pass_by({', '.join(looked_at)})")
        bumps = [f"_passes_by or {line}" for line in bumps]
        bumps.append("_enter, _exit = _below if _passes_by else _guard")
    lines += [f"        {line}" for line in bumps]
    if kernel.definition is None:
        return [*lines, f"        _result = {called}"]
    return [
        *lines,
        # As `with` does, without its look-ups. (To leave a guard that was not entered does nothing.)
        "        try:",
        "            _enter()",
        f"            _result = {called}",
        "        finally:",
        "            _exit(None, None, None)",
    ]


def _reasons(
    kernel: PythonKernel, arguments: list[_Argument], looked_at: list[str], inference: bool, unsure: bool
) -> list[str]:
    """Why a call goes the long way after all: conditions."""
    reasons = [f"_overridden({', '.join(looked_at)})"]
    holding = [one for one in arguments if one.may_hold_tensors]
    first = next((one.name for one in arguments if one.is_tensor), None)
    if kernel.definition is not None and not inference and not unsure and first is not None:
        # Where all are tensors of inference mode, out of that mode, autograd's kernel is passed by as well.
        # (Where each is looked at, such a tensor is not plain.)
        reasons.append(f"{first}.is_inference()")
    if kernel.definition is not None and not inference and first is None and looked_at:
        reasons.append(f"_any_of_inference({', '.join(looked_at)})")
    if unsure:
        others = [text for text, one in zip(looked_at, holding) if not one.is_tensor]
        reasons += [f"not ({_is_plain(one.name)})" for one in holding if one.is_tensor]
        reasons += [f"not _are_plain({', '.join(others)})"] if others else []
    return reasons


def _is_plain(name: str) -> str:
    """As ``plain.is_plain``, written out: it stands in every call of a chain of functional ops."""
    return f"(_type({name}) is _Tensor or _type({name}) is _Parameter) and _keys({name}).raw_repr() in _plain"


def _bumps(kernel: PythonKernel, arguments: list[_Argument]) -> list[str]:
    """The version counters of what is written to, as ``custom_op``'s own kernel moves them, without a look at use."""
    written = [one for one in arguments if one.schema_name in kernel.mutated]
    tensors = "".join(f"{one.name}, " for one in written if one.is_tensor)
    return [
        *([f"_bump(({tensors}))"] if tensors else []),
        *(f"_bump_any({one.name})" for one in written if not one.is_tensor),
    ]


def _may_be_returned(kernel: PythonKernel, arguments: list[_Argument], looked_at: list[str], returns: list[Any]) -> str:
    """Whether the dispatcher would return the very result, and ``custom_op`` has nothing against it."""
    if kernel.kind == "out":
        if len(kernel.outs) == 1:
            return f"_result is {kernel.outs[0]}"
        each = "".join(f" and _result[{place}] is {name}" for place, name in enumerate(kernel.outs))
        return f"_type(_result) is _tuple and _len(_result) == {len(kernel.outs)}{each}"
    if not returns:
        return "_result is None"
    one_tensor = [str(one.real_type) for one in returns] == ["Tensor"]
    passes = "_type(_result) is _Tensor" if one_tensor else "_passes(_result)"
    if kernel.definition is None:
        return passes
    if one_tensor and [one.is_tensor for one in arguments if one.may_hold_tensors] == [True]:
        # Half the price; torch's own refuses what has no storage.
        return f"{passes} and _result.layout is _strided and not _is_alias_of({looked_at[0]}, _result)"
    given = "".join(f"{one}, " for one in looked_at)
    made = "(_result,)" if len(returns) == 1 else "_result"
    return f"{passes} and not _share_storage(({given}), {{}}, {made})"
