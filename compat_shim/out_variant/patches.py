"""The patches of the features ``discovery`` and ``lowering``.

Those of ``tag`` are in ``tag.py``, those of ``custom_op`` and ``direct`` in ``patches_2_13.py``.

The functions named here run when a patch is applied, so that nothing of Inductor is imported
before Inductor itself is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compat_shim.patching.patch import Add, AddModule, Wrap

_PULL = "https://github.com/pytorch/pytorch/pull/"
_IR = "torch._inductor.ir:"
_WRAPPER = "torch._inductor.codegen.wrapper:"
_SCHEDULER = "torch._inductor.scheduler:"
_OUT_VARIANT = "torch._library._out_variant:"


def _discovery_module(name: str) -> Any:
    from compat_shim.out_variant import discovery

    return discovery.make_module(name)


def _discovery(name: str) -> Callable[[], Any]:
    def make() -> Any:
        import compat_shim.out_variant as public

        return getattr(public, name)

    return make


def _either_tag(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        from compat_shim.out_variant import discovery

        wrap = getattr(discovery, f"wrap_{name}")
        return discovery.answering(wrap(original), original)

    return make


def _manual_too(original: Callable[..., Any]) -> Callable[..., Any]:
    from compat_shim.out_variant import discovery, registry

    def lookup_manual_out_variant(op: Any) -> Any:
        found = registry.lookup_manual_out_variant(op)
        return original(op) if found is None else found

    return discovery.answering(lookup_manual_out_variant, original)


def _registry(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        from compat_shim.out_variant import registry

        wrap = getattr(registry, name)
        return wrap(original)

    return make


DISCOVERY = (
    *(
        Wrap(
            id=id,
            target=target,
            make=_registry(make),
            relies_on=("torch.library:Library._destroy",),
            why="an out variant must not stand for a functional op whose kernel was exchanged after its own was"
            " registered, and torch keeps no record of when",
            upstream="no release of torch has such a record",
            ends_with="no release: torch's own lowering does not ask",
        )
        for id, target, make in (
            ("impl", "torch.library:Library.impl", "wrap_impl"),
            ("register-kernel", "torch._library.custom_ops:CustomOpDef.register_kernel", "wrap_register_kernel"),
        )
    ),
    AddModule(
        id="module",
        target="torch._library:_out_variant",
        make=_discovery_module,
        relies_on=("torch._ops:OpOverloadPacket.overloads",),
        why="torch up to 2.10 has no discovery of out variants",
        upstream=_PULL + "174473",
        last="2.10",
        ends_with="2.11",
    ),
    *(
        Add(
            id=name.replace("_", "-"),
            target=_OUT_VARIANT + name,
            make=_discovery(name),
            why=f"torch 2.11 has no {name}",
            upstream=_PULL + "176117",
            first="2.11",
            last="2.11",
            ends_with="2.12",
        )
        for name in ("get_out_arg_names", "register_out_variant", "lookup_manual_out_variant")
    ),
    *(
        Wrap(
            id=name.replace("_", "-") + "-either-tag",
            target=_OUT_VARIANT + name,
            make=_either_tag(name),
            relies_on=("torch._ops:OpOverloadPacket.overloads",),
            why="torch looks for one tag alone: Tag.out_variant on 2.11 and 2.12, Tag.out from 2.13 on",
            upstream=_PULL + "180851",
            first="2.11",
            ends_with="no release: upstream made it so on purpose",
        )
        for name in ("to_out_variant", "check_out_variant")
    ),
    Wrap(
        id="lookup-manual-out-variant-ours",
        target=_OUT_VARIANT + "lookup_manual_out_variant",
        make=_manual_too,
        why="pairs of compat_shim.register_out_variant are found by torch's own look-up",
        upstream=_PULL + "176117",
        first="2.12",
        ends_with="no release: the registry is ours",
    ),
)


def _node(name: str) -> Callable[[], Any]:
    def make() -> Any:
        from compat_shim.out_variant.lowering import nodes

        return getattr(nodes, name)

    return make


def _line(name: str) -> Callable[[], Any]:
    def make() -> Any:
        from compat_shim.out_variant.lowering import codegen

        return getattr(codegen, name)

    return make


def _wrap_create(original: Callable[..., Any]) -> Callable[..., Any]:
    from compat_shim.out_variant.lowering import create

    return create.wrap_create(original)


def _direct(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        from compat_shim.out_variant.lowering import direct

        wrap = getattr(direct, name)
        return wrap(original)

    return make


def _upstream_declines(original: Callable[..., Any]) -> Callable[..., Any]:
    from compat_shim.out_variant.lowering import create

    return create.wrap_discovery(original)


def _wrap_hash_details(original: Callable[..., Any]) -> Callable[..., Any]:
    from compat_shim.out_variant.lowering import cache_key

    return cache_key.wrap_hash_details(original)


LOWERING = (
    *(
        Add(
            id=target.rpartition(":")[2].rpartition(".")[2],
            target=target,
            make=make,
            why="other code imports this name of upstream's lowering",
            upstream=_PULL + "176117",
            last="2.11",
            ends_with="2.12",
        )
        for target, make in (
            (_IR + "AllocatingMultiOutput", _node("AllocatingMultiOutput")),
            (_IR + "ExternKernelMultiOut", _node("ExternKernelMultiOut")),
            (_WRAPPER + "ExternKernelMultiOutLine", _line("ExternKernelMultiOutLine")),
            (
                _WRAPPER + "PythonWrapperCodegen.generate_extern_kernel_multi_out",
                _line("generate_extern_kernel_multi_out"),
            ),
        )
    ),
    *(
        Wrap(
            id=name.replace("_", "-") + "-declines",
            target=_OUT_VARIANT + name,
            make=_upstream_declines,
            why="upstream's own lowering must not take a call that is declined here",
            upstream="README, 'Differs from upstream': wrong numbers and errors, no issue of torch's covers them",
            first="2.12",
            ends_with="when upstream's lowering is right on the shapes in the README",
        )
        for name in ("to_out_variant", "lookup_manual_out_variant")
    ),
    Wrap(
        id="cache-key",
        target="torch._inductor.codecache:FxGraphHashDetails.__init__",
        make=_wrap_hash_details,
        relies_on=("torch._functorch._aot_autograd.autograd_cache:AOTAutogradCacheDetails.__init__",),
        why="compiled graphs must not be shared between processes that lower differently",
        upstream="no release of torch has overloads or tags in the key",
        ends_with="when torch's cache keys hold the out variants of the ops",
    ),
    Wrap(
        id="create",
        target=_IR + "FallbackKernel.create",
        make=_wrap_create,
        relies_on=(
            _IR + "FallbackKernel.__init__",
            _IR + "FallbackKernel.codegen",
            _IR + "FallbackKernel.codegen_args",
            _IR + "FallbackKernel.export_extern_kernel_node",
            _IR + "FallbackKernel.find_device",
            _IR + "FallbackKernel.tensor_to_layout",
            _IR + "ExternKernel.process_kernel",
            _IR + "ExternKernel.codegen_comment",
            _IR + "ExternKernel.collect_arg_kwarg_properties",
            _IR + "ExternKernel.fill_non_provided_args",
            _IR + "InputsKernel.get_read_writes",
            _WRAPPER + "PythonWrapperCodegen.codegen_allocation",
            _WRAPPER + "PythonWrapperCodegen.codegen_free",
            _WRAPPER + "AllocateLine.plan",
            _WRAPPER + "FreeIfNotReusedLine.plan",
            _SCHEDULER + "BaseSchedulerNode._init_from_node",
            _SCHEDULER + "BaseSchedulerNode.mark_run",
            _SCHEDULER + "SchedulerBuffer.allocate",
            _SCHEDULER + "Scheduler.codegen_extern_call",
            _SCHEDULER + "Scheduler.dead_node_elimination",
        ),
        why="a functional op with an out variant is lowered to it, for 1..n outputs by one node; from 2.12 on in"
        " place of upstream's, whose flat arguments and node per output give wrong calls and wrong numbers",
        upstream=_PULL + "175116",
        ends_with="when upstream's lowering is right on the shapes in the README",
    ),
    Wrap(
        id="direct-results",
        target=_IR + "FallbackKernel.create",
        make=_direct("wrap_create"),
        relies_on=(_IR + "FallbackKernel.find_device", _IR + "ExternKernel.realize_input"),
        why="the results of an out op called directly are its out arguments: two such calls after each other give"
        " silently wrong numbers on 2.13 to 2.15, where the out buffer is reused while its alias lives",
        upstream=_PULL + "180852",
        ends_with="when Inductor keeps the out buffer as long as the result of a direct call",
    ),
    Wrap(
        id="direct-arguments",
        target="torch._inductor.graph:GraphLowering.call_function",
        make=_direct("wrap_call_function"),
        relies_on=("torch._inductor.lowering:copy_",),
        why="the result of a direct call stands for its out argument, so that writing it back is no copy",
        upstream=_PULL + "180852",
        ends_with="with direct-results",
    ),
    Wrap(
        id="storage-offset",
        target="torch._inductor.graph:GraphLowering.call_function",
        make=_direct("wrap_storage_offset"),
        why="with dynamic shapes an op that writes to a view of a buffer (out=buffer[1]) writes to the buffer's"
        " start instead: silently wrong numbers",
        upstream="no issue of torch's covers it; the lowering of aten.sym_storage_offset",
        ends_with="when that lowering answers with the view's own offset",
    ),
)
