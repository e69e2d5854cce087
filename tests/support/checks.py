"""What the lowering's tests share: comparison with eager, and poisoned allocations."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch._dynamo.utils import counters
from torch._inductor.utils import run_and_get_code

from compat_shim.out_variant.lowering.generated_code import spelled_out
from support.ops import poison


def same(compiled: object, eager: object) -> bool:
    """Equal bit for bit, in values, dtypes, shapes and (where they can differ) strides."""
    left, right = (torch.utils._pytree.tree_leaves(value) for value in (compiled, eager))
    return len(left) == len(right) and all(_equal(a, b) for a, b in zip(left, right))


def _equal(a: object, b: object) -> bool:
    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        return a == b
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.numel() and a.stride() != b.stride():
        return False
    if a.dtype.itemsize == 1:
        return torch.equal(a.view(torch.uint8), b.view(torch.uint8))
    return torch.equal(a, b)


def copy_of(value: object) -> object:
    """An input that the compiled graph may write to."""
    return value.clone() if isinstance(value, torch.Tensor) else value


def compile_and_compare(graph: Callable[..., Any], *inputs: Any, **options: Any) -> str:
    """Compile ``graph`` with no graph break, compare results and inputs with eager; returns the code.

    The code names each overload where it is called, as if it had no variables. ``torch._dynamo.utils.counters`` are
    left as the compiled graph set them.
    """
    return spelled_out(code_as_written(graph, *inputs, **options))


def code_as_written(graph: Callable[..., Any], *inputs: Any, **options: Any) -> str:
    """As ``compile_and_compare``; returns the code with its variables."""
    ours, theirs = ([copy_of(value) for value in inputs] for _ in range(2))
    eager = graph(*theirs)
    torch._dynamo.reset()
    counters.clear()
    compiled, code = run_and_get_code(torch.compile(graph, fullgraph=True, **options), *ours)
    assert same(compiled, eager)
    assert same(ours, theirs), "the inputs differ after the call"
    return "\n".join(code)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """The results of the calls, each made in a thread of its own."""
    # Up to 2.8 at least, torch takes one thread's tracing for the other's, and by default refuses its call.
    tolerant = torch._dynamo.config.patch(error_on_nested_fx_trace=False)
    with tolerant, concurrent.futures.ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]


@contextlib.contextmanager
def poisoned_allocations() -> Iterator[None]:
    """What generated code allocates on the CPU holds poison, so that reading it early shows."""
    guards: Any = torch._C._dynamo.guards
    genuine = guards._empty_strided_cpu

    def poisoned(*args: Any) -> torch.Tensor:
        buffer = genuine(*args)
        poison(buffer)
        return buffer

    with mock.patch.object(guards, "_empty_strided_cpu", poisoned):
        yield
