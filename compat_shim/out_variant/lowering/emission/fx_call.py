"""The call of an out variant as a node of the FX graph that the FX wrapper (torch 2.8 on) makes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sympy
import torch
from torch._inductor import ir

from compat_shim import process
from compat_shim.out_variant.lowering.emission import checked


def call(converter: Any, node: Any) -> None:
    """Add the call of an ``ExternKernelMultiOut`` node, whose out buffers are allocated, to the graph.

    Args:
        converter: torch's ``FxConverter``, or on 2.8 what is in its place.
    """
    pair = node.pair
    given = pair.arguments_by_name(*node.unflatten_args(node.inputs, node.constant_args))
    given.update(zip(pair.out_names, node.out_buffers))
    # By name, so that their order and the ones left out do not matter.
    arguments = {name: _value(converter, value) for name, value in given.items()}
    with _without_hooks(converter.gm):
        checking = process.settings().check
        called = converter.gm.graph.call_function(
            checked.checked if checking else pair.out,
            args=(pair.functional, pair.out) if checking else (),
            kwargs=arguments,
        )
    called.meta["val"] = _returned([arguments[name].meta.get("val") for name in pair.out_names], pair.out)


def _returned(outs: list[Any], op: Any) -> Any:
    """What a call of an out op returns, given the tensors that it writes to."""
    if not op._schema.returns:
        return None
    return outs[0] if len(outs) == 1 else tuple(outs)


@contextlib.contextmanager
def _without_hooks(module: torch.fx.GraphModule) -> Iterator[None]:
    """No hook runs the new node on fake tensors: the out variant need not have a fake kernel."""
    hooks: list[Any] = getattr(module, "_create_node_hooks", [])
    kept = list(hooks)
    hooks.clear()
    try:
        yield
    finally:
        hooks.extend(kept)


def _value(converter: Any, value: Any) -> Any:
    """An argument with its IR and symbols as nodes of the graph, in lists too."""
    if isinstance(value, (list, tuple)):
        return type(value)(_value(converter, item) for item in value)
    if isinstance(value, ir.IRNode):
        return converter._generate_buffer(value)
    if isinstance(value, torch.SymInt):
        value = value.node.expr
    if isinstance(value, sympy.Expr):
        return converter._generate_sym_node(value)
    return value
