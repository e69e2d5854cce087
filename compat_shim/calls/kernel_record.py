"""Which kernels Python registered for an op, and when: torch keeps no record of that.

An out variant must not stand for a functional op whose kernel was exchanged after its own was registered, and compiled
code that calls a kernel without the dispatcher must call the function that the dispatcher would.
"""

from __future__ import annotations

import dataclasses
import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.library import Library

from compat_shim import process

BUILTIN = ("aten", "prim", "prims")  # torch's own ops, as torch._library.utils.is_builtin has it

# Who registered kernels from Python, oldest first, each library once: when, the library, and whether calls
# ran another kernel until then. A library is held weakly, and its kernels go with it.
_Kernel = tuple[int, "weakref.ref[Library]", bool]
_kernels: dict[tuple[str, str], list[_Kernel]] = process.shared("kernels", dict)  # by overload and dispatch key
_moments: Iterator[int] = process.shared("moments", lambda: itertools.count(1))
# The overloads of which a kernel was exchanged at some time: few.
_exchanged: set[str] = process.shared("exchanged", set)
# How often a kernel was registered from Python: a change says that a call may run another one.
registrations: list[int] = process.shared("registrations", lambda: [0])

# The functions are an attribute of their library: a table of ours would keep alive what their closures hold, which
# may be the library.
_FUNCTIONS = "compat_shim_functions"

COMPOSITE_KEYS = (  # in the order in which the dispatcher takes them for a device without a kernel of its own
    "CompositeExplicitAutogradNonFunctional",
    "CompositeExplicitAutograd",
    "CompositeImplicitAutograd",
)


def kernel(name: str, key: str) -> tuple[int, bool]:
    """The kernel that an overload has under a dispatch key: when it was registered, and whether in exchange.

    It is an exchange if calls ran another kernel until then, of that key or a composite one. The moment is 0
    for a kernel that was registered unseen: by C++, or while the shim was not active.
    """
    newest = _newest(name, key)
    return (0, False) if newest is None else (newest[0], newest[2])


def _newest(name: str, key: str) -> _Kernel | None:
    """The kernel that was registered last by a library that is still loaded."""
    return next((one for one in reversed(_kernels.get((name, key), ())) if is_loaded(one[1])), None)


@dataclasses.dataclass(frozen=True)
class Function:
    """A Python function that a library has registered as a kernel.

    Attributes:
        library: which library.
        function: what it was given.
        with_keyset: whether the function takes the dispatcher's key set before the op's arguments.
    """

    library: Library
    function: Callable[..., Any]
    with_keyset: bool


def function(name: str, key: str) -> Function | None:
    """What was registered last for an overload under a dispatch key; None if it was registered unseen."""
    newest = _newest(name, key)
    library = None if newest is None else newest[1]()
    found = None if library is None else vars(library).get(_FUNCTIONS, {}).get((name, key))
    return None if library is None or found is None else Function(library, *found)


def was_exchanged(name: str) -> bool:
    """Whether a kernel of the overload was ever exchanged. Most were not, and are not looked at any closer."""
    return name in _exchanged


def wrap_impl(original: Callable[..., Any]) -> Callable[..., Any]:
    """``Library.impl`` that keeps a record of the kernels: every way to register one in Python ends here."""
    registrations[0] += 1  # while the shim was not active, one may have come unseen

    def impl(self: Library, op_name: Any, fn: Any, dispatch_key: str = "", **options: Any) -> Any:
        name = _recorded(self, op_name)
        if name is None:
            return original(self, op_name, fn, dispatch_key, **options)
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        if key == "Meta":  # a fake kernel: no device runs it
            return original(self, op_name, fn, dispatch_key, **options)
        exchange = _has_kernel(name, key)
        result = original(self, op_name, fn, dispatch_key, **options)
        _record(self, name, key, exchange)
        vars(self).setdefault(_FUNCTIONS, {})[name, key] = (fn, bool(options.get("with_keyset")))
        return result

    return impl


def wrap_register_kernel(original: Callable[..., Any]) -> Callable[..., Any]:
    """``CustomOpDef.register_kernel`` that records what ``Library.impl`` does not see.

    For a device type that has a kernel already the function is exchanged, and the dispatcher is not asked.
    """

    def register_kernel(self: Any, device_types: Any, fn: Any = None, /) -> Any:
        if device_types is not None and not isinstance(device_types, str):
            device_types = list(device_types)
        register = original(self, device_types)

        def recorded(function: Any) -> Any:
            types = device_types if isinstance(device_types, list) else [device_types]
            exchanged = [device_type for device_type in types if device_type in self._backend_fns]
            result = register(function)
            for device_type in exchanged:
                _record(self._lib, self._qualname, _key_of(device_type), True)
            return result

        return recorded if fn is None else recorded(fn)

    return register_kernel


def _recorded(library: Library, op_name: Any) -> str | None:
    """The name of the overload, if its kernels are recorded: torch's own are not."""
    name = op_name if isinstance(op_name, str) else getattr(op_name, "_name", None)
    namespace = getattr(library, "ns", None)  # under torch::deploy (up to 2.8) a library is empty, and does nothing
    if not isinstance(name, str) or namespace is None or namespace in BUILTIN:
        return None
    return f"{namespace}::{name.rpartition('::')[2]}"


def _record(library: Library, name: str, key: str, exchange: bool) -> None:
    others = [one for one in _kernels.get((name, key), ()) if is_loaded(one[1]) and one[1]() is not library]
    _kernels[name, key] = [*others, (next(_moments), weakref.ref(library), exchange)]
    registrations[0] += 1
    if exchange:
        _exchanged.add(name)


def _has_kernel(name: str, key: str) -> bool:
    """Whether calls run a kernel that one registered under the key would replace."""
    if not torch._C._dispatch_has_kernel(name):  # no such op yet
        return False
    if key not in COMPOSITE_KEYS:
        try:
            return bool(torch._C._dispatch_has_computed_kernel_for_dispatch_key(name, key))
        except RuntimeError:  # no key of a device, or none at all
            return False
    return any(torch._C._dispatch_has_kernel_for_dispatch_key(name, composite) for composite in COMPOSITE_KEYS)


def _key_of(device_type: str | None) -> str:
    return "CompositeExplicitAutograd" if device_type is None else str(torch._C._dispatch_key_for_device(device_type))


def is_loaded(reference: weakref.ref[Library]) -> bool:
    """Whether a library lives and has not been destroyed."""
    library = reference()
    return library is not None and library.m is not None
