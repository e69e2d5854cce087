"""May this call be lowered to its out variant? A decision with a reason, before any node is made."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from compat_shim.calls import variables
from compat_shim.out_variant import kernels
from compat_shim.out_variant.lowering import cache_key, releases
from compat_shim.out_variant.lowering.overlap import may_overlap
from compat_shim.out_variant.pairing import Pair

COUNTER = "compat_shim"


class Decline(enum.Enum):
    """Why a call that has an out variant keeps torch's own fallback. The value says it in words."""

    CPP_WRAPPER = "the C++ wrapper of this torch cannot call the out variant"
    FX_WRAPPER = "the FX wrapper of this torch cannot call the out variant"
    CUSTOM_CODEGEN = "the op has a custom wrapper codegen"
    EFFECTS = "the op is called for an effect, whose order hangs on torch's own kernel"
    UNSEEN = "the cache key lacks the pair: it was registered unseen (no torch.library, no import), or since"
    NO_KERNEL = kernels.Unfit.NO_KERNEL.value
    GENERIC_KERNEL = kernels.Unfit.GENERIC_KERNEL.value
    EXCHANGED = kernels.Unfit.EXCHANGED.value
    STRIDES = "the out variant's tag asks for more of its inputs' strides than the functional op's: tag both alike"
    DEVICE = "an output is on a device that no input is on, so the out variant's call would run another kernel"
    DATA_DEPENDENT = "the size of an output depends on data"
    NOT_TENSORS = "the fake kernel returns something other than one Tensor for each out argument"
    LAYOUT = "an output is not a plain strided tensor"
    OVERLAP = "an output's strides make its elements overlap"
    ALIAS = "an output shares storage with another output or with an input"


def count(event: str) -> None:
    """Count an event in ``torch._dynamo.utils.counters["compat_shim"]``.

    And in ``counters["inductor"]``, of which torch keeps with a cached graph what was counted while it was compiled,
    and counts that anew on a cache hit.
    """
    # Not at the top: this module may be imported while torch._dynamo.utils is.
    from torch._dynamo.utils import counters

    counters[COUNTER][event] += 1
    counters["inductor"][f"{COUNTER}: {event}"] += 1


def for_effect() -> Decline | None:
    """The reason that lies in where the call stands in the graph."""
    return Decline.EFFECTS if releases.is_called_for_an_effect() else None


def kernel_device(inputs: Sequence[Any], device: torch.device | None) -> torch.device | None:
    """The device whose kernel the functional call runs: one other than the CPU goes before it.

    Args:
        inputs: the call's arguments.
        device: that of the first of them, or of an output of a call without tensors.
    """
    return next((tensor.device for tensor in _tensors(inputs) if tensor.device.type != "cpu"), device)


def before_fake(pair: Pair, device: torch.device | None) -> Decline | None:
    """The reasons that hold for every call of the op on that device in the graph."""
    refuses = releases.wrapper_refuses(device, pair.out)
    if refuses is not None:
        return Decline.CPP_WRAPPER if refuses == "cpp" else Decline.FX_WRAPPER
    if variables.has_custom_codegen(releases.kernel_name(pair.functional)):
        return Decline.CUSTOM_CODEGEN
    if releases.wants_stricter_strides(pair.functional, pair.out):
        return Decline.STRIDES
    if cache_key.lacks(pair):
        return Decline.UNSEEN  # the next graph's key will have it
    if device is not None:
        unfit = kernels.unfit(pair.functional.name(), pair.out.name(), device.type, pair.source)
        if unfit is not None:
            return Decline[unfit.name]
    return None


def after_fake(pair: Pair, example_output: Any, example_inputs: Sequence[Any], unbacked: Any) -> Decline | None:
    """The reasons that the fake outputs show.

    Args:
        example_output: what the functional op's fake kernel returned.
        example_inputs: the arguments that it was given.
        unbacked: the symbols that the outputs define, if any.
    """
    if unbacked:
        return Decline.DATA_DEPENDENT
    outputs = list(example_output) if isinstance(example_output, (tuple, list)) else [example_output]
    if len(outputs) != len(pair.out_names) or not all(isinstance(value, torch.Tensor) for value in outputs):
        return Decline.NOT_TENSORS
    if not all(_is_plain(output) for output in outputs):
        return Decline.LAYOUT
    on = {tensor.device.type for tensor in _tensors(example_inputs)}
    others = {output.device.type for output in outputs} - on - {"cpu"}
    shared = (kernels.Kind.COMPOSITE, kernels.Kind.DEFAULT)  # one kernel for all devices
    if on and any(kernels.kind(pair.out.name(), device) not in shared for device in others):
        return Decline.DEVICE
    if any(may_overlap(output) for output in outputs):
        return Decline.OVERLAP
    storages = [_storage(tensor) for tensor in outputs]
    taken = {_storage(tensor) for tensor in _tensors(example_inputs)}
    if len(set(storages)) < len(storages) or not taken.isdisjoint(storages):
        return Decline.ALIAS
    return None


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """The tensors among the arguments of a call, also in lists."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _is_plain(tensor: torch.Tensor) -> bool:
    return (
        tensor.layout is torch.strided
        and not tensor.is_quantized
        and not tensor.is_conj()
        and not tensor.is_neg()
        and tensor.device.type != "meta"
    )


def _storage(tensor: torch.Tensor) -> int:
    if tensor.layout is not torch.strided:
        return id(tensor)
    return tensor.untyped_storage()._cdata
