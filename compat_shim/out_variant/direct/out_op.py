"""What an out op called directly returns and writes, and which ops that holds for."""

from __future__ import annotations

from typing import Any

import torch
from torch._ops import OpOverload

from compat_shim.out_variant import marks
from compat_shim.out_variant import schema as schemas


def is_out_op(op: Any) -> bool:
    """Whether ``op`` is a custom op that is tagged, marked or registered as an out variant."""
    return (
        isinstance(op, OpOverload)
        and op.namespace not in marks.BUILTIN
        and all(str(argument.type) == "Tensor" for argument in schemas.out_arguments(op._schema))
        and schemas.returns_match(op._schema)
        and (marks.is_tagged(op) or marks.is_allowed_direct(op.name()))
    )


def returns_what_it_writes(op: Any) -> bool:
    """Whether ``op`` is a custom op whose returns are, in order, the Tensors that it writes to."""
    # Asked of every call that is traced, and mostly of functional ops.
    if not isinstance(op, OpOverload) or op.namespace in marks.BUILTIN or not op._schema.is_mutable:
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
    return returns_what_it_writes(op) and (
        marks.is_tagged(op) or torch.Tag.inplace in op.tags or marks.is_allowed_direct(op.name())
    )


def written_arguments(op: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Of a call of ``op``, the arguments that it writes to, as the op returns them."""
    bound = schemas.by_name(op._schema.arguments, args, kwargs)
    outs = tuple(bound[argument.name] for argument in schemas.out_arguments(op._schema))
    return outs[0] if len(outs) == 1 else outs
