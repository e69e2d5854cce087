"""Does an out variant's kernel keep its contract? A check by hand, and of the first calls in compiled code.

The contract: the kernel writes every element of each out buffer that it is given, leaves the buffer
where and as it is, writes to nothing else, and returns nothing or the very buffers. Inductor's plan of
the memory rests on it, so a kernel that breaks it gives wrong numbers without an error.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch._ops import OpOverload, OpOverloadPacket
from torch.utils._pytree import tree_map

from compat_shim import shim
from compat_shim.out_variant import comparing, names, pairing
from compat_shim.out_variant import schema as schemas
from compat_shim.patching import log
from compat_shim.patching.errors import KernelContractError

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
        Name of a check → ``"SUCCESS"``, or what went wrong, also what a kernel raised. The checks are
        ``"pair"`` (an out variant is found), ``"fake"`` (the fake kernel foretells sizes, strides, dtypes and
        devices) and ``"out"`` (the contract is kept and both kernels agree); ``"functional"`` is there where
        the functional op itself fails. An op that differs from itself is "not deterministic, not compared".

    Raises:
        KernelContractError: with ``raise_exception``; the message names the op and what differs.
        TypeError: ``op`` is not an overload; the message names the overloads of a packet.
    """
    _require_overload(op)
    kwargs = dict(kwargs or {})
    results: dict[str, str] = {}

    def run(name: str, check: Callable[[], Any]) -> Any:
        results[name] = "SUCCESS"
        try:
            return check()
        except Exception as error:
            if raise_exception:
                raise
            is_ours = isinstance(error, KernelContractError)
            results[name] = str(error) if is_ours else f"{type(error).__name__}: {error}"
            return None

    pair = run("pair", lambda: _pair_of(op))
    if pair is None:
        return results
    given = pair.arguments_by_name(args, kwargs)
    expected = run("functional", lambda: _outputs(pair, op(*comparing.copy_of(args), **comparing.copy_of(kwargs))))
    if expected is None:
        return results
    del results["functional"]
    run("fake", lambda: _compare_layouts(pair, given, _fakes(pair, args, kwargs), expected))

    def call_out() -> None:
        buffers = [comparing.empty_like(tensor) for tensor in expected]
        not_compared = _call_and_compare(pair, {**given, **dict(zip(pair.out_names, buffers))})[1]
        results["out"] = not_compared or "SUCCESS"

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
    returned, not_compared = _call_and_compare(pair, schemas.by_name(out._schema.arguments, args, kwargs))
    if not_compared:
        log.warn(shim.current_settings(), not_compared)
        _compared[out.name()] = FIRST_CALLS
    return returned


def _is_capturing() -> bool:
    # A CUDA graph takes no comparison: it would wait for the device.
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _require_overload(op: Any) -> None:
    if isinstance(op, OpOverload):
        return
    if isinstance(op, OpOverloadPacket):
        schemas_found = names.schemas_of(op._qualified_op_name)
        found = [names.source(names.of_schema(schema)) for schema in schemas_found if not schema.is_mutable]
        raise TypeError(
            f"check_kernels takes an overload, not {op} with all of its overloads: pass {' or '.join(found)}"
        )
    raise TypeError(f"check_kernels takes an OpOverload such as torch.ops.ns.op.default, found {op!r}")


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


def _fakes(pair: pairing.Pair, args: Sequence[Any], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        convert = lambda value: mode.from_tensor(value) if isinstance(value, torch.Tensor) else value  # noqa: E731
        return _outputs(pair, pair.functional(*tree_map(convert, list(args)), **tree_map(convert, kwargs)))


def _compare_layouts(
    pair: pairing.Pair, inputs: dict[str, Any], promised: list[torch.Tensor], expected: list[torch.Tensor]
) -> None:
    """Compare what the fake kernel promised with what the functional op returned.

    Args:
        promised: tensors with the promised layout; in compiled code the out buffers, before the call.
    """
    for name, fake, real in zip(pair.out_names, promised, expected):
        what = comparing.other_layout(fake, real)
        if what:
            said, found = (tensor.stride() if what == "stride" else getattr(tensor, what) for tensor in (fake, real))
            raise KernelContractError(
                f"{pair.functional}: the fake kernel says {'strides' if what == 'stride' else what} {said} for output"
                f" {name!r}, the functional kernel returned {found}; {_culprit(pair, inputs, promised, expected)}"
            )


def _culprit(
    pair: pairing.Pair, inputs: dict[str, Any], promised: list[torch.Tensor], expected: list[torch.Tensor]
) -> str:
    """Which of fake, functional and out kernel is wrong: the one that the other two contradict."""
    takes_promised = _written(pair, inputs, promised) is not None
    written = _written(pair, inputs, expected)
    if written is None or any(map(comparing.difference, written, expected)):
        if takes_promised:
            return f"the out kernel agrees with the fake kernel: the functional kernel is wrong ({pair.functional})"
        return f"the out kernel agrees with neither ({pair.out})"
    # A kernel may broadcast into a larger buffer, so what it takes tells nothing where the sizes differ.
    if takes_promised and all(fake.shape == real.shape for fake, real in zip(promised, expected)):
        return "the out kernel takes either: the fake or the functional kernel is wrong"
    return "the out kernel agrees with the functional kernel: the fake kernel is wrong"


def _written(pair: pairing.Pair, inputs: dict[str, Any], layouts: list[torch.Tensor]) -> list[torch.Tensor] | None:
    """What the out kernel writes to buffers with these layouts; None if it does not take them."""
    buffers = [comparing.empty_like(layout) for layout in layouts]
    places = [comparing.place(buffer) for buffer in buffers]
    for buffer in buffers:
        comparing.poison(buffer)
    with torch.no_grad(), _same_random_numbers(inputs):
        try:
            pair.out(**comparing.copy_of(inputs), **dict(zip(pair.out_names, buffers)))
        except Exception:
            return None
    return buffers if [comparing.place(buffer) for buffer in buffers] == places else None


def _same_random_numbers(inputs: dict[str, Any]) -> Any:
    """Leaves the state of torch's generators as it was."""
    return torch.random.fork_rng(sorted({t.device.index for t in comparing.tensors(inputs) if t.is_cuda}))


def _functional(pair: pairing.Pair, inputs: dict[str, Any]) -> list[torch.Tensor]:
    with torch.no_grad(), _same_random_numbers(inputs):
        return _outputs(pair, pair.functional(**inputs))


def _call_and_compare(pair: pairing.Pair, arguments: dict[str, Any]) -> tuple[Any, str]:
    """Call both kernels with the same inputs and random state, and compare.

    Returns:
        The out variant's result; and why values were not compared, or nothing.
    """
    buffers = {name: arguments[name] for name in pair.out_names}
    inputs = {name: value for name, value in arguments.items() if name not in buffers}
    expected = _functional(pair, inputs)
    _compare_layouts(pair, inputs, list(buffers.values()), expected)
    before = comparing.copy_of(inputs)
    places = {name: comparing.place(buffer) for name, buffer in buffers.items()}
    for buffer in buffers.values():
        comparing.poison(buffer)

    with torch.no_grad():
        returned = pair.out(**arguments)

    for name, buffer in buffers.items():
        place = comparing.place(buffer)
        if place != places[name]:
            raise _broken(pair, f"it moved or resized its out buffer {name!r} from {places[name]} to {place}")
    _compare_returned(pair, returned, list(buffers.values()))
    not_compared = ""
    for (name, buffer), want in zip(buffers.items(), expected):
        difference = comparing.difference(buffer, want)
        if difference and not not_compared:
            if not _differs_from_itself(pair, before, expected):
                raise _broken(pair, f"out buffer {name!r} differs from what {pair.functional} returns: {difference}")
            not_compared = f"{pair.functional}: not deterministic, not compared with {pair.out}"
    for name, value in inputs.items():
        if any(map(comparing.difference, comparing.tensors(value), comparing.tensors(before[name]))):
            raise _broken(pair, f"it wrote to its input {name!r}")
    return returned, not_compared


def _differs_from_itself(pair: pairing.Pair, inputs: dict[str, Any], expected: list[torch.Tensor]) -> bool:
    """Whether the functional op, run twice more, returns something else: it draws numbers of its own, or counts."""
    again = (_functional(pair, comparing.copy_of(inputs)) for _ in range(2))
    return any(any(map(comparing.difference, outputs, expected)) for outputs in again)


def _broken(pair: pairing.Pair, what: str) -> KernelContractError:
    return KernelContractError(
        f"{pair.out} does not keep the contract of an out variant: {what}. Compiled code that calls it in place of"
        f" {pair.functional} gives wrong numbers; mend the kernel, or remove its tag or pair"
    )


def _compare_returned(pair: pairing.Pair, returned: Any, buffers: list[torch.Tensor]) -> None:
    if not pair.out._schema.returns:
        return
    found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    for name, value, buffer in zip(pair.out_names, found, buffers):
        if value is not buffer and comparing.place(value) != comparing.place(buffer):
            raise _broken(pair, f"it returned another tensor than its out buffer {name!r}")
