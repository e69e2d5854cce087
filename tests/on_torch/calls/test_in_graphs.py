"""The short way where graphs are more than a chain: backward, branches, loops, dynamic shapes, caches."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import compat_shim
from compat_shim import process
from compat_shim.calls import ways
from support.checks import same
from support.short_calls import Program, set_calls


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Program]:
    monkeypatch.setattr(ways, "PAYS_FROM", 1)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    found = Program()
    set_calls("all")
    yield found
    found.destroy()


def short(program: Program) -> list[str]:
    """Since this was asked last: the kinds whose kernels were called by compiled code itself."""
    found = [call.kind for call in program.seen if call.short]
    program.seen.clear()
    return found


def test_forward_and_backward(program: Program) -> None:
    ops = program.ops

    def backward(ctx: Any, gradient: Tensor) -> Any:
        return ops.pair(ops.functional(gradient, ctx.s), 1.0), None

    def keep(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.s = inputs[1]

    program.definitions["functional"].register_autograd(backward, setup_context=keep)
    program.definitions["pair"].register_autograd(backward, setup_context=keep)

    def graph(x: Tensor) -> Tensor:
        return ops.functional(ops.pair(x, 2.0), 3.0).sum()

    def step(function: Any) -> tuple[Tensor, Tensor | None]:
        x = torch.arange(12.0).view(3, 4).requires_grad_()
        loss = function(x)
        loss.backward()
        return loss.detach(), x.grad

    expected = step(graph)
    compiled = torch.compile(graph, fullgraph=True)
    for _ in range(3):  # the first step of a graph looks for aliases on torch 2.15
        program.seen.clear()
        assert same(step(compiled), expected)
    assert short(program) == ["pair", "functional", "functional", "pair", "functional", "pair"]


def test_branches_and_loops_keep_torch_s_calls(program: Program) -> None:
    ops = program.ops

    def graph(x: Tensor) -> Tensor:
        y = torch.cond(x.sum() > 0, lambda x: ops.pair(x, 2.0), lambda x: ops.functional(x, 3.0), (x,))
        return ops.pair(y, 1.0)

    with torch.no_grad():
        compiled = torch.compile(graph, fullgraph=True)
        for _ in range(2):
            for sign in (1.0, -1.0):
                x = torch.rand(3, 4) * sign
                expected = graph(x)
                program.seen.clear()
                assert same(compiled(x), expected)
    assert short(program) == ["pair"]


def test_sizes_that_the_step_tells(program: Program) -> None:
    library, seen = program.library, []
    library.define("sized(Tensor x, SymInt n, float s) -> Tensor")
    library.define("sized.out(Tensor x, SymInt n, float s, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    library.impl("sized", lambda x, n, s: x * n * s, "CPU")

    def write(x: Tensor, n: int, s: float, *, out: Tensor) -> None:
        seen.append((type(n), type(s), sys._getframe(1).f_code.co_filename.startswith("<compat_shim")))
        torch.mul(x, n * s, out=out)

    library.impl("sized.out", write, "CPU")
    torch.library.register_fake(f"{program.namespace}::sized", lambda x, n, s: torch.empty_like(x), lib=library)

    def graph(x: Tensor) -> Tensor:
        return program.ops.sized(x, x.shape[0] * 2, 0.5)

    with torch.no_grad():
        compiled = torch.compile(graph, fullgraph=True, dynamic=True)
        for rows in (2, 3, 5):
            for _ in range(2):
                assert same(compiled(torch.ones(rows, 4)), graph(torch.ones(rows, 4)))
    assert seen[-1] == (int, float, True)
    assert {types for *types, _ in [(*one[:2], one[2]) for one in seen] for types in [tuple(types)]} == {(int, float)}


def test_a_kernel_is_given_what_the_dispatcher_would_give_it(program: Program) -> None:
    """What the kernel is given is told in full: an int for a float, a tuple for a list, a default of another sign."""
    seen: list[Any] = []
    schema = "(Tensor x, float s=0.0, int[]? n=None, Scalar c=1, bool b=False, ScalarType? d=None, Tensor[]? ts=None)"

    def make(
        x: Tensor, s: float = 0.0, n: Any = None, c: Any = 1, b: bool = False, d: Any = None, ts: Any = None
    ) -> Tensor:
        is_short = sys._getframe(1).f_code.co_filename.startswith("<compat_shim")
        seen.append((repr(s), repr(n), repr(c), repr(b), repr(d), type(ts), x.is_conj(), is_short))
        return x + 1

    op = torch.library.custom_op(
        f"{program.namespace}::all_of_them", make, mutates_args=(), schema=f"{schema} -> Tensor"
    )
    op.register_fake(lambda x, *_, **__: torch.empty_like(x))
    call = program.ops.all_of_them
    graphs = {
        "as the schema says": lambda x: call(x, 1.5, [1, 2], 2.5, True, torch.float64, [x, x]),
        "what equals the defaults": lambda x: call(x, 0.0, None, 1, False),
        "an int for a float": lambda x: call(x, 2),
        "a tuple for a list": lambda x: call(x, 1.5, (1, 2)),
        "a zero of another sign": lambda x: call(x, -0.0),
        "True for a number": lambda x: call(x, 1.5, [1], True),
        "by name": lambda x: call(x, c=3, b=True),
        "a conjugated tensor": lambda x: call(torch.view_as_complex(x).conj()),
    }
    goes_short: dict[str, bool] = {}
    with torch.no_grad():
        for name, graph in graphs.items():
            x = torch.ones(3, 2)
            seen.clear()
            expected = graph(x)
            torch._dynamo.reset()
            compiled = torch.compile(graph, fullgraph=True)
            for _ in range(2):
                assert same(compiled(x), expected), name
            assert seen[0][:-1] == seen[-1][:-1], name
            goes_short[name] = seen[-1][-1]
    assert all(goes_short[name] for name in ("as the schema says", "what equals the defaults", "by name"))


PROGRAM = """
import json, os, sys
import torch
import torch._inductor.compile_fx
from torch._dynamo.utils import counters

def process():
    import compat_shim

    seen = []

    def kernel(x: torch.Tensor, s: float) -> torch.Tensor:
        seen.append(sys._getframe(1).f_code.co_filename.startswith("<compat_shim"))
        return x * s

    op = torch.library.custom_op("compat_shim_cached::f", kernel, mutates_args=())
    op.register_fake(lambda x, s: torch.empty_like(x))

    def graph(x):
        return op(op(x, 2.0), 1.5)  # no kernel of Inductor's, which would take the C++ compiler

    with torch.no_grad():
        compiled = torch.compile(graph)
        results = [compiled(torch.ones(3)).tolist() for _ in range(3)]
    hits = counters["inductor"]["fxgraph_cache_hit"] + counters["aot_autograd"]["autograd_cache_hit"]
    print(json.dumps({"results": results, "short": seen[-1], "hit": bool(hits)}), flush=True)

# Each in a fork of an interpreter that has imported the compiler without the shim.
for environment in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        os.environ.update(environment)
        process()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, environment
"""


@pytest.mark.processes
def test_code_from_the_cache_of_another_process(tmp_path: Path, run_python: Callable[..., Any]) -> None:
    processes = (
        {"COMPAT_SHIM_CALLS": "all"},
        {"COMPAT_SHIM_CALLS": "all"},
        {"COMPAT_SHIM": "off"},
        {"COMPAT_SHIM_CALLS": "pairs"},
    )
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "TORCHINDUCTOR_FX_GRAPH_CACHE": "1", "CUDA_VISIBLE_DEVICES": ""}

    said = run_python(PROGRAM, json.dumps(processes), env=cache).stdout

    first, again, off, pairs = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    assert all(one["results"] == [[3, 3, 3]] * 3 for one in (first, again, off, pairs))
    assert (first["short"], first["hit"]) == (True, False)
    assert (again["short"], again["hit"]) == (True, True)
    assert not off["short"]
    assert not pairs["short"]


def test_saved_code_runs_without_the_package(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    code = program.code("all")
    scope: dict[str, Any] = {"__name__": "saved"}
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, process.OWNER)  # as if it had not been imported
        patch.delitem(sys.modules, "compat_shim")
        exec(compile(code, "saved.py", "exec"), scope)
        assert "compat_shim" not in sys.modules
    x = program.input()
    program.seen.clear()
    with torch.no_grad():
        assert same(list(scope["call"]([x])), list(program.graph(program.input())))
    assert short(program) == []


def test_explain_says_which_way_each_call_takes(program: Program) -> None:
    def graph(x: Tensor) -> tuple[Tensor, ...]:
        return program.graph(x)

    with torch.no_grad():
        calls = {call.op.partition("::")[2]: call for call in compat_shim.explain(graph, program.input()).calls}
        assert all(call.short and not call.long_way for call in calls.values())
        assert set(calls) == {"impl", "pair", "out", "functional", "mutable"}
        set_calls("pairs")
        calls = {call.op.partition("::")[2]: call for call in compat_shim.explain(graph, program.input()).calls}
        assert {name for name, call in calls.items() if call.short} == {"impl", "pair", "out"}
        assert "COMPAT_SHIM_CALLS=all" in calls["functional"].long_way
        assert "COMPAT_SHIM_CALLS=all" in str(compat_shim.explain(graph, program.input()))
        set_calls("off")
        calls = {call.op.partition("::")[2]: call for call in compat_shim.explain(graph, program.input()).calls}
        assert not any(call.short for call in calls.values())
        assert "COMPAT_SHIM_CALLS" in calls["pair"].long_way
