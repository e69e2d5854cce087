"""What kind of kernel an overload has for a device: one of its own, a composite one, or none."""

from __future__ import annotations

import enum

DEVICES = ("cpu", "cuda", "xpu", "mps", "hpu", "mtia", "privateuseone")


class Kind(enum.Enum):
    """How specific a kernel is. The value is what the cache key holds."""

    NONE = "-"
    COMPOSITE = "composite"
    DEFAULT = "default"  # a custom_op's: registered as a composite one, but it is the author's own
    OWN = "own"


def kind(name: str, device: str) -> Kind:
    """The kind of kernel that a call of the overload on a device runs.

    Args:
        name: of the overload, ``ns::op.out``.
        device: the type, ``"cuda"``.
    """
    import torch

    key = torch._C._dispatch_key_for_device(device)
    # This one counts composite kernels, and takes a third of the time.
    if not torch._C._dispatch_has_computed_kernel_for_dispatch_key(name, key):
        return Kind.NONE
    if torch._C._dispatch_has_kernel_for_dispatch_key(name, key):
        return Kind.OWN
    return Kind.DEFAULT if name in torch._library.custom_ops.OPDEFS else Kind.COMPOSITE


def kinds(name: str) -> str:
    """The kinds of kernels that the overload has, for the cache key: ``cpu=own cuda=composite``."""
    found = ((device, kind(name, device)) for device in DEVICES)
    return " ".join(f"{device}={which.value}" for device, which in found if which is not Kind.NONE)
