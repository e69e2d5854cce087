"""The feature ``lowering``: Inductor calls the out variant."""

from compat_shim.patching.kinds import Add, Wrap
from compat_shim.patching.patch import Feature

_PULL = "https://github.com/pytorch/pytorch/pull/"
_IR = "torch._inductor.ir:"
_WRAPPER = "torch._inductor.codegen.wrapper:"
_SCHEDULER = "torch._inductor.scheduler:"
_OUT_VARIANT = "torch._library._out_variant:"
_OURS = "compat_shim.out_variant."

FEATURE = Feature(
    id="lowering",
    title="Inductor lowers a functional op to its out variant, and out ops called directly",
    native_since="2.12",
    requires=("discovery", "direct"),
    patches=(
        *(
            Add(
                id=target.rpartition(":")[2].rpartition(".")[2],
                target=target,
                make=_OURS + make,
                why="other code imports this name of upstream's lowering",
                upstream=_PULL + "176117",
                last="2.11",
                ends_with="2.12",
            )
            for target, make in (
                (_IR + "AllocatingMultiOutput", "lowering.nodes:AllocatingMultiOutput"),
                (_IR + "ExternKernelMultiOut", "lowering.nodes:ExternKernelMultiOut"),
                (_WRAPPER + "ExternKernelMultiOutLine", "lowering.emission.python_call:ExternKernelMultiOutLine"),
                (
                    _WRAPPER + "PythonWrapperCodegen.generate_extern_kernel_multi_out",
                    "lowering.emission.python_call:generate_extern_kernel_multi_out",
                ),
            )
        ),
        *(
            Wrap(
                id=name.replace("_", "-") + "-declines",
                target=_OUT_VARIANT + name,
                make=_OURS + "lowering.create:wrap_discovery",
                why="upstream's own lowering must not take a call that is declined here",
                upstream="docs/differs-from-upstream.md: wrong numbers and errors, no issue of torch's covers them",
                first="2.12",
                ends_with="when upstream's lowering is right on the shapes in docs/shapes.md",
            )
            for name in ("to_out_variant", "lookup_manual_out_variant")
        ),
        Wrap(
            id="cache-key",
            target="torch._inductor.codecache:FxGraphHashDetails.__init__",
            make=_OURS + "lowering.cache_key:wrap_hash_details",
            relies_on=("torch._functorch._aot_autograd.autograd_cache:AOTAutogradCacheDetails.__init__",),
            why="compiled graphs must not be shared between processes that lower differently",
            upstream="no release of torch has overloads or tags in the key",
            ends_with="when torch's cache keys hold the out variants of the ops",
        ),
        Wrap(
            id="create",
            target=_IR + "FallbackKernel.create",
            make=_OURS + "lowering.create:wrap_create",
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
                _WRAPPER + "PythonWrapperCodegen.codegen_inplace_reuse",
                _WRAPPER + "PythonWrapperCodegen.can_reuse",
                _WRAPPER + "AllocateLine.plan",
                _WRAPPER + "FreeIfNotReusedLine.plan",
                _WRAPPER + "ReuseLine.plan",
                _SCHEDULER + "BaseSchedulerNode._init_from_node",
                _SCHEDULER + "BaseSchedulerNode.mark_run",
                _SCHEDULER + "BaseSchedulerNode.set_last_usage",
                _SCHEDULER + "SchedulerBuffer.allocate",
                _SCHEDULER + "Scheduler.codegen_extern_call",
                _SCHEDULER + "Scheduler.dead_node_elimination",
            ),
            why="a functional op with an out variant is lowered to it, for 1..n outputs by one node; from 2.12 on in"
            " place of upstream's, whose flat arguments and node per output give wrong calls and wrong numbers",
            upstream=_PULL + "175116",
            ends_with="when upstream's lowering is right on the shapes in docs/shapes.md",
        ),
        Wrap(
            id="direct-results",
            target=_IR + "FallbackKernel.create",
            make=_OURS + "direct.inductor:wrap_create",
            relies_on=(_IR + "FallbackKernel.find_device", _IR + "ExternKernel.realize_input"),
            why="the results of an out op called directly are its out arguments: two such calls after each other give"
            " silently wrong numbers on 2.13 to 2.15, where the out buffer is reused while its alias lives",
            upstream=_PULL + "180852",
            ends_with="when Inductor keeps the out buffer as long as the result of a direct call",
        ),
        Wrap(
            id="direct-arguments",
            target="torch._inductor.graph:GraphLowering.call_function",
            make=_OURS + "direct.inductor:wrap_call_function",
            relies_on=("torch._inductor.lowering:copy_",),
            why="the result of a direct call stands for its out argument, so that writing it back is no copy",
            upstream=_PULL + "180852",
            ends_with="with direct-results",
        ),
        Wrap(
            id="storage-offset",
            target="torch._inductor.graph:GraphLowering.call_function",
            make=_OURS + "lowering.storage_offset:wrap_call_function",
            why="with dynamic shapes an op that writes to a view of a buffer (out=buffer[1]) writes to the buffer's"
            " start instead: silently wrong numbers",
            upstream="no issue of torch's covers it; the lowering of aten.sym_storage_offset",
            ends_with="when that lowering answers with the view's own offset",
        ),
    ),
)
