"""Which inputs an out buffer may be the very memory of, by the word of the op's author or of its user.

Inductor gives an out buffer new memory, or that of a buffer that is dead before the call. A kernel that reads an
element of an input for the last time before it writes that element of the out buffer may as well be given the
input itself, where nothing else needs it any more. No schema says that of a kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch._ops import OpOverload

from compat_shim import process
from compat_shim.out_variant import marks, names, pairing
from compat_shim.out_variant import schema as schemas
from compat_shim.patching.log import warn

if TYPE_CHECKING:
    from compat_shim.out_variant.pairing import Pair

# Out argument → the inputs that it may be, the preferred first.
Inputs = dict[str, tuple[str, ...]]

# By the name of either half of a pair: an op may be declared before its library is loaded.
_declared: dict[str, Inputs] = process.shared("declared", dict)


def may_reuse_input(op: OpOverload | str, outs: Mapping[str, str | Sequence[str]]) -> None:
    """Say that the kernel of an out variant stays right where an out buffer *is* one of its inputs.

    It is the caller's word that ``op.out(x, out=x)`` leaves in ``x`` the numbers that ``op.out(x, out=buffer)``
    leaves in ``buffer``, for every ``x`` with the size, strides, dtype and device of the output: no place of the
    out buffer is written, by any thread, before the last read of the input at that place. So the kernel goes over
    the input once and reads at the index that it writes; where it has several outs, none of them is written before
    that read either. A kernel of two passes (``mul(x, 2, out=out)``, then ``out.add_(x)``) does not stay right.

    It is a permission: compiled Python code gives the out buffer the input's memory only where Inductor allocated
    that memory and nothing needs it after the call. ``check_kernels`` and ``COMPAT_SHIM_CHECK=1`` try the word.

    Args:
        op: the functional op or its out variant: the overload, or its name (``"ns::op"``, ``"ns::op.out"``), which
            may be defined or paired later. Said again of the same overload it replaces what was said; ``{}`` takes
            it back.
        outs: out argument → the input whose memory it may take, a ``Tensor`` or ``Tensor?``, or several of which
            the first that fits is taken: ``{"out": "x"}``, ``{"out": ("x", "residual")}``.

    Raises:
        TypeError: ``op`` is neither an overload nor a name, or ``outs`` is no such mapping.
        ValueError: the name is not one or that of an op of torch's own, or the op exists and has no such argument.
            What is found out later is one warning, and the word is ignored.
    """
    name = names.name_of(op)
    if names.split(name)[0] in marks.BUILTIN:
        raise ValueError(f"{name} is an op of torch's own, which torch lowers itself")
    declared = _inputs(outs)
    process.warn_of_other_version()
    overload = names.find(name)
    found = [] if overload is None else _problems(overload, declared)
    if found:
        raise ValueError(f"{name}: {'; '.join(found)}")
    _declared[name] = declared


def _inputs(outs: Any) -> Inputs:
    if not isinstance(outs, Mapping):
        raise TypeError(f"expected a mapping such as {{'out': 'x'}}, found {outs!r}")
    several = {out: (inputs,) if isinstance(inputs, str) else inputs for out, inputs in outs.items()}
    for out, inputs in several.items():
        if not isinstance(inputs, Sequence) or not all(isinstance(name, str) for name in (out, *inputs)):
            raise TypeError(f"expected names of arguments, found {out!r}: {inputs!r}")
    return {out: tuple(inputs) for out, inputs in several.items()}


def _problems(op: OpOverload, declared: Inputs) -> list[str]:
    """What is wrong with a word on an op that exists."""
    if schemas.is_functional(op._schema):
        pair = pairing.find_pair(op)
        # Without its out variant the functional op says nothing of out arguments.
        return _unknown(op._schema, None if pair is None else pair.out._schema, declared)
    return _unknown(op._schema, op._schema, declared)


def _unknown(schema: Any, out_schema: Any, declared: Inputs) -> list[str]:
    """The arguments that are not there, or not of that kind.

    Args:
        schema: that of the op with the inputs.
        out_schema: that of the op with the out arguments; None where it is not known.
    """
    inputs = {argument.name for argument in schemas.inputs(schema) if str(argument.type) in schemas.OUT_TYPES}
    found = [
        f"it has no Tensor input {name!r}" for several in declared.values() for name in several if name not in inputs
    ]
    if out_schema is not None:
        outs = schemas.out_names(out_schema)
        found += [f"it has no out argument {out!r}" for out in declared if out not in outs]
    return list(dict.fromkeys(found))


def declared(pair: Pair) -> Inputs:
    """Out argument → inputs whose memory it may take: what was said of the functional op, then of the out variant."""
    found: Inputs = {}
    for name in _said_of(pair):
        for out, inputs in _declared[name].items():
            found[out] = tuple(dict.fromkeys((*found.get(out, ()), *inputs)))
    return found


def _said_of(pair: Pair) -> Iterator[str]:
    """The halves of the pair of which something was said that fits the pair."""
    for name in (pair.functional.name(), pair.out.name()):
        if name in _declared:
            problems = _unknown(pair.out._schema, pair.out._schema, _declared[name])
            if not problems:
                yield name
            else:
                what = f"what may_reuse_input says of {name} is ignored: {pair.out.name()}"
                warn(process.settings(), f"{what}: {'; '.join(problems)}")
