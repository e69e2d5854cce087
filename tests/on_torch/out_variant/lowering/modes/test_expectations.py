"""What a user expects of a debugging option holds for a lowered call as for torch's own fallback."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config, hooks

from support.checks import same
from support.ops import Ops, define

TWO = ("f(Tensor x) -> (Tensor, Tensor)", "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()")
ONE = ("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) y) -> ()")


def _run(ops: Ops, graph: Any, *inputs: torch.Tensor) -> Any:
    torch._dynamo.reset()
    counters.clear()
    found = torch.compile(graph, fullgraph=True)(*inputs)
    assert counters["compat_shim"]["lowered"] == (0 if ops.out is None else 1)
    return found


@pytest.mark.parametrize("schemas", [ONE, TWO], ids=["one output", "two outputs"])
def test_intermediate_hooks_run_for_a_lowered_call_where_they_run_for_torch_s_own_kernel(
    schemas: tuple[str, str], shared_kernels: None
) -> None:
    def seen(with_out: bool) -> list[tuple[str, Any]]:
        kernel = (lambda x: x + 1) if schemas is ONE else (lambda x: (x + 1, x.sum(-1)))
        ops = define(schemas[0], schemas[1] if with_out else None, kernel)
        found: list[tuple[str, Any]] = []
        copy = torch.utils._pytree.tree_map
        with (
            config.patch(generate_intermediate_hooks=True),
            hooks.intermediate_hook(lambda name, value: found.append((name, copy(torch.clone, value)))),
        ):
            _run(ops, lambda x: ops.functional(x), torch.ones(2, 3))
        return found

    ours, stock = seen(True), seen(False)
    assert [name for name, _ in ours] == [name for name, _ in stock]
    assert same([value for _, value in ours], [value for _, value in stock])
    assert len(ours) == (1 if schemas is ONE else 0)


def test_the_profiler_shows_the_op_by_its_name(shared_kernels: None) -> None:
    ops = define(*TWO, lambda x: (x + 1, x.sum(-1)))
    with torch.profiler.profile() as profile:
        _run(ops, lambda x: ops.functional(x), torch.ones(2, 3))
    assert f"{ops.namespace}::f" in {event.key for event in profile.key_averages()}


def test_nan_asserts_see_a_nan_that_the_kernel_wrote_where_they_see_torch_s_own(shared_kernels: None) -> None:
    def seen(with_out: bool) -> bool:
        ops = define(ONE[0], ONE[1] if with_out else None, lambda x: x / x)
        with config.patch(nan_asserts=True):
            assert same(_run(ops, lambda x: ops.functional(x), torch.ones(2, 3)), torch.ones(2, 3))
            try:
                _run(ops, lambda x: ops.functional(x), torch.zeros(2, 3))
            except AssertionError:
                return True
        return False

    assert seen(True) == seen(False)


def test_size_asserts_still_guard_the_inputs_of_the_graph(shared_kernels: None) -> None:
    from torch._inductor.utils import run_and_get_code

    ops = define(*ONE, lambda x: x + 1)
    with config.patch(size_asserts=True):
        _, (code,) = run_and_get_code(torch.compile(lambda x: ops.functional(x), fullgraph=True), torch.ones(2, 3))
    assert "assert_size_stride(arg0_1, (2, 3), (3, 1)" in code
