"""Does a call of an out variant's kernel keep its contract?

The contract: the kernel writes every element of each out buffer that it is given, leaves the buffer
where and as it is, writes to nothing else, and returns nothing or the very buffers. Inductor's plan of
the memory rests on it, so a kernel that breaks it gives wrong numbers without an error. Where
``may_reuse_input`` says so, it does all that with an input for an out buffer, too.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch._ops import OpOverload

from compat_shim.out_variant import comparing, pairing, reuse
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
    takes_promised = written(pair, inputs, promised) is not None
    found = written(pair, inputs, expected)
    if found is None or any(map(comparing.difference, found, expected)):
        if takes_promised:
            return f"the out kernel agrees with the fake kernel: the functional kernel is wrong ({pair.functional})"
        return f"the out kernel agrees with neither ({pair.out})"
    # A kernel may broadcast into a larger buffer, so what it takes tells nothing where the sizes differ.
    if takes_promised and all(fake.shape == real.shape for fake, real in zip(promised, expected)):
        return "the out kernel takes either: the fake or the functional kernel is wrong"
    return "the out kernel agrees with the functional kernel: the fake kernel is wrong"


def written(pair: pairing.Pair, inputs: dict[str, Any], layouts: list[torch.Tensor]) -> list[torch.Tensor] | None:
    """What the out kernel writes to buffers with these layouts; None if it does not take them."""
    buffers = [comparing.poisoned_like(layout) for layout in layouts]
    places = [comparing.place(buffer) for buffer in buffers]
    with torch.no_grad(), same_random_numbers(inputs):
        try:
            pair.out(**comparing.copy_of(inputs), **dict(zip(pair.out_names, buffers)))
        except Exception:
            return None
    return buffers if [comparing.place(buffer) for buffer in buffers] == places else None


def same_random_numbers(inputs: dict[str, Any]) -> Any:
    """Leaves the state of torch's generators as it was."""
    return torch.random.fork_rng(sorted({t.device.index for t in comparing.tensors(inputs) if t.is_cuda}))


def _functional(pair: pairing.Pair, inputs: dict[str, Any]) -> list[torch.Tensor]:
    with torch.no_grad(), same_random_numbers(inputs):
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
    shared = _in_place(pair, inputs, buffers)
    broken = functools.partial(wrong_in_place, pair, shared) if shared else functools.partial(_broken, pair)
    for name, buffer in buffers.items():
        if name not in shared:
            comparing.poison(buffer)

    with torch.no_grad():
        returned = pair.out(**arguments)

    for name, buffer in buffers.items():
        place = comparing.place(buffer)
        if place != places[name]:
            raise broken(f"it moved or resized its out buffer {name!r} from {places[name]} to {place}")
    _compare_returned(pair, returned, buffers)
    not_compared = ""
    for (name, buffer), want in zip(buffers.items(), expected):
        difference = not not_compared and comparing.difference(buffer, want)
        if difference:
            if not _differs_from_itself(pair, before, expected):
                if _is_wrong_apart(pair, before, expected):
                    broken = functools.partial(_broken, pair)  # in any case: not the word's fault
                raise broken(f"out buffer {name!r} differs from what {pair.functional} returns: {difference}")
            not_compared = f"{pair.functional}: not deterministic, not compared with {pair.out}"
    for name, value in inputs.items():
        differences = map(comparing.difference, comparing.tensors(value), comparing.tensors(before[name]))
        if name not in shared.values() and any(differences):
            raise broken(f"it wrote to its input {name!r}")
    return returned, not_compared


def _in_place(pair: pairing.Pair, inputs: dict[str, Any], buffers: dict[str, torch.Tensor]) -> dict[str, str]:
    """The out arguments that are given the very memory of an input, where that is declared: out argument → input."""
    return {
        out: name
        for out, several in reuse.declared(pair).items()
        for name in several
        if isinstance(inputs.get(name), torch.Tensor)
        and buffers[out].numel()
        and comparing.place(inputs[name]) == comparing.place(buffers[out])
    }


def _is_wrong_apart(pair: pairing.Pair, inputs: dict[str, Any], expected: list[torch.Tensor]) -> bool:
    """Whether the out kernel writes something else than expected to buffers of its own, too."""
    found = written(pair, inputs, expected)
    return found is not None and any(map(comparing.difference, found, expected))


def _differs_from_itself(pair: pairing.Pair, inputs: dict[str, Any], expected: list[torch.Tensor]) -> bool:
    """Whether the functional op, run twice more, returns something else: it draws numbers of its own, or counts."""
    again = (_functional(pair, comparing.copy_of(inputs)) for _ in range(2))
    return any(any(map(comparing.difference, outputs, expected)) for outputs in again)


def _broken(pair: pairing.Pair, what: str) -> KernelContractError:
    return KernelContractError(
        f"{pair.out} does not keep the contract of an out variant: {what}. Compiled code that calls it in place of"
        f" {pair.functional} gives wrong numbers; mend the kernel, or remove its tag or pair"
    )


def wrong_in_place(pair: pairing.Pair, shared: dict[str, str], what: str) -> KernelContractError:
    """The error of a kernel that is wrong with some of its inputs for its out buffers.

    Args:
        shared: out argument → the input that it was.
        what: what it does then.
    """
    given = " and ".join(f"its input {name!r} for its out buffer {out!r}" for out, name in shared.items())
    return KernelContractError(
        f"{pair.out} may not be called with {given}, as may_reuse_input says: {what}. Compiled code that does so gives"
        " wrong numbers; take the word back, or mend the kernel"
    )


def _compare_returned(pair: pairing.Pair, returned: Any, buffers: dict[str, torch.Tensor]) -> None:
    if not pair.out._schema.returns:
        return
    found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    for (name, buffer), value in zip(buffers.items(), found):
        if value is not buffer and comparing.place(value) != comparing.place(buffer):
            raise _broken(pair, f"it returned another tensor than its out buffer {name!r}")
