"""``compat_shim.explain(fn, ...)``: compile and run a function once, and say what became of its calls."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

import torch
from torch._dynamo.utils import counters
from torch._inductor.compile_fx import compile_fx

from compat_shim.reports.compiled_before import Compiled
from compat_shim.reports.explanation import Explanation
from compat_shim.reports.observer import observed


def explain(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Explanation:
    """Compile ``fn`` with Inductor in a throw-away cache, run it once, and explain each call of a custom op.

    What is compiled already stays as it is: the function is compiled anew, with code of its own, for a backend
    of this call alone. Torch's counters (``torch._dynamo.utils.counters``) are afterwards what they were before.
    Inductor's caches in memory are cleared.

    Args:
        fn: a function or module; of a compiled one, what was compiled.
        args, kwargs: what it is called with, tensors of any shape, dtype and device.

    Returns:
        An :class:`compat_shim.reports.explanation.Explanation`: printable, with ``to_dict()``.

    Raises:
        Exception: whatever compiling or running ``fn`` raises.
    """
    fn = _uncompiled(fn)
    compiled = Compiled(fn)

    # A new object each time: Dynamo keeps what it compiled by the identity of the backend.
    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        return compile_fx(graph, inputs)

    with _same_counters(), observed() as observer:
        torch.compile(_with_own_code(fn), backend=backend)(*args, **kwargs)
    explanation = observer.explanation()
    return dataclasses.replace(explanation, compiled_before=compiled.older_than(explanation.calls))


def _uncompiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Of what is compiled, what was compiled."""
    if isinstance(fn, MethodType):  # its function may be what is compiled
        return MethodType(_uncompiled(fn.__func__), fn.__self__)
    found: Callable[..., Any] = getattr(fn, "_torchdynamo_orig_callable", getattr(fn, "_orig_mod", fn))
    return found


def _with_own_code(fn: Callable[..., Any]) -> Callable[..., Any]:
    """What does the same with another code object.

    Dynamo keeps what it compiled with the code object, and leaves one alone that it has compiled too often
    (``torch._dynamo.config.recompile_limit``).
    """
    if isinstance(fn, MethodType):
        return MethodType(_with_own_code(fn.__func__), fn.__self__)
    if not isinstance(fn, FunctionType):
        return _with_own_code(lambda *args, **kwargs: fn(*args, **kwargs))
    copy = FunctionType(fn.__code__.replace(), fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
    copy.__kwdefaults__ = fn.__kwdefaults__
    vars(copy).update(vars(fn))
    return copy


@contextlib.contextmanager
def _same_counters() -> Iterator[None]:
    """Put torch's counters back as they were, those that somebody holds too."""
    before = [(name, counter, counter.copy()) for name, counter in counters.items()]
    try:
        yield
    finally:
        counters.clear()
        for name, counter, counts in before:
            counter.clear()
            counter.update(counts)
            counters[name] = counter
