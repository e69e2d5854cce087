"""Does a call of an out variant's kernel keep its contract?

The contract: the kernel writes every element of each out buffer that it is given, leaves the buffer
where and as it is, writes to nothing else, and returns nothing or the very buffers. Inductor's plan of
the memory rests on it, so a kernel that breaks it gives wrong numbers without an error.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._ops import OpOverload

from compat_shim.out_variant import comparing, pairing
from compat_shim.patching.errors import KernelContractError


def pair_of(op: OpOverload) -> pairing.Pair:
    pair = pairing.find_pair(op)
    if pair is None:
        raise KernelContractError(f"{op}: no out variant is found; check_out_variant(op, out) says why")
    return pair


def outputs(pair: pairing.Pair, outputs: Any) -> list[torch.Tensor]:
    found = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    if len(found) != len(pair.out_names) or not all(isinstance(value, torch.Tensor) for value in found):
        raise KernelContractError(
            f"{pair.functional} returned {[type(value).__name__ for value in found]}; its out variant"
            f" {pair.out} has {len(pair.out_names)} out arguments"
        )
    return found


def compare_layouts(
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
        return outputs(pair, pair.functional(**inputs))


def call_and_compare(pair: pairing.Pair, arguments: dict[str, Any]) -> tuple[Any, str]:
    """Call both kernels with the same inputs and random state, and compare.

    Returns:
        The out variant's result; and why values were not compared, or nothing.
    """
    buffers = {name: arguments[name] for name in pair.out_names}
    inputs = {name: value for name, value in arguments.items() if name not in buffers}
    expected = _functional(pair, inputs)
    compare_layouts(pair, inputs, list(buffers.values()), expected)
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
