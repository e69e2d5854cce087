"""Does an out variant's kernel stay right where an out buffer is one of its inputs, as ``may_reuse_input`` says?

The kernel is compared with itself: in place, and with a buffer of its own, on the same data and random state. So values
that the op was not made for are not taken for the word's fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard

import torch
from torch.utils._pytree import tree_map

from compat_shim.out_variant import comparing, contract, pairing, reuse

_RANDOM_CALLS = 3
_AGAIN = 7  # calls that must all agree before a difference counts: an op may count, or draw numbers of its own

NO_LAYOUT = "not tried: no input that may_reuse_input names has the layout of its out buffer, and elements"
REFUSED = "not tried: the out variant takes none of these values"
DIFFERS = "not compared: the out variant differs from itself"


def compare(pair: pairing.Pair, given: dict[str, Any], likes: list[torch.Tensor]) -> str:
    """Call the out variant with an input for its out buffer, for all that ``may_reuse_input`` says of it and that fit.

    Each alone and all at once; several times, on the call's data and with the numbers of each floating point input in
    random order (random numbers from 0 to 1 where all are equal). Integers stay as they are: they may be places. What
    reads the input at other places than it writes may be right by luck.

    Args:
        given: a call's arguments but for the out buffers.
        likes: tensors with the layout of these.

    Returns:
        Why nothing, or not all, was compared; empty if all was.

    Raises:
        KernelContractError: the result is another one then, or the contract is not kept in any case.
    """
    layouts = dict(zip(pair.out_names, likes))
    ways = list(_ways(reuse.declared(pair), given, layouts))
    if not ways:
        return NO_LAYOUT
    with contract.same_random_numbers(given):  # the contract first: what breaks it may look wrong in place too
        contract.call_and_compare(pair, {**given, **{out: comparing.empty_like(like) for out, like in layouts.items()}})
    return next(filter(None, [_try(pair, given, layouts, shared) for shared in ways]), "")


def _ways(declared: reuse.Inputs, given: dict[str, Any], layouts: dict[str, torch.Tensor]) -> Iterator[dict[str, str]]:
    """Each out argument with each input that it may be, and all of them at once as the compiler gives them."""
    at_once: dict[str, str] = {}
    for out, several in declared.items():
        for name in several:
            if _fits(given.get(name), layouts[out]):
                yield {out: name}
                if out not in at_once and name not in at_once.values():
                    at_once[out] = name
    if len(at_once) > 1:
        yield at_once


def _fits(x: Any, like: torch.Tensor) -> TypeGuard[torch.Tensor]:
    return (
        isinstance(x, torch.Tensor)
        and x.layout is torch.strided
        and x.numel() > 0
        and not comparing.other_layout(x, like)
    )


def _try(pair: pairing.Pair, given: dict[str, Any], layouts: dict[str, torch.Tensor], shared: dict[str, str]) -> str:
    """Compare on the call's data and on other data; why that was not possible, or nothing."""
    likes = list(layouts.values())
    tried = False
    with contract.same_random_numbers(given):
        for values in _values(given):
            expected = contract.written(pair, values, likes)
            if expected is None:
                continue  # the op does not take such values
            wanted = dict(zip(layouts, expected))
            what = _difference(pair, values, wanted, shared)
            if what:
                again = (contract.written(pair, values, likes) for _ in range(_AGAIN))
                if any(one is None or any(map(comparing.difference, one, expected)) for one in again):
                    return DIFFERS
                if not _difference(pair, values, wanted, shared):
                    return DIFFERS
                raise contract.wrong_in_place(pair, shared, what)
            tried = True
    return "" if tried else REFUSED


def _values(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The call's data, and then its floating point numbers in random order: values that the op is made for."""
    yield given
    for _ in range(_RANDOM_CALLS):
        try:
            values = tree_map(_random, given)
        except RuntimeError:  # there is no memory for them
            return
        yield values


def _random(value: Any) -> Any:
    plain = isinstance(value, torch.Tensor) and value.layout is torch.strided and value.numel() > 0
    return comparing.shuffled(value) if plain and comparing.has_fractions(value.dtype) else value


def _difference(
    pair: pairing.Pair, values: dict[str, Any], expected: dict[str, torch.Tensor], shared: dict[str, str]
) -> str:
    """Call it in place; what is another then, in words, or nothing."""
    inputs = comparing.copy_of(values)
    inputs.update({name: comparing.exact_copy(values[name]) for name in shared.values()})
    buffers = {
        out: inputs[shared[out]] if out in shared else comparing.poisoned_like(want) for out, want in expected.items()
    }
    places = {out: comparing.place(buffer) for out, buffer in buffers.items()}
    with torch.no_grad(), contract.same_random_numbers(values):
        try:
            pair.out(**{**inputs, **buffers})
        except Exception as error:
            return f"it raises {type(error).__name__}: {error}"
    for out, want in expected.items():
        if comparing.place(buffers[out]) != places[out]:
            return f"it moved or resized its out buffer {out!r}"
        difference = comparing.difference(buffers[out], want)
        if difference:
            return f"out buffer {out!r} differs from what it writes to a buffer of its own: {difference}"
    return ""
