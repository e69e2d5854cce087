"""What compiled code calls in place of an out variant under ``COMPAT_SHIM_CHECK=1``."""

from __future__ import annotations

import collections
from typing import Any

import torch
from torch._ops import OpOverload

from compat_shim import process
from compat_shim.out_variant import contract, in_place, pairing, reuse
from compat_shim.out_variant import schema as schemas
from compat_shim.patching import log

# How many calls of an out variant are compared.
FIRST_CALLS = 3

_compared: collections.Counter[str] = collections.Counter()
_in_place: collections.Counter[str] = collections.Counter()  # calls whose data was tried in place


def checked(functional: OpOverload, out: OpOverload, /, *args: Any, **kwargs: Any) -> Any:
    """Call ``out``, comparing its first calls with ``functional``: in compiled code, under ``COMPAT_SHIM_CHECK=1``.

    Its own two arguments are positional: most out arguments are named ``out``, and are passed by name.

    Raises:
        KernelContractError: the message names the op and what differs.
    """
    pair = pairing.find_pair(functional)
    if pair is None or pair.out != out or _is_capturing():
        return out(*args, **kwargs)
    compares = _compared[out.name()] < FIRST_CALLS
    tries = _in_place[out.name()] < FIRST_CALLS and bool(reuse.declared(pair))
    if not (compares or tries):
        return out(*args, **kwargs)
    arguments = schemas.by_name(out._schema.arguments, args, kwargs)
    if tries:
        _try_in_place(pair, arguments)
    if not compares:
        return out(*args, **kwargs)
    _compared[out.name()] += 1
    returned, not_compared = contract.call_and_compare(pair, arguments)
    if not_compared:
        log.warn(process.settings(), not_compared)
        _compared[out.name()] = FIRST_CALLS
    return returned


def _try_in_place(pair: pairing.Pair, arguments: dict[str, Any]) -> None:
    """Try what ``may_reuse_input`` says on a call's data. A call whose layouts do not fit tries nothing."""
    given = {name: value for name, value in arguments.items() if name not in pair.out_names}
    if in_place.compare(pair, given, [arguments[name] for name in pair.out_names]) != in_place.NO_LAYOUT:
        _in_place[pair.out.name()] += 1


def _is_capturing() -> bool:
    # A CUDA graph takes no comparison: it would wait for the device.
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
