"""Tensors of any dtype, filled with poison, copied and compared; those without arithmetic by their bytes."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def poison(tensor: torch.Tensor) -> None:
    """Fill a buffer with what a kernel hardly computes, so that an element left out shows."""
    if not _has_arithmetic(tensor.dtype):
        tensor = _as_integers(tensor)
    if tensor.dtype.is_floating_point and tensor.dtype.itemsize == 1:
        tensor.view(torch.uint8).fill_(0xFF)
    elif tensor.dtype.is_floating_point or tensor.dtype.is_complex:
        tensor.fill_(float("nan"))
    elif tensor.dtype is torch.bool:
        tensor.fill_(True)
    else:
        tensor.fill_(torch.iinfo(tensor.dtype).max)


def difference(found: torch.Tensor, expected: torch.Tensor) -> str:
    """In words, or nothing. Two kernels of one op may round differently: torch.testing's tolerances."""
    if found.dtype == expected.dtype:
        if not _has_arithmetic(found.dtype):
            found, expected = _as_integers(found), _as_integers(expected)
        elif found.dtype.is_floating_point and found.dtype.itemsize == 1:
            found, expected = found.float(), expected.float()
    try:
        torch.testing.assert_close(found, expected, equal_nan=True)
    except AssertionError as error:
        return " ".join(str(error).split())
    return ""


def copy_of(value: Any) -> Any:
    """The same with each tensor copied, in lists too."""
    return tree_map(lambda leaf: _copy(leaf) if isinstance(leaf, torch.Tensor) else leaf, value)


def tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def place(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What a kernel must leave as it is."""
    return (tuple(tensor.shape), tensor.stride(), tensor.storage_offset(), tensor.dtype, tensor.data_ptr())


def other_layout(one: torch.Tensor, other: torch.Tensor) -> str:
    """In which respect the two differ, or nothing: ``"shape"``, ``"dtype"``, ``"device"`` or ``"stride"``."""
    for what in ("shape", "dtype", "device"):
        if getattr(one, what) != getattr(other, what):
            return what
    # The stride of a dimension of one element says nothing, as torch's assert_size_stride has it.
    strides = zip(one.shape, one.stride(), other.stride())
    return "stride" if one.numel() and any(size != 1 and left != right for size, left, right in strides) else ""


def empty_like(tensor: torch.Tensor) -> torch.Tensor:
    """A buffer with the layout of ``tensor``, which may be a fake one."""
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=tensor.device)


def poisoned_like(tensor: torch.Tensor) -> torch.Tensor:
    """:func:`empty_like`, with :func:`poison` in it."""
    buffer = empty_like(tensor)
    poison(buffer)
    return buffer


def exact_copy(tensor: torch.Tensor) -> torch.Tensor:
    """A copy with the same strides, also where these leave gaps."""
    copy = empty_like(tensor)
    source, target = (tensor, copy) if _has_arithmetic(tensor.dtype) else (_as_integers(tensor), _as_integers(copy))
    target.copy_(source)
    return copy


def shuffled(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers of ``tensor`` in random order and its layout; from 0 to 1 where they are all equal.

    Args:
        tensor: of a dtype that :func:`has_fractions`, not empty. An expanded one stays expanded.
    """
    base = tensor[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in tensor.stride())]
    numbers = base.reshape(-1)
    exact = numbers.float() if tensor.dtype.itemsize == 1 else numbers  # torch neither compares nor draws fp8
    if bool((exact == exact[0]).all()):
        numbers = torch.rand(exact.shape, dtype=exact.dtype, device=tensor.device)
    else:
        numbers = exact[torch.randperm(len(exact), device=tensor.device)]
    return empty_like(base).copy_(numbers.view(base.shape)).expand(tensor.shape)


def has_fractions(dtype: torch.dtype) -> bool:
    """Whether a dtype is one of floating point or complex numbers, with arithmetic."""
    return (dtype.is_floating_point or dtype.is_complex) and _has_arithmetic(dtype)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone() if _has_arithmetic(tensor.dtype) else _as_integers(tensor).clone().view(tensor.dtype)


@functools.cache
def _has_arithmetic(dtype: torch.dtype) -> bool:
    try:
        torch.empty(1, dtype=dtype, device="cpu").fill_(1)
    except (NotImplementedError, RuntimeError):  # float4_e2m1fn_x2, bits8, int4, ...
        return False
    return True


def _as_integers(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view(_INTEGERS[tensor.dtype.itemsize])
