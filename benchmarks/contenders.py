"""Who runs a workload: eager code, stock torch, the shim, and torch's own lowering where it has one."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch._dynamo.utils import counters
from torch._inductor.codecache import PyCodeCache

import compat_shim
from benchmarks.workloads import Step, Workload
from compat_shim.demo.contenders import captured_code, describe, own_code
from compat_shim.out_variant.lowering import releases

STOCK = "stock fallback"
SHIM = "shim"
NATIVE = "native"
GRAPHS = " + CUDA graphs"


@dataclasses.dataclass
class Contender:
    """One way to run a workload's step.

    Attributes:
        run: one step, forward and backward where the workload trains.
        compile_s: how long the first call took, in an empty cache; 0 for eager code.
        hit_s: how long the first call took of the same graph compiled again, from that cache.
        code: the wrapper that Inductor generated.
        error: what the first call raised.
    """

    name: str
    run: Step
    compile_s: float = 0.0
    hit_s: float = 0.0
    code: str = ""
    error: str = ""


def contenders(workload: Workload, reduce_overhead: bool) -> list[Contender]:
    """The contenders, each run once. The shim is active afterwards.

    Args:
        reduce_overhead: whether stock torch and the shim run with CUDA graphs too.
    """
    found = [Contender("eager", _step(workload, workload.step))]
    for name, step in (("eager, held buffers", workload.held), ("wrapper by hand", workload.by_hand)):
        if step is not None:
            found.append(Contender(name, _step(workload, step)))
    found.append(_compiled(workload, STOCK))
    if _has_native():
        found.append(_compiled(workload, NATIVE))
    shim = _compiled(workload, SHIM)
    found.append(shim)
    if _ONE_INPUT.search(shim.code):
        found.append(Contender("shim, its wrapper alone", call_of(shim.code), code=shim.code))
    if reduce_overhead:
        found += [_compiled(workload, name, mode="reduce-overhead", suffix=GRAPHS) for name in (STOCK, SHIM)]
    return found


def call_of(code: str) -> Step:
    """The ``call`` of a generated wrapper whose only input is the workload's: no guards, no runtime of torch's."""
    call: Callable[[list[torch.Tensor]], object] = PyCodeCache.load(code).call
    return lambda x: call([x])


_ONE_INPUT = re.compile(r"^ +arg0_1, = args$", re.MULTILINE)


def _has_native() -> bool:
    # torch 2.11 has the discovery, and no lowering that asks it; up to there the class is ours.
    node = getattr(torch._inductor.ir, "ExternKernelMultiOut", None)
    return node is not None and not node.__module__.startswith("compat_shim")


def _step(workload: Workload, step: Any) -> Step:
    if not workload.train:
        return step  # type: ignore[no-any-return]

    def forward_and_backward(x: torch.Tensor) -> None:
        step(x).backward()

    return forward_and_backward


@contextlib.contextmanager
def side(name: str) -> Iterator[None]:
    """Compile as this contender does, in an empty cache."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(releases.fresh_cache())
        if name != SHIM:
            compat_shim.deactivate()
            stack.callback(compat_shim.activate)
            if name == STOCK and _has_native():
                discovery = torch._library._out_variant
                for lookup in ("to_out_variant", "lookup_manual_out_variant"):
                    stack.enter_context(mock.patch.object(discovery, lookup, return_value=None))
        yield


def _compiled(workload: Workload, name: str, mode: str | None = None, suffix: str = "") -> Contender:
    def copy(again: str) -> Step:
        own = own_code(workload.step, f"step_{name}{suffix}{again}".replace(" ", "_"))
        return _step(workload, torch.compile(own, fullgraph=True, dynamic=False, mode=mode))

    contender = Contender(name + suffix, copy(""))
    with side(name):
        start = time.perf_counter()
        try:
            code = _code_of(contender.run, workload.x)
        except Exception as error:
            contender.error = describe(error)[:160]
            return contender
        contender.compile_s = time.perf_counter() - start
        counters.clear()
        start = time.perf_counter()
        copy("_again")(workload.x)
        if was_cache_hit():
            contender.hit_s = time.perf_counter() - start
        for _ in range(3 if mode else 0):  # CUDA graphs are recorded in the first calls
            contender.run(workload.x)
    contender.code = "\n".join(code)
    return contender


def was_cache_hit() -> bool:
    """Whether a graph came from either cache since ``torch._dynamo.utils.counters`` were cleared."""
    return bool(counters["inductor"]["fxgraph_cache_hit"] or counters["aot_autograd"]["autograd_cache_hit"])


def _code_of(run: Step, x: torch.Tensor) -> list[str]:
    captured: list[str] = []
    with captured_code(captured):
        run(x)
    return captured
