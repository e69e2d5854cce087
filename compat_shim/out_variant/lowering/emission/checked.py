"""What compiled code calls in place of an out variant under ``COMPAT_SHIM_CHECK=1``."""

from __future__ import annotations

import collections
from typing import Any

import torch
from torch._ops import OpOverload

from compat_shim import process
from compat_shim.out_variant import contract, pairing
from compat_shim.out_variant import schema as schemas
from compat_shim.patching import log

# How many calls of an out variant are compared.
FIRST_CALLS = 3

_compared: collections.Counter[str] = collections.Counter()


def checked(functional: OpOverload, out: OpOverload, /, *args: Any, **kwargs: Any) -> Any:
    """Call ``out``, comparing its first calls with ``functional``: in compiled code, under ``COMPAT_SHIM_CHECK=1``.

    Its own two arguments are positional: most out arguments are named ``out``, and are passed by name.

    Raises:
        KernelContractError: the message names the op and what differs.
    """
    pair = pairing.find_pair(functional)
    if pair is None or pair.out != out or _compared[out.name()] >= FIRST_CALLS or _is_capturing():
        return out(*args, **kwargs)
    _compared[out.name()] += 1
    arguments = schemas.by_name(out._schema.arguments, args, kwargs)
    contract.compare_in_place(pair, {name: arguments[name] for name in arguments if name not in pair.out_names})
    returned, not_compared = contract.call_and_compare(pair, arguments)
    if not_compared:
        log.warn(process.settings(), not_compared)
        _compared[out.name()] = FIRST_CALLS
    return returned


def _is_capturing() -> bool:
    # A CUDA graph takes no comparison: it would wait for the device.
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
