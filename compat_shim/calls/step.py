"""What generated code calls: once a step, which function to call for each of its kernels.

``compat_shim_call = compat_shim_step()`` asks for the state of the process and of the thread, once for all kernels of
the function; ``call_ns_op_out = compat_shim_call(torch.ops.ns.op.out, 'cpu')`` then gives the kernel's own function
with what must be around it, or the overload. What changes in the midst of a step counts from the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.autograd.profiler as profiler
from torch import _C
from torch._C._dynamo.eval_frame import set_eval_frame

from compat_shim import process
from compat_shim.calls import execution_trace, known, plain, short_call, thread_state
from compat_shim.calls.long_way import LongWay
from compat_shim.calls.python_kernel import calls_only_its_op, overloads_are_untouched

_is_grad_enabled, _profiler_enabled = torch.is_grad_enabled, _C._autograd._profiler_enabled

Call = Callable[..., Any]


def step(*inputs: Any) -> Callable[..., Call]:
    """What a function of generated code asks at its beginning.

    Args:
        inputs: those of the graph's inputs that its short calls take, where no guard has looked at them.

    Returns:
        A function of an overload and a device type: what to call for it in this step. It also takes what the schema
        was when the code was generated (see ``PythonKernel.signature``), and whether each call must look at its
        arguments.
    """
    if (
        process.short_calls() == "off"
        or _is_grad_enabled()
        or _profiler_enabled()
        or profiler._is_profiler_enabled
        or (inference := thread_state.quiet().get(thread_state.now())) is None
        or not overloads_are_untouched()
        or execution_trace.running()
        or _dynamo_looks_at_frames()
        or not plain.are_plain(*inputs)
    ):
        return _long_way
    return _Step(inference).call


def _dynamo_looks_at_frames() -> bool:
    """Whether Dynamo would trace a kernel that is called here: ``custom_op`` disables it around its own."""
    # torch._C's own question for it loses a reference to None, on 2.6 and 2.7.
    callback = set_eval_frame(None)
    if callback is None:
        return False
    set_eval_frame(callback)
    return True


def _long_way(op: Any, device: str, signature: int = 0, unsure: bool = False) -> Call:
    return op._op if calls_only_its_op(op) else op  # type: ignore[no-any-return]


class _Step:
    """One call of a function of generated code."""

    def __init__(self, inference: bool) -> None:
        self._now = known.registrations()
        self._inference = inference
        self._guards: dict[str, Any] = {}

    def call(self, op: Any, device: str, signature: int, unsure: bool = False) -> Call:
        found = known.find(op, device, self._now)
        if isinstance(found, LongWay) or found.signature != signature:
            return _long_way(op, device)
        key = self._inference, unsure
        make = found.makers.get(key)
        if make is None:
            make = found.makers[key] = short_call.maker(op._schema, found, device, *key)
        if found.definition is None:
            return make(op, None, None)
        guard = self._guard(found.kind)
        below = self._guard("functional") if self._inference else guard  # only there a call may pass by a key
        return _long_way(op, device) if guard is None or below is None else make(op, guard, below)

    def _guard(self, kind: str) -> Any:
        """What enters and leaves a guard that excludes what ``custom_op`` excludes.

        It may be entered again, but by one thread and not within itself.
        """
        if kind not in self._guards:
            keys = thread_state.excluded_below(kind)
            guard: Any = None if keys is None else _C._ExcludeDispatchKeyGuard(keys)
            self._guards[kind] = None if guard is None else (guard.__enter__, guard.__exit__)
        return self._guards[kind]
