"""Where calls enter: ``FallbackKernel.create``, wrapped.

The original runs in any case, with a stand-in for its class. It prepares the arguments and runs
the fake kernel as always, then asks the class for the kernel's device. There the stand-in has
seen all that a decision needs and the original has made no node yet: either the out variant's
node is made and the original is left, or the original goes on and makes torch's own fallback.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import torch
from torch._inductor import ir
from torch._inductor.virtualized import V

from compat_shim import process
from compat_shim.out_variant import marks, pairing, reuse, waiting, wanted
from compat_shim.out_variant.lowering import announce, cache_key, decide, first_met, nodes, releases
from compat_shim.out_variant.lowering.stand_in import StandIn
from compat_shim.patching.log import debug

# True while a call of a custom op is in the original, so that upstream's own lowering (2.12 on)
# takes neither what we declined nor what is no pair here.
upstream_declines: contextvars.ContextVar[bool] = contextvars.ContextVar("upstream_declines", default=False)


class _Lowered(Exception):
    """Leaves the original ``create`` with the outputs of the out variant's node."""

    def __init__(self, outputs: Any) -> None:
        self.outputs = outputs


class _Looking(StandIn):
    """The class, and a look at what passes."""

    def __init__(self, cls: type[ir.FallbackKernel], pair: pairing.Pair) -> None:
        super().__init__(cls)
        self._pair = pair
        self._processed: Any = None
        self._example_inputs: tuple[Any, ...] = ()

    def process_kernel(self, kernel: Any, /, *args: Any, **kwargs: Any) -> Any:
        def seen(*example_args: Any, **example_kwargs: Any) -> Any:
            self._example_inputs = (*example_args, *example_kwargs.values())
            return kernel(*example_args, **example_kwargs)

        # All that the original does with the kernel is to call it on fake tensors.
        self._processed = self._cls.process_kernel(seen, *args, **kwargs)
        return self._processed

    def find_device(self, tensor_args: Any, example_output: Any) -> Any:
        device = self._cls.find_device(tensor_args, example_output)
        kernel_device = decide.kernel_device(self._example_inputs, device)
        *_, unbacked = releases.result_of(self._processed)
        # What is said from now on counts in the next graph: the cache key, which is compared below, lacks it.
        declared = _once_a_graph(("declared", self._pair.functional), lambda: reuse.declared(self._pair))
        reason = (
            decide.for_effect()
            or _once_a_graph(
                ("reason", self._pair.functional, kernel_device), lambda: decide.before_fake(self._pair, kernel_device)
            )
            or decide.after_fake(self._pair, example_output, self._example_inputs, unbacked)
        )
        if reason is not None:
            _record(self._pair, reason, example_output)
            return device
        node = nodes.ExternKernelMultiOut(self._pair, device, self._processed, declared)
        _record(self._pair, None, example_output, node.out_buffers)
        outputs = node.out_buffers
        raise _Lowered(type(example_output)(outputs) if isinstance(example_output, (tuple, list)) else outputs[0])


def _record(pair: pairing.Pair, reason: decide.Decline | None, outputs: Any = None, buffers: Any = ()) -> None:
    """Count a decision, log it where that is asked for, and tell who looks on."""
    decide.count("lowered" if reason is None else f"declined: {reason.name}")
    words = f"lowered to {pair.out}" if reason is None else f"declined: {reason.value}"
    debug(process.settings(), "%s: %s", pair.functional, words)
    announce.tell(pair.functional, pair, reason, outputs, buffers)


def wrap_create(original: Callable[..., Any]) -> Callable[..., Any]:
    """``FallbackKernel.create`` that lowers a call to its out variant where that is right."""

    def create(cls: type[ir.FallbackKernel], kernel: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not _is_custom(kernel):
            announce.tell(kernel, None, None)
            return original(cls, kernel, *args, **kwargs)
        pair = _once_a_graph(("pair", kernel), lambda: _find_pair(kernel))
        token = upstream_declines.set(True)
        try:
            if pair is None:
                announce.tell(kernel, None, None)
                return original(cls, kernel, *args, **kwargs)
            if cls is not ir.FallbackKernel:
                # A kernel of another kind (an effectful op's, a collective's) keeps its class.
                _record(pair, decide.Decline.EFFECTS)
                return original(cls, kernel, *args, **kwargs)
            return original(_Looking(cls, pair), kernel, *args, **kwargs)
        except _Lowered as lowered:
            return lowered.outputs
        finally:
            upstream_declines.reset(token)

    return create


def _once_a_graph(key: tuple[Any, ...], find: Callable[[], Any]) -> Any:
    """``find()``, called for the first of a graph's calls for which the answer is the same."""
    answers: dict[tuple[Any, ...], Any] = vars(V.graph).setdefault("compat_shim_answers", {})
    if key not in answers:
        answers[key] = find()
    return answers[key]


def _find_pair(kernel: torch._ops.OpOverload) -> pairing.Pair | None:
    if not cache_key.was_made():
        wanted.pair()
    waiting.warn_once(kernel.name())
    pair = pairing.find_pair(kernel)
    first_met.meet(filter(None, [pair]))  # where a cache key was made, it has been
    return pair


def _is_custom(kernel: Any) -> bool:
    return isinstance(kernel, torch._ops.OpOverload) and kernel.namespace not in marks.BUILTIN


def wrap_discovery(original: Callable[..., Any]) -> Callable[..., Any]:
    """Upstream's look-ups (2.12 on), which find nothing while a call of ours is in the original."""

    def lookup(op: Any) -> Any:
        return None if upstream_declines.get() else original(op)

    return lookup
