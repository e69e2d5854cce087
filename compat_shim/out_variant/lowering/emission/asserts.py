"""After the call of an out variant: do its out buffers still have the layout that the fake kernel promised?

Torch asserts it of what a custom op returns, in every step (from 2.7 on). An out buffer has that layout
when the kernel gets it; one that the fake promised too large or too small is resized by the kernel
(``torch.mul(x, s, out=out)``), and what reads the buffer then reads garbage. Here it is asserted in the
first step, and again only where a size depends on the step and is not what it should be: torch's assert in
each step takes a tenth of a small call's time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._inductor import config
from torch._inductor.virtualized import V

from compat_shim.out_variant.lowering import releases

_ASSERT = "compat_shim_assert_size_stride"


def texts(wrapper: Any, node: Any) -> list[str]:
    """The lines after an ``ExternKernelMultiOut`` node's call in Python code: one for each out buffer."""
    if not config.size_asserts:
        return []
    made = (_text(wrapper, node, name, buffer) for name, buffer in zip(node.pair.out_names, node.out_buffers))
    return [text for text in made if text is not None]


def _text(wrapper: Any, node: Any, name: str, buffer: Any) -> str | None:
    layout = buffer.layout
    if any(size == 0 for size in layout.size):
        return None  # as torch does: nothing is read, and its strides may be any
    size, stride = map(V.graph.wrapper_code.codegen_shape_tuple, (layout.size, layout.stride))
    blamed = (
        f"{node.pair.out.name()}, out argument {name}: the fake kernel of"
        f" {node.pair.functional.name()} or the out kernel is wrong"
    )
    reference = buffer.codegen_reference()
    wrapper.add_import_once(_definition())
    check = f"{_ASSERT}({reference}, {size}, {stride}, {blamed!r}"
    found = _place(wrapper, buffer)
    if found is None:
        return f"{check})"
    variable, place = found
    first = f"{variable}[{place}]"
    if releases.has_symbols(layout):
        first = f"({first} or {reference}.shape != {size})"
    # Python's parser takes a third less for this than for an `if` with an assignment.
    return f"{first} and {check}, {variable}, {place})"


def _definition() -> str:
    """The line that defines the function of the lines: torch's own where that is possible, so that saved code
    needs no import of this package."""
    if releases.assert_takes_a_name():
        return (
            f"{_ASSERT} = lambda buffer, size, stride, name, first=[True], place=0:"
            " first.__setitem__(place, not assert_size_stride(buffer, size, stride, name))"
        )
    return f"from {__name__} import assert_size_stride as {_ASSERT}"


def _place(wrapper: Any, buffer: Any) -> tuple[str, int] | None:
    """Where it stands whether a buffer's line has yet to run: the list of the wrapper's function, and its item.

    The function of a branch or of a partition has a wrapper and a list of its own, and runs its lines when
    it is called first.
    """
    variable = f"compat_shim_first_{wrapper.launcher_fn_name}"
    places: dict[str, int] | None = vars(wrapper).get("compat_shim_first")
    if places is None:
        places = wrapper.compat_shim_first = {}
        for operation in V.graph.operations:
            for out_buffer in getattr(operation, "out_buffers", ()):
                places[out_buffer.get_name()] = len(places)
        wrapper.add_import_once(f"{variable} = [True] * {len(places)}")
    place = places.get(buffer.get_name())
    # A wrapper may write a graph's calls into another's function.
    return None if place is None else (variable, place)


def assert_size_stride(
    buffer: torch.Tensor,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    name: str,
    first: list[bool] | None = None,
    place: int = 0,
) -> None:
    """Torch's function of this name, which takes the name of an op from 2.8 on, for an out buffer.

    Args:
        buffer: the out buffer, after the call.
        size, stride: what the fake kernel promised, as many as the buffer has dimensions.
        name: what the message names: the op, its out argument, and what may be wrong.
        first, place: the item of the list that says whether the line has yet to run; false once it has.

    Raises:
        AssertionError: the buffer has another size or stride.
    """
    try:
        torch._C._dynamo.guards.assert_size_stride(buffer, size, stride)
    except AssertionError as error:
        raise AssertionError(f"{error}\nError in op: {name}") from None
    if first is not None:
        first[place] = False
