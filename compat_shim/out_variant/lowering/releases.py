"""What differs between releases of torch's Inductor, behind one interface.

Each function asks torch what it has; none asks for its version. The comments name the releases.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any

import sympy
import torch
from torch._functorch import config as functorch_config
from torch._inductor import config, ir
from torch._inductor import utils as inductor_utils
from torch._inductor.codegen import wrapper as wrapper_module
from torch._inductor.codegen.common import get_wrapper_codegen_for_device
from torch._inductor.virtualized import V
from torch.fx.experimental.symbolic_shapes import free_symbols, free_unbacked_symbols

from compat_shim.out_variant import kernels, names

# Lines of the wrapper are objects with this base since 2.8; before, strings or planning lines.
WrapperLine: type = getattr(wrapper_module, "WrapperLine", object)


@functools.cache
def _allocation_asks_should_allocate() -> bool:
    # 2.6 skips the allocation of whatever a FallbackKernel defines; 2.7 on asks the buffer.
    names = wrapper_module.PythonWrapperCodegen.codegen_allocation.__code__.co_names
    return "should_allocate" in names


def allocate(wrapper: Any, buffer: ir.Buffer) -> None:
    """Emit the allocation of an out buffer, if it has none yet. Called once for each buffer."""
    if _allocation_asks_should_allocate():
        wrapper.codegen_allocation(buffer)
        return
    wrapper.allocated.add(buffer.get_name())
    wrapper.writeline(wrapper_module.AllocateLine(wrapper, buffer))


def emit(wrapper: Any, line: Any) -> None:
    """Add a line to the wrapper's body."""
    # Before 2.8 only strings and planning lines may be added. A call names its buffers, and a
    # reused buffer keeps its name, so the text may be made at once there.
    for whole in (line,) if WrapperLine is not object else line.texts():
        wrapper.writeline(whole)


def writes_python(wrapper: Any) -> bool:
    """Whether the code that is being written is Python source, neither C++ nor an FX graph."""
    fx = sys.modules.get("torch._inductor.codegen.wrapper_fxir")  # from 2.8 on
    return not (V.graph.cpp_wrapper or (fx is not None and isinstance(wrapper, fx.WrapperFxCodegen)))


def can_match_buffer_size(old: ir.Buffer, new: ir.Buffer) -> bool:
    """Whether Inductor would let ``new`` take the memory of ``old``."""
    matches = getattr(wrapper_module, "can_match_buffer_size", None)  # from 2.8 on
    if matches is not None:
        return bool(matches(old, new))
    return bool(wrapper_module.buffer_reuse_key(old) == wrapper_module.buffer_reuse_key(new))


def runs_subgraphs(operation: Any) -> bool:
    """Whether a kernel is control flow, whose results may be its operands: a branch that returns what it was given, a
    loop of no steps."""
    kinds = (getattr(ir, name, None) for name in ("Conditional", "WhileLoop", "InvokeSubgraph", "Switch"))
    return isinstance(operation, tuple(kind for kind in kinds if kind is not None))


def is_elsewhere(scheduler: Any, name: str, node: Any, users: Iterable[Any]) -> bool:
    """Whether a buffer is made or read on another stream than a scheduler node's, or is of another memory pool."""
    is_other_stream = getattr(scheduler, "has_cross_stream_hazard", None)  # from 2.12 on; that which made the buffer
    if is_other_stream is not None and any(is_other_stream(name, one) for one in (node, *users)):
        return True
    pool_of = getattr(scheduler, "get_buf_mempool", None)  # from 2.14 on
    return pool_of is not None and bool(pool_of(name) != scheduler.node_to_mempool.get(node))


def calls_partitions(wrapper: Any) -> bool:
    """Whether the wrapper's function may call partitions that are replayed as CUDA graphs (torch 2.7 on)."""
    if getattr(wrapper, "partition_signatures", None) is not None:
        return False  # it is a partition
    asked = getattr(inductor_utils, "is_using_cudagraph_partition", None)
    if asked is not None:  # from 2.9 on: others may wrap the partitions too
        return bool(asked())
    return getattr(config, "graph_partition", False) and config.triton.cudagraphs


def result_of(processed: Any) -> tuple[Any, Any, Any, Any, Any]:
    """``process_kernel``'s result: example output, tensor and other arguments, unflatten, symbols."""
    if isinstance(processed, tuple):  # up to 2.13
        return processed
    return (  # ProcessKernelResult, from 2.14 on
        processed.example_output,
        processed.tensor_args,
        processed.non_tensor_args,
        processed.unflatten_args,
        processed.unbacked_bindings,
    )


def without_output(processed: Any) -> Any:
    """``process_kernel``'s result, as if the fake kernel had returned nothing."""
    if isinstance(processed, tuple):  # up to 2.13
        return (None, *processed[1:])
    return dataclasses.replace(processed, example_output=None)


def is_called_for_an_effect() -> bool:
    """Whether the call is lowered inside ``with_effects``.

    Up to 2.9 that makes an ``EffectfulKernel``; from 2.10 on the order is kept by the name of the
    kernel's own buffer, which an out variant's node does not have.
    """
    node = V.graph.current_node
    return node is not None and node.target is torch.ops.higher_order.with_effects


@functools.cache
def assert_takes_a_name() -> bool:
    """Whether ``assert_size_stride`` takes what its message names (torch 2.8 on)."""
    return "get_op_name" in ir.ExternKernel.codegen_size_asserts.__code__.co_names


def has_symbols(layout: ir.Layout) -> bool:
    """Whether a size or a stride is known only when the code runs."""
    return any(getattr(length, "free_symbols", None) for length in (*layout.size, *layout.stride))


def kernel_name(op: Any) -> str:
    """How generated Python code names an overload, for example ``torch.ops.ns.op.out``."""
    return names.source(op.name())


def wants_stricter_strides(functional: Any, out: Any) -> bool:
    """Whether the inputs of a functional call may have strides with which the out op must not be called.

    Inductor lays out a call's inputs as the tag of the op in the graph says, and that is the functional one. What
    an op without a tag is held to (exact strides from 2.8 on) its author has not asked for, so it counts no
    more than a fixed order.
    """
    asked, held_to = _strictness(out), _strictness(functional)
    default = min(_default_strictness(), kernels.STRIDE_TAGS.index("needs_fixed_stride_order"))
    return (default if asked is None else asked) > (_default_strictness() if held_to is None else held_to)


def _strictness(op: Any) -> int | None:
    tags = {tag.name for tag in op.tags}
    return max((place for place, name in enumerate(kernels.STRIDE_TAGS) if name in tags), default=None)


def _default_strictness() -> int:
    name = "custom_op_default_layout_constraint"  # moved in 2.8
    default = getattr(functorch_config, name, None) or getattr(config, name, "needs_fixed_stride_order")
    return kernels.STRIDE_TAGS.index(default)


def wrapper_refuses(device: torch.device | None, out: Any) -> str | None:
    """The wrapper that the graph is compiled to, ``"cpp"`` or ``"fx"``, if it cannot express the call.

    Args:
        device: the call's.
        out: the overload to be called.
    """
    fx = sys.modules.get("torch._inductor.codegen.wrapper_fxir")  # from 2.8 on
    if fx is not None and (getattr(V.graph, "fx_wrapper", False) or _is(device, fx.WrapperFxCodegen, cpp=False)):
        # The converter of 2.8 has no nodes for symbols.
        return "fx" if not hasattr(fx.FxConverter, "_generate_sym_node") and _has_symbolic_inputs() else None
    if V.graph.cpp_wrapper or V.graph.aot_mode:
        # Slow to import, and of no use to a graph that becomes Python code.
        from torch._inductor.codegen import cpp_wrapper_cpu, cpp_wrapper_cpu_array_ref

        if _is(device, cpp_wrapper_cpu_array_ref.CppWrapperCpuArrayRef, cpp=True):
            return "cpp"  # its buffers may be arrays on the stack, which no custom op takes
        if V.graph.aot_mode:
            return None if out._overloadname == "default" or _proxy_executor_knows_overloads() else "cpp"
        # Up to 2.7 the code calls each op through a Python function, which takes no None from it.
        takes_none = hasattr(cpp_wrapper_cpu.CppWrapperCpu, "generate_fallback_kernel_with_runtime_lookup_nopython")
        return None if out._schema.returns or takes_none else "cpp"
    return None


@functools.cache
def _proxy_executor_knows_overloads() -> bool:
    # 2.6's raises on the name of an overload. Python shows no trace of that, but its next release
    # is also the first to export calls of script objects.
    return "CallTorchBind" in ir.FallbackKernel.export_extern_kernel_node.__code__.co_names


def _is(device: torch.device | None, wrapper: type, *, cpp: bool) -> bool:
    """Whether ``wrapper`` is what is registered for graphs on ``device``."""
    if device is None:
        return False
    registered: Any = get_wrapper_codegen_for_device(device.type, cpp)
    return isinstance(registered, type) and issubclass(registered, wrapper)


def _has_symbolic_inputs() -> bool:
    return any(
        isinstance(value, sympy.Expr)
        or any(isinstance(size, sympy.Expr) and size.free_symbols for size in value.get_size())
        for value in V.graph.graph_inputs.values()
    )


SymbolUses = Callable[..., Any]


def add_layout_symbols(cls: type[ir.FallbackKernel]) -> None:
    """Make a kernel report the symbols in its out buffers' layouts, which it has allocated.

    Asked through ``get_unbacked_symbol_uses()`` up to 2.7 and ``get_free_symbol_uses(...)``
    from 2.8 on; the method that the release has is overridden.
    """
    for name in ("get_free_symbol_uses", "get_unbacked_symbol_uses"):
        inherited = getattr(cls, name, None)
        if inherited is not None:
            setattr(cls, name, _with_layouts(name, inherited))


def _with_layouts(name: str, inherited: SymbolUses) -> SymbolUses:
    def symbol_uses(self: Any, *args: Any, **kwargs: Any) -> Any:
        uses = inherited(self, *args, **kwargs)
        for buffer in self.out_buffers:
            layout_uses = getattr(buffer.layout, name, None)
            if layout_uses is not None:
                uses = uses | layout_uses(*args, **kwargs)
            else:
                uses = uses | _symbols(buffer.layout, *args, **kwargs)
        return uses

    symbol_uses.__name__ = name
    return symbol_uses


def _symbols(layout: Any, unbacked_only: bool = True) -> Any:
    collect = free_unbacked_symbols if unbacked_only else free_symbols
    return collect(layout.size) | collect(layout.stride)


def fresh_cache() -> Any:
    """Inductor's caches, empty, in a folder of their own: a context manager."""
    return (getattr(inductor_utils, "fresh_cache", None) or inductor_utils.fresh_inductor_cache)()  # renamed in 2.9
