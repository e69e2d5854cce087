"""Every way of compiling: right, and lowered or declined with a reason. Makes ``docs/modes.md``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import compile_fx, config

from support.checks import at_once, poisoned_allocations, same
from support.ops import Ops, define

# How to compile and run a graph: (graph, input) → result.
Run = Callable[[Callable[..., Any], torch.Tensor], Any]


def compiled(**options: Any) -> Run:
    def run(graph: Callable[..., Any], x: torch.Tensor) -> Any:
        return torch.compile(graph, fullgraph=True, **options)(x)

    return run


def configured(settings: dict[str, Any], run: Run | None = None) -> Run | None:
    """Compiled with ``settings``; None where the release has not all of them."""
    for name in settings:
        owner: Any = config
        for part in name.split("."):
            owner = getattr(owner, part, None)
            if owner is None and not hasattr(config, name):
                return None

    def patched(graph: Callable[..., Any], x: torch.Tensor) -> Any:
        with config.patch(settings):
            return (run or compiled())(graph, x)

    return patched


def after_reset(graph: Callable[..., Any], x: torch.Tensor) -> Any:
    torch.compile(graph, fullgraph=True)(x.clone())
    torch.compiler.reset()
    counters.clear()
    return torch.compile(graph, fullgraph=True)(x)


def in_two_threads(graph: Callable[..., Any], x: torch.Tensor) -> Any:
    def work() -> Any:
        with torch.no_grad():
            return torch.compile(lambda x: graph(x), fullgraph=True)(x.clone())

    first, second = at_once(work, work)
    assert same(first, second)
    return first


def through(name: str, asynchronous: bool) -> Run | None:
    """``TORCHINDUCTOR_FX_COMPILE_MODE``: where Inductor compiles (a custom op's graph stays in this process)."""
    mode = getattr(getattr(compile_fx, "FxCompileMode", None), name, None)
    if mode is None or (asynchronous and not hasattr(compile_fx, "fx_compile_async")):
        return None

    def run(graph: Callable[..., Any], x: torch.Tensor) -> Any:
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(compile_fx, "fx_compile_mode", mode))
            if asynchronous:
                stack.enter_context(mock.patch.object(compile_fx, "fx_compile_async", True))
            return torch.compile(graph, fullgraph=True)(x)

    return run


class _Model(torch.nn.Module):
    def __init__(self, graph: Callable[..., Any]) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: torch.Tensor) -> Any:
        return self.graph(x)


def standalone(form: str, folder: Path) -> Run | None:
    """``standalone_compile``, saved and loaded in this process (torch 2.8 on)."""
    if not hasattr(torch._inductor, "standalone_compile"):
        return None

    def run(graph: Callable[..., Any], x: torch.Tensor) -> Any:
        captured: list[Any] = []
        torch.compile(graph, fullgraph=True, backend=lambda *args: captured.append(args) or args[0].forward)(x)
        module, inputs = captured[0]
        with config.patch(fx_graph_cache=True), torch._functorch.config.patch(enable_autograd_cache=True):
            artifact = torch._inductor.standalone_compile(module, inputs, dynamic_shapes="from_example_inputs")
        path = str(folder / form)
        artifact.save(path=path, format=form)
        return torch._inductor.CompiledArtifact.load(path=path, format=form)(*inputs)

    return run


def ahead_of_time(folder: Path) -> Run:
    def run(graph: Callable[..., Any], x: torch.Tensor) -> Any:
        package = torch._inductor.aoti_compile_and_package(
            torch.export.export(_Model(graph), (x,)), package_path=str(folder / "model.pt2")
        )
        return torch._inductor.aoti_load_package(package)(x)

    return run


def modes(folder: Path) -> dict[str, Run | None]:
    """Mode → how to run a graph in it; None where the release does not have it."""
    asserts_off = {"size_asserts": False, "alignment_asserts": False}
    with_settings: dict[str, dict[str, Any]] = {
        "freezing": {"freezing": True},
        "combo_kernels": {"combo_kernels": True},
        "generate_intermediate_hooks": {"generate_intermediate_hooks": True},
        "nan_asserts": {"nan_asserts": True},
        "size_asserts=False": {"size_asserts": False},
        "allow_buffer_reuse=False": {"allow_buffer_reuse": False},
        "inplace_buffers=False": {"inplace_buffers": False},
        "memory_planning": {"memory_planning": True},
        "graph_partition": {"graph_partition": True},
        "trace.enabled": {"trace.enabled": True, "trace.debug_dir": str(folder / "trace")},
        "provenance tracking": {"trace.provenance_tracking_level": 1},
        "profiler_mark_wrapper_call": {"profiler_mark_wrapper_call": True},
        "benchmark_harness=False": {"benchmark_harness": False},
        "reorder_for_peak_memory": {"reorder_for_peak_memory": True},
        "reorder_for_compute_comm_overlap": {"reorder_for_compute_comm_overlap": True},
        "use_dce": {"use_dce": True},
        "fallback_by_default": {"fallback_by_default": True},
        "cpp_wrapper": {"cpp_wrapper": True},
        "fx_wrapper": {"fx_wrapper": True, **asserts_off},
        "compile_threads=2": {"compile_threads": 2},
        "deterministic": {"deterministic": True},
    }
    return {
        "default": compiled(),
        "dynamic=True": compiled(dynamic=True),
        "mode=reduce-overhead": compiled(mode="reduce-overhead"),
        "mode=max-autotune": compiled(mode="max-autotune"),
        "mode=max-autotune-no-cudagraphs": compiled(mode="max-autotune-no-cudagraphs"),
        "torch.compiler.reset": after_reset,
        "two threads": in_two_threads,
        "AOTInductor": ahead_of_time(folder),
        "compiled by a subprocess": through("SUBPROCESS", False),
        "compiled by a subprocess, asynchronously": through("SUBPROCESS", True),
        "compiled through serialization": through("SERIALIZE", False),
        "standalone_compile, binary": standalone("binary", folder),
        "standalone_compile, unpacked": standalone("unpacked", folder),
        **{name: configured(settings) for name, settings in with_settings.items()},
    }


NAMES = [name for name, run in modes(Path()).items() if run is not None]
# A C++ build each takes the time of all other modes; one output has tests of its own.
SLOW = ("cpp_wrapper", "AOTInductor")
NO_KERNELS = ("fx_wrapper", *SLOW)  # the FX wrapper has none for the CPU
KINDS = {
    "one output": ("f(Tensor x) -> Tensor", "f.out(Tensor x, *, Tensor(a!) o) -> Tensor(a!)", lambda x: x * 2),
    "two outputs": (
        "f(Tensor x) -> (Tensor, Tensor)",
        "f.out(Tensor x, *, Tensor(a!) y, Tensor(b!) s) -> ()",
        lambda x: (x + 1, x.sum(-1)),
    ),
}


def _graph(ops: Ops, kernels: bool) -> Callable[[torch.Tensor], Any]:
    """Two calls, with a kernel of Inductor's own between; of two outputs the second is unused once."""

    def graph(x: torch.Tensor) -> Any:
        first = ops.functional(x)
        y = first[0] if isinstance(first, tuple) else first
        second = ops.functional(y.relu() if kernels else y)
        return [second[0] if isinstance(second, tuple) else second, *(first[1:] if isinstance(first, tuple) else ())]

    return graph


def _attempt(name: str, kind: str, run: Run, with_out: bool) -> str:
    """Compile, compare and tell what was decided."""
    schema, out_schema, kernel = KINDS[kind]
    ops = define(schema, out_schema if with_out else None, kernel)
    graph = _graph(ops, name not in NO_KERNELS)
    x = torch.randn(4, 6)
    expected = graph(x)
    torch._dynamo.reset()
    counters.clear()
    ops.calls.clear()
    with torch.no_grad(), poisoned_allocations():
        assert same(list(run(graph, x.clone())), expected), "wrong numbers"
    declines = sorted(event for event in counters["compat_shim"] if event != "lowered")
    # Not by the counter: a compile in another thread or process does not count here.
    return ", ".join(declines) or ("lowered" if ops.calls["out"] else "no decision")


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in NAMES for kind in KINDS if (name, kind) not in [(s, "one output") for s in SLOW]],
)
def test_every_mode_is_right_and_lowered_or_declined_with_a_reason(
    name: str, kind: str, tmp_path: Path, mode_table: dict[str, str], shared_kernels: None
) -> None:
    run = modes(tmp_path)[name]
    assert run is not None
    row = f"{name}, {kind}"
    mode_table[row] = "failed"
    try:
        mode_table[row] = _attempt(name, kind, run, with_out=True)
    except Exception:
        if _stock_is_right(name, kind, run):
            raise
        mode_table[row] = "stock fails too"
    assert mode_table[row] in ("lowered", "stock fails too") or mode_table[row].startswith("declined: ")


def _stock_is_right(name: str, kind: str, run: Run) -> bool:
    try:
        _attempt(name, kind, run, with_out=False)
    except Exception:
        return False
    return True
