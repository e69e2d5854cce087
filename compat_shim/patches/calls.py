"""The feature ``calls``: compiled code calls Python kernels without the dispatcher."""

from compat_shim.patching.kinds import Wrap
from compat_shim.patching.patch import Feature

_CUSTOM_OPS = "torch._library.custom_ops:"
_FALLBACK = "torch._inductor.ir:FallbackKernel."
_OURS = "compat_shim.calls."
_ISSUE = "https://github.com/pytorch/pytorch/issues/139500"
_NO_RELEASE = "when torch's own way to a Python kernel costs as little"

FEATURE = Feature(
    id="calls",
    title="compiled code calls the Python kernel of an op without the way round by the dispatcher",
    requires=("lowering",),
    patches=(
        Wrap(
            id="execution-trace",
            target="torch.profiler.profiler:ExecutionTraceObserver.start",
            make=_OURS + "execution_trace:wrap_start",
            relies_on=("torch.profiler.profiler:ExecutionTraceObserver.stop",),
            why="an observer of execution traces must see each op, and torch does not say that one is running",
            upstream="no release of torch calls a kernel without the dispatcher",
            ends_with=_NO_RELEASE,
        ),
        Wrap(
            id="decide",
            target=_FALLBACK + "create",
            make=_OURS + "fallback:wrap_create",
            relies_on=(
                _CUSTOM_OPS + "CustomOpDef.__init__",
                _CUSTOM_OPS + "CustomOpDef.register_kernel",
                _CUSTOM_OPS + "CustomOpDef._register_to_dispatcher",
                _CUSTOM_OPS + "increment_version",
                "torch._library.autograd:make_autograd_impl",
                "torch._library.utils:mutated_args_kwargs",
                "torch._compile:_disable_dynamo",
                "torch.library:Library.impl",
                "torch.library:Library._destroy",
                "torch._ops:OpOverload.__init__",
                "torch._ops:OpOverload.__call__",
            ),
            why="the way through the dispatcher and custom_op's wrappers costs several times what a small kernel does",
            upstream=_ISSUE,
            ends_with=_NO_RELEASE,
        ),
        Wrap(
            id="emit",
            target=_FALLBACK + "codegen",
            make=_OURS + "fallback:wrap_codegen",
            relies_on=("torch._inductor.codegen.wrapper:PythonWrapperCodegen.generate_fallback_kernel",),
            why="the line of such a call names the kernel's function",
            upstream=_ISSUE,
            ends_with=_NO_RELEASE,
        ),
    ),
)
