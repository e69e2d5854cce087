"""What kernels the overloads of a pair have for a device, and whether they let the one stand for the other."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator

import torch

from compat_shim.calls import kernel_record

# What torch was built for, as torch._C says it.
_BUILT_FOR = {"cuda": "_has_cuda", "xpu": "_has_xpu", "mps": "_has_mps"}

# The names of the tags by which an op says which strides its kernel takes its inputs with, from any on.
STRIDE_TAGS = ("flexible_layout", "needs_fixed_stride_order", "needs_exact_strides", "needs_contiguous_strides")


class Kind(enum.Enum):
    """How specific a kernel is. The value is what the cache key holds."""

    NONE = "-"
    COMPOSITE = "composite"
    DEFAULT = "default"  # a custom_op's: registered as a composite one, but it is the author's own
    OWN = "own"


class Unfit(enum.Enum):
    """Why a pair's out variant is not called on a device. The value says it in words."""

    NO_KERNEL = "the out variant has no kernel for the device"
    GENERIC_KERNEL = "the out variant has a composite kernel only, and the functional op one of its own for the device"
    EXCHANGED = "the functional op's kernel for the device was exchanged after the out variant had got its own"


REMEDIES = {
    "NO_KERNEL": "register the out variant's kernel for the device too",
    "GENERIC_KERNEL": "register the out variant's own kernel for the device, or pair the two by register_out_variant",
    "EXCHANGED": "register the out variant's kernel for the device anew, or pair the two by register_out_variant",
}


def unfit(functional: str, out: str, device: str, source: str) -> Unfit | None:
    """Why calls of a functional op on a device are not lowered to its out variant, as far as kernels go.

    Args:
        functional, out: the names of the overloads.
        device: the type, ``"cuda"``.
        source: how they were paired; ``"registered"`` is the user's word, which goes before kinds and moments.
    """
    mine, theirs = kind(functional, device), kind(out, device)
    if theirs is Kind.NONE:
        return Unfit.NO_KERNEL
    if source == "registered":
        return None
    if mine is Kind.OWN and theirs is Kind.COMPOSITE:
        return Unfit.GENERIC_KERNEL
    return Unfit.EXCHANGED if exchanged(functional, out, device) else None


def exchanged(functional: str, out: str, device: str) -> bool:
    """Whether eager code runs a kernel that the out variant's was not made for.

    The rule: the kernel that calls of the functional op run on the device *took the place of another one*
    (of the same key, or of a composite or default one), and did so *after* the kernel was registered that
    calls of the out variant run there. So

    - the first kernel for a device is no exchange, whichever of the two ops got its own first;
    - a default kernel and one for the device that were both registered before the out variant's are none;
    - registering the out variant's kernel after the exchange makes the pair good again;
    - so does the end of the library that brought the exchange;
    - while ``set_kernel_enabled`` switches a custom_op's kernel off, the op's first function stands in its place.

    What cannot be told from an exchange is one: an op with a default kernel that gets its first own kernel for
    a device after the out variant's. Kernels that C++ or an inactive shim's process registered are unseen: they
    exchange nothing, and count as registered before all others.
    """
    if _is_switched_off(functional, device):
        return True
    if not kernel_record.was_exchanged(functional):
        return False
    moment, exchange = kernel_record.kernel(functional, _serving_key(functional, device))
    return exchange and moment > kernel_record.kernel(out, _serving_key(out, device))[0]


def _is_switched_off(name: str, device: str) -> bool:
    definition = torch._library.custom_ops.OPDEFS.get(name)
    switched_off = getattr(definition, "_disabled_kernel", ())
    return bool(switched_off) and (device if device in definition._backend_fns else None) in switched_off


def _serving_key(name: str, device: str) -> str:
    """The dispatch key of the kernel that calls on the device run; empty if there is none."""
    for key in (torch._C._dispatch_key_for_device(device), *kernel_record.COMPOSITE_KEYS):
        if torch._C._dispatch_has_kernel_for_dispatch_key(name, key):
            return str(key)
    return ""


def limits(functional: str, out: str, source: str) -> Iterator[str]:
    """On which devices calls of a pair are not lowered, why, and what changes that: one line a reason.

    A device for which both ops have nothing but composite kernels, or none, is not meant.
    """
    found: dict[Unfit, list[str]] = {}
    for device in devices():
        why = unfit(functional, out, device, source)
        if why is Unfit.NO_KERNEL and kind(functional, device) is not Kind.OWN:
            continue
        if why is not None:
            found.setdefault(why, []).append(device)
    for why, where in found.items():
        yield f"not on {', '.join(where)}: {why.value}; {REMEDIES[why.name]}"


def kind(name: str, device: str) -> Kind:
    """The kind of kernel that a call of the overload on a device runs.

    Args:
        name: of the overload, ``ns::op.out``.
        device: the type, ``"cuda"``.
    """
    key = torch._C._dispatch_key_for_device(device)
    # This one counts composite kernels, and takes a third of the time.
    if not torch._C._dispatch_has_computed_kernel_for_dispatch_key(name, key):
        return Kind.NONE
    if torch._C._dispatch_has_kernel_for_dispatch_key(name, key):
        return Kind.OWN
    return Kind.DEFAULT if name in torch._library.custom_ops.OPDEFS else Kind.COMPOSITE


def devices() -> list[str]:
    """The types of device that this process may compile for: the others' kernels decide nothing.

    Each costs a pair some calls into the dispatcher for every graph, in the cache key.
    """
    found = [device for device, has in _BUILT_FOR.items() if getattr(torch._C, has, False)]
    if not found:  # asked in a build for CUDA, it would initialise the driver, which no fork survives
        found.append(torch._C._get_accelerator().type)
    foreign = torch._C._get_privateuse1_backend_name()
    if hasattr(torch, foreign):  # a backend whose device module is not registered compiles nothing
        found.append(foreign)
    return list(dict.fromkeys(["cpu", *found]))


def exchanges(functional: str, out: str, devices: Iterable[str]) -> str:
    """The devices on which the functional op's kernel was exchanged, for the cache key; empty for most pairs."""
    return " ".join(device for device in devices if exchanged(functional, out, device))


def kinds(name: str, devices: Iterable[str]) -> str:
    """The kinds of kernels that the overload has, for the cache key: ``cpu=own cuda=composite``."""
    found = ((device, kind(name, device)) for device in devices)
    return " ".join(f"{device}={which.value}" for device, which in found if which is not Kind.NONE)
