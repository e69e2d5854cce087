"""Out ops by the user's word: ops that carry no tag and are treated as if they carried one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compat_shim import shim
from compat_shim.out_variant import names
from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant.tag import out_tags

# torch is imported where it is used: importing it applies patches, and those import this module.
if TYPE_CHECKING:
    from torch._ops import OpOverload

BUILTIN = ("aten", "prim", "prims")  # torch's own ops, as torch._library.utils.is_builtin has it

# Names, not overloads: an op may be marked before its library is loaded.
_tagged: set[str] = shim.shared("tagged", set)
_called_directly: set[str] = shim.shared("called directly", set)


def tag_out(op: OpOverload | str) -> None:
    """Treat ``op`` as if it carried ``torch.Tag.out_variant``: for ops registered without a tag.

    Functional ops of the same name are then paired with it where the schemas match, and it can be
    called directly in compiled code. It is the caller's word that the kernel writes each output
    into the buffer that it is given and does nothing else. The op itself is not changed.

    Args:
        op: the overload, or its name (``"ns::op.out"``), which may be defined later.

    Raises:
        TypeError: ``op`` is neither.
        ValueError: the name is not one or that of an op of torch's own, or the op exists and is no
            out op: it writes to no Tensor, or returns something other than nothing or its out
            arguments in order. One that comes later and is none is left to torch.
    """
    name = names.name_of(op)
    if name.partition("::")[0] in BUILTIN:
        raise ValueError(f"{name} is an op of torch's own, which torch lowers itself; only custom ops are tagged")
    shim.warn_of_other_version()
    overload = names.find(name)
    if overload is not None:
        found = problems(overload._schema)
        if found:
            raise ValueError(f"{name} is not an out op: {'; '.join(found)}\n  {overload._schema}")
    _tagged.add(name)


def problems(schema: Any) -> list[str]:
    """Why an op of this schema is not an out op; empty if it is one."""
    outs = schemas.out_arguments(schema)
    found = [f"it writes to a {out.type}, {out.name!r}" for out in outs if str(out.type) not in schemas.OUT_TYPES]
    if not outs:
        found.append("it writes to no argument")
    if not schemas.returns_match(schema):
        found.append("it returns something other than nothing or its out arguments in order")
    return found


def is_tagged(op: OpOverload) -> bool:
    """Whether ``op`` is tagged as an out variant, or marked by :func:`tag_out`."""
    return any(tag in op.tags for tag in out_tags()) or op.name() in _tagged


def is_tagged_name(name: str) -> bool:
    """:func:`is_tagged` of the overload of this name, without making its packet."""
    return name in _tagged or any(tag in names.tags_of(name) for tag in out_tags())


def is_out_op(op: Any) -> bool:
    """Whether ``op`` is a custom op that is tagged, marked or registered as an out variant."""
    import torch

    return (
        isinstance(op, torch._ops.OpOverload)
        and op.namespace not in BUILTIN
        and all(str(argument.type) == "Tensor" for argument in schemas.out_arguments(op._schema))
        and schemas.returns_match(op._schema)
        and (is_tagged(op) or op.name() in _called_directly)
    )


def marked_names() -> tuple[str, ...]:
    """The names given to :func:`tag_out`."""
    return tuple(_tagged)


def allow_direct_calls(name: str) -> None:
    """Let compiled code call the op of this name directly: it was registered as an out variant."""
    _called_directly.add(name)


def returns_what_it_writes(op: Any) -> bool:
    """Whether ``op`` is a custom op whose returns are, in order, the Tensors that it writes to."""
    import torch

    # Asked of every call that is traced, and mostly of functional ops.
    if not isinstance(op, torch._ops.OpOverload) or op.namespace in BUILTIN or not op._schema.is_mutable:
        return False
    schema = op._schema
    return (
        bool(schema.returns)
        and schemas.returns_match(schema)
        and all(returned.alias_info.is_write for returned in schema.returns)
        and all(str(argument.type) == "Tensor" for argument in schemas.out_arguments(schema))
    )


def may_be_called_directly(op: Any) -> bool:
    """Whether functionalization may take a call of ``op`` for a write to its out arguments."""
    import torch

    return returns_what_it_writes(op) and (
        is_tagged(op) or torch.Tag.inplace in op.tags or op.name() in _called_directly
    )


def written_arguments(op: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Of a call of ``op``, the arguments that it writes to, as the op returns them."""
    bound = schemas.by_name(op._schema.arguments, args, kwargs)
    outs = tuple(bound[argument.name] for argument in schemas.out_arguments(op._schema))
    return outs[0] if len(outs) == 1 else outs
