"""Is a tensor what its fake promised: plain and strided, with the device's own keys and no lazy bits? Asked in a step.

Dynamo's guards hold it for what they see. Nobody holds it for the inputs of a backward graph, of code that was
compiled without guards, and for what an op in the graph has returned.
"""

from __future__ import annotations

import torch
from torch import _C

_dispatch_keys = _C._dispatch_keys
_keys: dict[tuple[str, bool], frozenset[int]] = {}
_CLASSES = (torch.Tensor, torch.nn.Parameter)


def is_plain(value: object) -> bool:
    """Whether a kernel may be given ``value`` as it is; numbers and None may."""
    if not isinstance(value, torch.Tensor):
        return value is None or isinstance(value, (int, float))
    if type(value) not in _CLASSES:
        return False
    return _dispatch_keys(value).raw_repr() in keys(value.device.type)


def are_plain(*values: object) -> bool:
    """:func:`is_plain` of each, and of the members of lists."""
    return all(are_plain(*value) if isinstance(value, (list, tuple)) else is_plain(value) for value in values)


def keys(device: str, inference: bool = True) -> frozenset[int]:
    """The key sets of plain tensors on a type of device, as numbers; with those of inference mode, or without."""
    if device == "meta":
        return frozenset()
    found = _keys.get((device, inference))
    if found is None:
        found = _keys[device, inference] = frozenset(_key_set(device, mode) for mode in {False, inference})
    return found


def _key_set(device: str, inference: bool) -> int:
    with torch.inference_mode(inference):
        found: int = _dispatch_keys(torch.empty(0, device=device)).raw_repr()
    return found
