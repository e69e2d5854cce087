"""The functions that were found already, each looked up again where a kernel may have come or gone."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import torch

from compat_shim.calls import dispatcher, kernel_record, python_kernel
from compat_shim.calls.long_way import LongWay
from compat_shim.calls.python_kernel import PythonKernel

Now = tuple[int, ...]
_registered, _library, _ops = kernel_record.registrations, torch.library, torch.ops

# By overload and device type: when it was looked up, the overload, and what was found. All is held weakly but for
# reasons. A kernel that was found is an attribute of the library that registered it, and goes with it: what its
# closures hold may lead to the library and the overload.
_Key = tuple[int, str]
_known: dict[_Key, tuple[Now, weakref.ref[Any], weakref.ref[PythonKernel] | LongWay]] = {}
_KERNELS = "compat_shim_kernels"


def registrations() -> Now:
    """Differs from before where a kernel may have come or gone, by Python or by a library in C++ that was loaded."""
    return _registered[0], len(_library._impls), len(_ops.loaded_libraries), len(sys.modules)


def find(op: Any, device: str, now: Now | None = None) -> PythonKernel | LongWay:
    """What ``python_kernel.find`` says of an overload on a device; ``now`` is what ``registrations()`` says."""
    if now is None:
        now = registrations()
    key = id(op), device
    entry = _known.get(key)
    if entry is not None:
        kept = entry[2]
        if isinstance(kept, LongWay):
            if entry[0] == now:
                return kept
        else:
            kernel = kept()
            if kernel is not None and kernel.holds(op) and (entry[0] == now or _is_as_it_was(op, key, now, kernel)):
                return LongWay.DISABLED if kernel.is_switched_off() else kernel
    return _look(op, key, now)


def _is_as_it_was(op: Any, key: _Key, now: Now, kernel: PythonKernel) -> bool:
    """Whether what came or went since is no kernel of this op: most modules that are imported bring none."""
    if dispatcher.dumps(op.name()) != kernel.dumps:
        return False
    _known[key] = (now, *_known[key][1:])
    return True


def _look(op: Any, key: _Key, now: Now) -> PythonKernel | LongWay:
    found = python_kernel.find(op, key[1])
    if found is LongWay.INSTRUMENTED:
        return found
    mine = weakref.ref(op, lambda _: _known.pop(key, None))
    if isinstance(found, LongWay):
        _known[key] = now, mine, found
        return found
    library = found.library()
    if library is None:
        return LongWay.NOT_PYTHON
    vars(library).setdefault(_KERNELS, {})[key] = found
    _known[key] = now, mine, weakref.ref(found)
    return LongWay.DISABLED if found.is_switched_off() else found
