"""Does an out variant's kernel keep its contract? A check by hand, and of the first calls in compiled code.

The contract: the kernel writes every element of each out buffer that it is given, leaves the buffer
where and as it is, writes to nothing else, and returns nothing or the very buffers. Inductor's plan of
the memory rests on it, so a kernel that breaks it gives wrong numbers without an error.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from compat_shim.out_variant import pairing
from compat_shim.out_variant import schema as schemas
from compat_shim.patching.errors import KernelContractError

if TYPE_CHECKING:
    from torch._ops import OpOverload

# How many calls of an out variant are compared in compiled code, under COMPAT_SHIM_CHECK=1.
FIRST_CALLS = 3

_compared: collections.Counter[str] = collections.Counter()


def check_kernels(
    op: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None, *, raise_exception: bool = True
) -> dict[str, str]:
    """Compare the kernels of a functional op and of its out variant on real arguments.

    The out variant gets buffers with the sizes, strides, dtypes and devices that the functional op's
    outputs have, filled with NaN (integers: their largest value), as Inductor would pass them. In the
    manner of ``torch.library.opcheck``.

    Args:
        op: the functional op, an ``OpOverload`` such as ``torch.ops.ns.op.default``.
        args, kwargs: what it is called with; tensors of any shape, dtype and device that it takes.
        raise_exception: raise the first failure instead of returning it.

    Returns:
        Name of a check → ``"SUCCESS"`` or the failure's message. The checks are ``"pair"`` (an out
        variant is found), ``"fake"`` (the fake kernel foretells sizes, strides, dtypes and devices) and
        ``"out"`` (the contract is kept and both kernels agree).

    Raises:
        KernelContractError: with ``raise_exception``; the message names the op and what differs.
    """
    kwargs = dict(kwargs or {})
    results: dict[str, str] = {}

    def run(name: str, check: Callable[[], Any]) -> Any:
        try:
            value = check()
        except KernelContractError as error:
            if raise_exception:
                raise
            results[name] = str(error)
            return None
        results[name] = "SUCCESS"
        return value

    pair = run("pair", lambda: _pair_of(op))
    if pair is None:
        return results
    expected = _outputs(pair, op(*args, **kwargs))
    run("fake", lambda: _compare_with_fake(pair, args, kwargs, expected))

    def call_out() -> None:
        given = pair.arguments_by_name(args, kwargs)
        buffers = [torch.empty_strided(t.size(), t.stride(), dtype=t.dtype, device=t.device) for t in expected]
        _call_and_compare(pair, {**given, **dict(zip(pair.out_names, buffers))})

    run("out", call_out)
    return results


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
    return _call_and_compare(pair, schemas.by_name(out._schema.arguments, args, kwargs))


def _is_capturing() -> bool:
    # A CUDA graph takes no comparison: it would wait for the device.
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _pair_of(op: OpOverload) -> pairing.Pair:
    pair = pairing.find_pair(op)
    if pair is None:
        raise KernelContractError(f"{op}: no out variant is found; check_out_variant(op, out) says why")
    return pair


def _outputs(pair: pairing.Pair, outputs: Any) -> list[torch.Tensor]:
    found = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    if len(found) != len(pair.out_names) or not all(isinstance(value, torch.Tensor) for value in found):
        raise KernelContractError(
            f"{pair.functional} returned {[type(value).__name__ for value in found]}; its out variant"
            f" {pair.out} has {len(pair.out_names)} out arguments"
        )
    return found


def _compare_with_fake(
    pair: pairing.Pair, args: Sequence[Any], kwargs: dict[str, Any], expected: list[torch.Tensor]
) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        convert = lambda value: mode.from_tensor(value) if isinstance(value, torch.Tensor) else value  # noqa: E731
        fakes = _outputs(pair, pair.functional(*tree_map(convert, list(args)), **tree_map(convert, kwargs)))
    for name, fake, real in zip(pair.out_names, fakes, expected):
        for what in ("shape", "dtype", "device"):
            if getattr(fake, what) != getattr(real, what):
                raise KernelContractError(
                    f"{pair.functional}: the fake kernel says {what} {getattr(fake, what)} for output {name!r}, the"
                    f" kernel returned {getattr(real, what)}"
                )
        if real.numel() and fake.stride() != real.stride():
            raise KernelContractError(
                f"{pair.functional}: the fake kernel says strides {fake.stride()} for output {name!r}, the kernel"
                f" returned {real.stride()}"
            )


def _call_and_compare(pair: pairing.Pair, arguments: dict[str, Any]) -> Any:
    """Call both kernels with the same inputs and random state, compare; returns the out variant's result."""
    buffers = {name: arguments[name] for name in pair.out_names}
    inputs = {name: value for name, value in arguments.items() if name not in buffers}
    devices = sorted({t.device.index for t in tree_leaves(arguments) if isinstance(t, torch.Tensor) and t.is_cuda})
    with torch.no_grad(), torch.random.fork_rng(devices):
        expected = _outputs(pair, pair.functional(**inputs))
    before = tree_map(lambda value: value.clone() if isinstance(value, torch.Tensor) else value, inputs)
    places = {name: _place(buffer) for name, buffer in buffers.items()}
    for buffer in buffers.values():
        _poison(buffer)

    with torch.no_grad():
        returned = pair.out(**arguments)

    for name, buffer in buffers.items():
        if _place(buffer) != places[name]:
            raise _broken(pair, f"it moved or resized its out buffer {name!r} from {places[name]} to {_place(buffer)}")
    _compare_returned(pair, returned, list(buffers.values()))
    for (name, buffer), want in zip(buffers.items(), expected):
        difference = _difference(buffer, want)
        if difference:
            raise _broken(pair, f"out buffer {name!r} differs from what {pair.functional} returns: {difference}")
    for name, value in inputs.items():
        if any(_difference(now, then) for now, then in zip(_tensors(value), _tensors(before[name]))):
            raise _broken(pair, f"it wrote to its input {name!r}")
    return returned


def _broken(pair: pairing.Pair, what: str) -> KernelContractError:
    return KernelContractError(
        f"{pair.out} does not keep the contract of an out variant: {what}. Compiled code that calls it in place of"
        f" {pair.functional} gives wrong numbers; mend the kernel, or remove its tag or pair"
    )


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _place(tensor: torch.Tensor) -> tuple[Any, ...]:
    return (tuple(tensor.shape), tensor.stride(), tensor.storage_offset(), tensor.dtype, tensor.data_ptr())


def _compare_returned(pair: pairing.Pair, returned: Any, buffers: list[torch.Tensor]) -> None:
    if not pair.out._schema.returns:
        return
    found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    for name, value, buffer in zip(pair.out_names, found, buffers):
        if value is not buffer and _place(value) != _place(buffer):
            raise _broken(pair, f"it returned another tensor than its out buffer {name!r}")


def _poison(tensor: torch.Tensor) -> None:
    """Fill a buffer with what a kernel hardly computes, so that an element left out shows."""
    if tensor.dtype.is_floating_point and tensor.dtype.itemsize == 1:
        tensor.view(torch.uint8).fill_(0xFF)
    elif tensor.dtype.is_floating_point or tensor.dtype.is_complex:
        tensor.fill_(float("nan"))
    elif tensor.dtype is torch.bool:
        tensor.fill_(True)
    else:
        tensor.fill_(torch.iinfo(tensor.dtype).max)


def _difference(found: torch.Tensor, expected: torch.Tensor) -> str:
    """In words, or nothing. Two kernels of one op may round differently: torch.testing's tolerances."""
    if found.dtype.is_floating_point and found.dtype.itemsize == 1 and found.dtype == expected.dtype:
        found, expected = found.float(), expected.float()
    try:
        torch.testing.assert_close(found, expected, equal_nan=True)
    except AssertionError as error:
        return " ".join(str(error).split())
    return ""
