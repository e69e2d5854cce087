"""Custom ops for the tests: a functional op and its out variant, made from two schemas and one kernel.

The out variant's kernel poisons its buffers before it writes to them, so that an output that was
not written, or whose buffer was allocated again, shows. Calls of both are counted.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import keyword
from collections.abc import Callable
from typing import Any

import torch

import compat_shim

_numbers = itertools.count()


def poison(tensor: torch.Tensor) -> None:
    """Fill a buffer with what no kernel here computes: NaN, or the largest value."""
    if tensor.dtype is torch.bool:
        tensor.logical_not_()
    elif tensor.dtype.is_floating_point and tensor.dtype.itemsize == 1:
        tensor.view(torch.uint8).fill_(0xFF)
    elif tensor.dtype.is_floating_point or tensor.dtype.is_complex:
        tensor.fill_(float("nan"))
    else:
        tensor.fill_(torch.iinfo(tensor.dtype).max)


@dataclasses.dataclass
class Ops:
    """A functional op and its out variant, registered in a namespace of their own."""

    namespace: str
    library: Any
    functional: Any
    out: Any
    calls: collections.Counter[str]

    def destroy(self) -> None:
        self.library._destroy()


def define(
    schema: str,
    out_schema: str | None,
    kernel: Callable[..., Any],
    *,
    fake: Callable[..., Any] | None = None,
    tags: Any = None,
    by_hand: bool = False,
    functional_tags: Any = (),
    namespace: str | None = None,
    out_key: str = "CompositeExplicitAutograd",
    in_place: bool = False,
    reuses: Any = None,
) -> Ops:
    """Define ``schema`` and ``out_schema`` (both without namespace) over one kernel.

    Args:
        kernel: takes the functional op's arguments by name, returns a Tensor or a tuple of them.
        fake: the fake kernel; by default the kernel itself, run on fake tensors.
        tags: of the out variant, by default ``torch.Tag.out_variant``.
        by_hand: leave it untagged and register the pair instead.
        out_key: the dispatch key of the out variant's kernel.
        in_place: the out variant's kernel may be given an input for an out buffer; that is counted as "in place".
        reuses: out argument → input, told by ``may_reuse_input``: implies ``in_place``.
    """
    namespace = namespace or f"compat_shim_test_{next(_numbers)}"
    library = torch.library.Library(namespace, "FRAGMENT")
    calls: collections.Counter[str] = collections.Counter()
    name = schema.partition("(")[0]
    library.define(schema, tags=functional_tags)
    functional = _overload(namespace, name)
    library.impl(name, functional_kernel(functional, kernel, calls), "CompositeExplicitAutograd")
    torch.library.register_fake(f"{namespace}::{name}", by_name(functional, fake or kernel), lib=library)
    out = None
    if out_schema is not None:
        out_name = out_schema.partition("(")[0]
        library.define(out_schema, tags=() if by_hand else (tags or torch.Tag.out_variant))
        out = _overload(namespace, out_name)
        library.impl(out_name, out_kernel(out, functional, kernel, calls, in_place or reuses is not None), out_key)
        if reuses is not None:
            compat_shim.may_reuse_input(out, reuses)
        if by_hand:
            compat_shim.register_out_variant(functional, out)
    return Ops(namespace, library, functional, out, calls)


def _overload(namespace: str, name: str) -> Any:
    base, _, overload = name.partition(".")
    return getattr(getattr(getattr(torch.ops, namespace), base), overload or "default")


def by_name(op: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Call ``function`` with every argument of ``op``'s schema by name, defaults filled in."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(**_bind(op, args, kwargs))

    return call


def _bind(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    arguments = op._schema.arguments
    bound = {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}
    bound.update(zip((argument.name for argument in arguments), args))
    bound.update(kwargs)
    return bound


def with_signature(schema: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` as authors write kernels: with the arguments of a schema, and its defaults.

    Compiled code calls such a kernel itself; one that takes ``*args`` it calls through the dispatcher.
    """
    arguments = schema.arguments
    if not all(argument.name.isidentifier() and not keyword.iskeyword(argument.name) for argument in arguments):
        return function
    defaults = {f"_{place}": argument.default_value for place, argument in enumerate(arguments)}
    taken, passed = [], []
    for place, argument in enumerate(arguments):
        if argument.kwarg_only and "*" not in taken:
            taken.append("*")
        taken.append(f"{argument.name}=_{place}" if argument.has_default_value() else argument.name)
        passed.append(f"{argument.name}={argument.name}")
    scope = {"_function": function, **defaults}
    exec(f"def kernel({', '.join(taken)}): return _function({', '.join(passed)})", scope)
    kernel: Callable[..., Any] = scope["kernel"]
    return kernel


def functional_kernel(op: Any, kernel: Callable[..., Any], calls: collections.Counter[str]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        calls["functional"] += 1
        return kernel(**_bind(op, args, kwargs))

    return with_signature(op._schema, call)


def out_kernel(
    op: Any, functional: Any, kernel: Callable[..., Any], calls: collections.Counter[str], in_place: bool = False
) -> Callable[..., Any]:
    """A kernel that counts its calls. ``in_place``: it may be given an input for an out buffer."""
    outs = [argument.name for argument in op._schema.arguments if argument.alias_info is not None]

    def call(*args: Any, **kwargs: Any) -> Any:
        calls["out"] += 1
        bound = _bind(op, args, kwargs)
        buffers = [bound.pop(name) for name in outs]
        shared = [buffer for buffer in buffers if in_place and _is_among(buffer, bound)]
        if shared:
            calls["in place"] += len(shared)
        # What is read must not be what is written: poison first, as a kernel that writes early does.
        for buffer in buffers:
            if not any(buffer is one for one in shared):
                poison(buffer)
        results = kernel(**bound)
        results = results if isinstance(results, tuple) else (results,)
        for buffer, result in zip(buffers, results, strict=True):
            assert buffer.shape == result.shape, (op, buffer.shape, result.shape)
            assert buffer.dtype == result.dtype, (op, buffer.dtype, result.dtype)
            buffer.copy_(result)
        if not op._schema.returns:
            return None
        return buffers[0] if len(buffers) == 1 else tuple(buffers)

    return with_signature(op._schema, call)


def _is_among(buffer: torch.Tensor, inputs: Any) -> bool:
    """Whether a buffer is the memory of one of these arguments."""
    tensors = (value for value in torch.utils._pytree.tree_leaves(inputs) if isinstance(value, torch.Tensor))
    strided = (tensor for tensor in tensors if tensor.layout is torch.strided)
    return buffer.numel() > 0 and any(tensor.data_ptr() == buffer.data_ptr() for tensor in strided)
