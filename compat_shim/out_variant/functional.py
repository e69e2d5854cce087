"""Make the functional op for an out op: its schema, kernel, fake kernel and pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch._ops import OpOverload

from compat_shim import process
from compat_shim.out_variant import kernels, marks, names, registry
from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant.discovery import get_out_arg_names

_libraries: list[Any] = process.shared("libraries", list)  # an op lives as long as the library that defined it


def functional_of(out_op: OpOverload | str, *, like: Callable[..., Any], name: str | None = None) -> OpOverload:
    """Define the functional op whose out variant is ``out_op``, and pair the two.

    The functional op takes the inputs of ``out_op``, allocates what ``like`` returns, calls
    ``out_op`` and returns the buffers. ``like`` is its fake kernel as well. In compiled code
    Inductor allocates the buffers and calls ``out_op``. Asked for by users of torch in #161001.

    Args:
        out_op: the overload that writes to one or more Tensors and returns nothing or these, or
            its name. It is the caller's word that it keeps the out contract.
        like: called with the inputs as ``out_op``'s schema has them (keyword-only ones by name),
            returns new Tensors of the outputs' shapes, strides, dtypes and devices, one for each
            out argument in order: ``lambda x, scale: torch.empty_like(x)``. Its values do not
            matter. It must allocate them from the inputs, as a fake kernel does.
        name: of the functional op; by default that of ``out_op`` without ``.out`` or ``_out``.

    Returns:
        The functional overload, for example ``torch.ops.ns.op.default``.

    Raises:
        TypeError: ``out_op`` is neither an ``OpOverload`` nor a name.
        ValueError: there is no such out op, it writes to no argument, ``name`` is taken, or the default
            of an input cannot be written in a schema's text. Called, the functional op raises it where
            ``like`` does not return one Tensor for each out argument.
    """
    out = names.find(names.name_of(out_op)) if isinstance(out_op, str) else out_op
    if out is None:
        raise ValueError(f"{out_op!r} is not defined; load its library first")
    problems = marks.problems(out._schema)
    if problems:
        raise ValueError(f"{names.name_of(out)} is not an out op: {'; '.join(problems)}\n  {out._schema}")
    name = names.name_of(name or _default_name(out.name()))
    if names.exists(name):
        raise ValueError(f"{name} is defined already; give another name, or pair the two by register_out_variant")
    functional = _define(name, out, like)
    registry.register_out_variant(functional, out)
    return functional


def _define(name: str, out: OpOverload, like: Callable[..., Any]) -> OpOverload:
    text = _schema_text(name, out)
    namespace, _, signature = text.partition("::")
    op_name = signature.partition("(")[0]
    make_buffers = _checked(like, name, schemas.out_names(out._schema))
    library = torch.library.Library(namespace, "FRAGMENT")
    library.define(signature, tags=(torch.Tag.pt2_compliant_tag, *_stride_tags(out)))
    library.impl(op_name, _kernel(out, make_buffers), "CompositeExplicitAutograd")
    torch.library.register_fake(name, make_buffers, lib=library)
    _libraries.append(library)
    functional = names.find(name)
    assert functional is not None, name
    return functional


def _stride_tags(out: Any) -> Iterator[Any]:
    """The tags by which the out op says which strides its inputs must have: those of its functional op too."""
    return (tag for tag in out.tags if tag.name in kernels.STRIDE_TAGS)


def _default_name(out: str) -> str:
    base, overload = names.op_of(out), names.split(out)[2]
    if overload:
        rest = overload.removesuffix("out").removesuffix("_")
        return f"{base}.{rest}" if rest else base
    return base.removesuffix("_out")


def _schema_text(name: str, out: OpOverload) -> str:
    """The schema of the functional op of an out op, as the text that torch's parser takes."""
    outs = schemas.out_arguments(out._schema)
    returns = "Tensor" if len(outs) == 1 else f"({', '.join('Tensor' for _ in outs)})"
    text = f"{name}({_inputs(out._schema)}) -> {returns}"
    try:
        parsed = torch._C.parse_schema(text)
        differ = schemas.mismatches(parsed, out._schema) + schemas.default_mismatches(parsed, out._schema)
    except RuntimeError as error:
        differ = [str(error).strip().partition("\n")[0]]
    if differ:
        raise ValueError(
            f"{out.name()}: the schema of a functional op cannot be made of its own: {'; '.join(differ)}\n"
            f"  {out._schema}\n  {text}\n"
            "Define the functional op by hand and pair the two by register_out_variant"
        )
    return text


def _inputs(schema: Any) -> str:
    """The inputs of an out op as the text of a schema: its arguments without the outs."""
    arguments = {argument.name: argument for argument in schema.arguments}
    text, kept = str(schema), []
    for part in _split(text[text.index("(") + 1 : text.rindex(") -> ")]):
        argument = arguments.get(_name(part))
        if argument is None or not schemas.is_out(argument):  # None: the star before the keyword-only ones
            kept.append(part if argument is None else _with_default(part, argument.default_value))
    if kept and kept[-1] == "*":
        kept.pop()
    return ", ".join(kept)


def _with_default(argument: str, value: Any) -> str:
    """An argument's text with a default that torch's parser takes, where it does not take what torch prints."""
    declared, separator, _ = argument.partition("=")
    if separator and isinstance(value, torch.device):
        return f'{declared}="{value}"'
    if separator and isinstance(value, complex):
        return f"{declared}={value.imag!r}"  # to the parser, a number is the imaginary part; it takes no other
    return argument


def _name(argument: str) -> str:
    return argument.partition("=")[0].rpartition(" ")[2]


def _split(arguments: str) -> list[str]:
    parts, depth, quoted, escaped = [""], 0, False, False
    for character in arguments:
        quoted ^= character == '"' and not escaped
        escaped = character == "\\" and not escaped
        depth += 0 if quoted else (character in "[(") - (character in "])")
        if character == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _checked(like: Callable[..., Any], name: str, written: Sequence[str]) -> Callable[..., Any]:
    """``like``, whose result is what the functional op returns: a Tensor, or a tuple of several."""

    def make_buffers(*args: Any, **kwargs: Any) -> Any:
        made = like(*args, **kwargs)
        buffers = tuple(made) if isinstance(made, (tuple, list)) else (made,)
        if len(buffers) != len(written) or not all(isinstance(buffer, torch.Tensor) for buffer in buffers):
            found = ", ".join(type(buffer).__name__ for buffer in buffers)
            raise ValueError(
                f"{name}: the like of functional_of must return one Tensor for each of {', '.join(written)};"
                f" it returned {found or 'nothing'}"
            )
        return buffers if len(buffers) > 1 else buffers[0]

    return make_buffers


def _kernel(out: Any, make_buffers: Callable[..., Any]) -> Callable[..., Any]:
    inputs, written = schemas.inputs(out._schema), get_out_arg_names(out)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        # Below autograd, as a kernel runs in compiled code: an out op refuses inputs that require grad.
        with torch._C._AutoDispatchBelowAutograd():
            made = make_buffers(*args, **kwargs)
            given = schemas.by_name(inputs, args, kwargs)
            given.update(zip(written, made if isinstance(made, tuple) else (made,)))
            out(**given)
        return made

    return kernel
