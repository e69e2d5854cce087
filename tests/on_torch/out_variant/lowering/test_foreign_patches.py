"""Other projects' patches of Inductor, in either order: what vLLM replaces, and what we rely on."""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch._dynamo.utils import counters
from torch._higher_order_ops import auto_functionalize
from torch._inductor import config
from torch._inductor.codegen.wrapper import PythonWrapperCodegen
from torch._inductor.graph import GraphLowering
from torch._inductor.ir import FallbackKernel
from torch._inductor.scheduler import Scheduler

import compat_shim
from support.checks import compile_and_compare, poisoned_allocations
from support.quantization import chain, quantize_ops

# What vLLM's env_override.py replaces, where the release has it.
VLLM = [
    (owner, name)
    for owner, name in (
        (PythonWrapperCodegen, "memory_plan_reuse"),
        (Scheduler, "should_partition"),
        (Scheduler, "get_graph_partition_signature"),
        (GraphLowering, "_update_scheduler"),
    )
    if hasattr(owner, name)
]


@contextlib.contextmanager
def replaced(targets: list[tuple[Any, str]]) -> Iterator[collections.Counter[str]]:
    """Each target replaced by a function of the test's; yields how often each was called."""
    called: collections.Counter[str] = collections.Counter()

    def replacement(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def foreign(*args: Any, **kwargs: Any) -> Any:
            called[name] += 1
            return original(*args, **kwargs)

        return foreign

    with contextlib.ExitStack() as stack:
        for owner, name in targets:
            stack.enter_context(mock.patch.object(owner, name, replacement(name, getattr(owner, name))))
        yield called


def lowering() -> str:
    return next(feature.verdict for feature in compat_shim.status().features if feature.id == "lowering")


@pytest.mark.parametrize("first", ["the other project", "the shim"])
def test_vllm_s_replacements_and_the_lowering_work_together_in_either_order(first: str, shared_kernels: None) -> None:
    ops = quantize_ops()
    if first == "the other project":
        compat_shim.deactivate()
    with replaced(VLLM) as called:
        compat_shim.activate()
        assert lowering() == "APPLIED"
        settings = {"graph_partition": True} if hasattr(config, "graph_partition") else {}
        with config.patch(settings), poisoned_allocations():
            code = compile_and_compare(chain(ops), torch.randn(4, 8))
        assert counters["compat_shim"]["lowered"] == code.count(".f.out(") == 2
        expected = {name for _, name in VLLM}
        # Signatures are asked for only where a graph is partitioned.
        assert expected - set(called) <= {"get_graph_partition_signature", "should_partition"}
        assert "memory_plan_reuse" in called
        compat_shim.deactivate()
        assert all(getattr(owner, name).__name__ == "foreign" for owner, name in VLLM)


def test_a_function_that_the_lowering_relies_on_and_another_project_replaced_keeps_torch_s_own_lowering(
    caplog: pytest.LogCaptureFixture, shared_kernels: None
) -> None:
    ops = quantize_ops(by_hand=True)  # a pair that torch's own lowering (2.12 on) does not know
    compat_shim.deactivate()
    with replaced([(Scheduler, "codegen_extern_call")]), caplog.at_level(logging.WARNING, "compat_shim"):
        compat_shim.activate()
        assert lowering() == "FOREIGN_PATCH"
        compile_and_compare(chain(ops), torch.randn(4, 8))
        assert not counters["compat_shim"]
        compat_shim.deactivate()
    warnings = [record.getMessage() for record in caplog.records if "codegen_extern_call" in record.getMessage()]
    assert len(warnings) == 1
    compat_shim.activate()
    assert lowering() == "APPLIED"


def test_direct_calls_are_left_to_torch_where_create_is_somebody_else_s(library: Any) -> None:
    library.define("op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)")
    op = getattr(torch.ops, library.ns).op.out
    compat_shim.tag_out(op)
    ours = vars(FallbackKernel)["create"]

    @functools.wraps(ours.__func__)
    def around(*args: Any, **kwargs: Any) -> Any:
        return ours.__func__(*args, **kwargs)

    assert auto_functionalize.can_auto_functionalize(op)
    with mock.patch.object(FallbackKernel, "create", classmethod(around)):
        assert auto_functionalize.can_auto_functionalize(op)
    # Without ours, the results of such a call are buffers of their own: wrong numbers.
    with mock.patch.object(FallbackKernel, "create", classmethod(lambda cls, *args, **kwargs: None)):
        assert not auto_functionalize.can_auto_functionalize(op)
    assert auto_functionalize.can_auto_functionalize(op)
