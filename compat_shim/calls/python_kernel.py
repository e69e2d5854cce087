"""Which Python function the dispatcher runs for an overload on a device, and whether it may be called without it.

The function is never looked up in a table that only ought to agree. It is what ``Library.impl`` was given; where that
is ``custom_op``'s own kernel, which looks the user's function up, what the closure of that very object leads to.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import weakref
import zlib
from collections.abc import Callable
from typing import Any

from torch import _C, _ops

from compat_shim.calls import dispatcher, kernel_record, results
from compat_shim.calls.long_way import LongWay

COMPOSITE = "CompositeExplicitAutograd"


@dataclasses.dataclass(frozen=True)
class OwnCode:
    """The code objects of kernels of ours that do what torch's of the same role do: see :func:`serve_as`."""

    kernel: set[types.CodeType]
    switch: set[types.CodeType]
    autograd: set[types.CodeType]
    versions: set[types.CodeType]


_ours = OwnCode(set(), set(), set(), set())

# What torch puts around a kernel of custom_op: where its code is, and what it is called.
_TORCHS = {
    "kernel": ("_library/custom_ops.py", "backend_impl"),
    "switch": ("_library/custom_ops.py", "wrapped_fn"),
    "autograd": ("_library/autograd.py", "autograd_impl"),
    "versions": ("_library/custom_ops.py", "adinplaceorview_impl"),
}


def serve_as(role: str, function: Callable[..., Any]) -> None:
    """Let a function of ours be known for one that ``custom_op`` has around a kernel.

    Args:
        role: ``"kernel"`` (looks the user's function up and checks what it returns), ``"switch"`` (what
            ``set_kernel_enabled`` switches), ``"autograd"`` or ``"versions"`` (the kernels of these keys).
        function: any function of that code.
    """
    getattr(_ours, role).add(function.__code__)


def _is(role: str, function: Any) -> bool:
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None:
        return False
    file, name = _TORCHS[role]
    return code in getattr(_ours, role) or (code.co_name == name and code.co_filename.endswith(f"torch/{file}"))


@dataclasses.dataclass(eq=False)
class PythonKernel:
    """A function that may be called in place of the dispatcher.

    Attributes:
        way_round: the overload's function in C++.
        library: who registered the kernel, held weakly.
        kernel: what it registered.
        function: what to call.
        definition: the ``CustomOpDef``, or None for a kernel of ``Library.impl``.
        device_type: under which the definition looks the function up.
        entry: what it finds there.
        kind: of a custom op: ``"functional"``, ``"mutable"`` or ``"out"``.
        mutated: the names of the arguments that the call writes to.
        outs: the out arguments that a kernel of kind ``"out"`` must return.
        dumps: what the dispatcher says of the op.
        signature: tells one schema from another.
        makers: of what compiled code calls, once that is written: in inference mode or elsewhere, with a look at each
            argument or without.
    """

    way_round: Any
    library: weakref.ref[Any]
    kernel: Callable[..., Any]
    function: Callable[..., Any]
    definition: Any = None
    device_type: str | None = None
    entry: Any = None
    kind: str = ""
    mutated: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    dumps: tuple[str, str] = ("", "")
    signature: int = 0
    makers: dict[tuple[bool, bool], Callable[..., Callable[..., Any]]] = dataclasses.field(default_factory=dict)

    def holds(self, op: Any) -> bool:
        """Whether nothing has changed that can be seen on the kernel itself."""
        if not kernel_record.is_loaded(self.library) or op._op is not self.way_round:
            return False
        definition = self.definition
        return definition is None or definition._backend_fns.get(self.device_type) is self.entry

    def is_switched_off(self) -> bool:
        """Whether ``set_kernel_enabled`` has put the op's default function in the kernel's place."""
        return self.definition is not None and self.device_type in self.definition._disabled_kernel

    def judged(self, op: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call by the dispatcher returns where the function has returned ``result``; or raises what it raises.

        The check is ``custom_op``'s own: its kernel, which finds in place of the user's function one that returns
        the result.
        """
        if self.definition is not None:
            code = self.kernel.__code__
            stand_in = _Finished(self.definition, self.device_type, result)
            cells = {"self": stand_in, "device_type": self.device_type}
            closure = tuple(types.CellType(cells[name]) for name in code.co_freevars)
            result = types.FunctionType(code, self.kernel.__globals__, closure=closure)(*args, **kwargs)
            if getattr(op, "_pyobj_dispatcher", None) is not None and _passes_as_it_is(op._schema):
                return result
            result = results.converted(op._schema, result)  # on its way to the kernel of autograd's key
        return results.converted(op._schema, result)


def _passes_as_it_is(schema: Any) -> bool:
    """Whether a result passes unseen, from torch 2.14 on: several do, and what an op of tensors for none returns."""
    tensors = all("Tensor" in str(one.real_type) and not one.kwarg_only for one in schema.arguments)
    return len(schema.returns) > 1 if schema.returns else tensors


class _Finished:
    """A ``CustomOpDef`` whose kernel for a device has run."""

    def __init__(self, definition: Any, device_type: str | None, result: Any) -> None:
        def finished(*_: Any, **__: Any) -> Any:
            return result

        # An error names the module of the user's function.
        finished.__module__ = getattr(inspect.getmodule(definition._backend_fns[device_type]), "__name__", "")
        self._definition = definition
        self._backend_fns = {device_type: finished}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._definition, name)


def find(op: Any, device: str) -> PythonKernel | LongWay:
    """The function that a call of the overload with plain tensors on the device runs, or why there is none."""
    if not _is_untouched(op):
        return LongWay.INSTRUMENTED
    name = op.name()
    dumps = dispatcher.dumps(name)
    registered = dispatcher.registered(dumps[0])
    key = str(_C._dispatch_key_for_device(device))
    own = key if key in registered else COMPOSITE
    if own not in registered:
        return LongWay.NOT_PYTHON
    found = kernel_record.function(name, own)
    if found is None or found.with_keyset:
        return LongWay.NOT_PYTHON
    if len(registered[own]) != 1:
        return LongWay.SEVERAL
    known = PythonKernel(op._op, weakref.ref(found.library), found.function, found.function)
    above = dispatcher.above(dumps[1], key)
    if _is("kernel", found.function):
        problem = _look_through(known, op, found.library, registered, above)
    else:
        problem = None if not any(above.values()) else LongWay.ABOVE
    if problem is not None:
        return problem
    if not _takes(known.function, op._schema):
        return LongWay.SIGNATURE
    known.dumps = dumps
    known.signature = zlib.crc32(str(op._schema).encode())
    return known


def _look_through(
    known: PythonKernel, op: Any, library: Any, registered: dict[str, list[str]], above: dict[str, str | None]
) -> LongWay | None:
    """Find the user's function behind ``custom_op``'s kernel; returns why that may not be called."""
    cells = _cells(known.kernel)
    definition, device_type = cells.get("self"), cells.get("device_type")
    if definition is None or definition._opoverload is not op or definition._lib is not library:
        return LongWay.NOT_PYTHON
    entry = definition._backend_fns.get(device_type)
    switch = getattr(entry, "__wrapped__", None)
    if not _is("switch", switch):
        return LongWay.NOT_PYTHON
    inner = _cells(switch)
    function = inner.get("fn", inner.get("function"))
    if inner.get("device_type") != device_type or not callable(function):
        return LongWay.NOT_PYTHON
    problem = _what_is_above(op, library, registered, above) or _what_it_returns(known, op, definition)
    known.definition, known.device_type, known.entry, known.function = definition, device_type, entry, function
    return problem


def _what_is_above(
    op: Any, library: Any, registered: dict[str, list[str]], above: dict[str, str | None]
) -> LongWay | None:
    """Whether what runs before the kernel is ``custom_op``'s own, and only that."""
    name, home = op.name(), op._handle.debug()
    expected = {"Autograd": "autograd"}
    if op._schema.is_mutable:
        expected["ADInplaceOrView"] = "versions"
    for key, where in above.items():
        role = expected.pop(key, None)
        if role is None and where is None:
            continue
        found = kernel_record.function(name, key)
        if role is None or where != home or found is None or found.library is not library:
            return LongWay.ABOVE
        if not _is(role, found.function) or (key == "Autograd" and len(registered.get(key, ())) != 1):
            return LongWay.ABOVE
    return LongWay.ABOVE if expected else None


def _what_it_returns(known: PythonKernel, op: Any, definition: Any) -> LongWay | None:
    schema = op._schema
    written = [one for one in schema.arguments if one.alias_info is not None and one.alias_info.is_write]
    if any(argument.has_default_value() for argument in written):
        return LongWay.ALIASES
    known.mutated = tuple(argument.name for argument in written)
    known.kind = "mutable" if written else "functional"
    if any(one.alias_info is not None for one in schema.returns):
        if not getattr(definition, "_is_out", False):
            return LongWay.ALIASES
        known.kind, known.outs = "out", tuple(definition._out_kwarg_names)
    return None


def _cells(function: Any) -> dict[str, Any]:
    closure = getattr(function, "__closure__", None) or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, closure)}


_OVERLOAD_CALL = _ops.OpOverload.__call__
_CALLS_ONLY_OP = _OVERLOAD_CALL.__code__.co_names == ("_op",)
_IS_TORCHS = _OVERLOAD_CALL.__code__.co_filename == _ops.__file__


def overloads_are_untouched() -> bool:
    """Whether a call of an overload is torch's own, with nobody's instrumentation around it."""
    return _IS_TORCHS and _ops.OpOverload.__call__ is _OVERLOAD_CALL


def calls_only_its_op(op: Any) -> bool:
    """Whether a call of the overload is a call of ``op._op``, the function in C++, and nothing more.

    So up to torch 2.14; not of an op of script objects, nor where somebody has instrumented the class.
    """
    return _CALLS_ONLY_OP and type(op) is _ops.OpOverload and overloads_are_untouched()


def _is_untouched(op: Any) -> bool:
    return (
        type(op) is _ops.OpOverload
        and overloads_are_untouched()
        and (isinstance(op._op, types.BuiltinFunctionType) or type(op._op).__name__ == "_PyObjectDispatchFunc")
    )


def _takes(function: Callable[..., Any], schema: _C.FunctionSchema) -> bool:
    """Whether the function may be called with the schema's arguments, and means by leaving one out what it does."""
    try:
        parameters = list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):
        return False
    if len(parameters) != len(schema.arguments) or hasattr(function, "__signature__"):
        return False
    by_name = {parameter.name: parameter for parameter in parameters}
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    may_be_left_out = any(argument.has_default_value() for argument in schema.arguments)
    for place, argument in enumerate(schema.arguments):
        if argument.kwarg_only:
            parameter = by_name.get(argument.name)
        else:
            parameter = positional[place] if place < len(positional) else None
        # After an argument that was left out, the rest go by name; one that begins with an underscore may be ours.
        if parameter is None or (may_be_left_out and parameter.name != argument.name) or argument.name[0] == "_":
            return False
        if argument.kwarg_only and parameter.kind is parameter.POSITIONAL_ONLY:
            return False
        # The dispatcher leaves out what equals the schema's default.
        if argument.has_default_value() and not same_value(parameter.default, argument.default_value):
            return False
    return True


def same_value(one: Any, other: Any) -> bool:
    """Whether two values of arguments are the same, sign of zero and all."""
    return type(one) is type(other) and repr(one) == repr(other)
