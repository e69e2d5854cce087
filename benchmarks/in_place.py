"""``python -m benchmarks.in_place``: a chain of elementwise calls that reuse their input, against two buffers.

``may_reuse_input`` lets the out buffer of a call be the input that dies there, so a chain needs one buffer where it
needs two otherwise. On a GPU the one may fit into the L2 cache where the two do not. The contenders are the shim
without that word, twice, and with it, all with CUDA graphs and all without. The input has a static address: a CUDA
graph would copy it in each step otherwise, which is no part of the chain.
"""

from __future__ import annotations

import gc
import json
import statistics
from collections.abc import Callable
from typing import Any

import torch
import torch._inductor.compile_fx

import compat_shim
from benchmarks.options import read
from benchmarks.paired import Step, quartiles, times
from compat_shim.demo.contenders import own_code
from compat_shim.demo.measure import memory

CALLS, STEPS = 16, 10
NAMESPACE = "compat_shim_in_place"
TWO, AGAIN, ONE = "two buffers", "two buffers again", "in place"
SIZES = {"cuda": (8, 16, 20, 24, 28, 32, 40, 48, 64), "cpu": (1, 4, 16)}  # MB of a buffer


def register(device: str) -> torch.library.Library:
    """``kept`` and ``reused``, both ``(Tensor x, float s) -> Tensor`` with an out variant: one word apart."""
    library = torch.library.Library(NAMESPACE, "FRAGMENT")
    write = _kernel(device)
    for name in ("kept", "reused"):
        library.define(f"{name}(Tensor x, float s) -> Tensor")
        library.define(f"{name}.out(Tensor x, float s, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
        library.impl(name, lambda x, s: x * s, device.upper())
        library.impl(f"{name}.out", lambda x, s, *, out: write(x, s, out), device.upper())
        torch.library.register_fake(f"{NAMESPACE}::{name}", lambda x, s: torch.empty_like(x), lib=library)
    compat_shim.may_reuse_input(f"{NAMESPACE}::reused", {"out": "x"})
    return library


def _kernel(device: str) -> Callable[[torch.Tensor, float, torch.Tensor], None]:
    if device == "cuda":
        from benchmarks.triton_scale import scale  # triton is not there on every machine

        return scale

    def write(x: torch.Tensor, s: float, out: torch.Tensor) -> None:
        torch.mul(x, s, out=out)

    return write


def _step(name: str) -> Step:
    op = getattr(getattr(torch.ops, NAMESPACE), name).default

    def step(x: torch.Tensor) -> torch.Tensor:
        for _ in range(CALLS):
            x = op(x, 1.001)
        return x

    return step


OPS = {TWO: "kept", ONE: "reused", AGAIN: "kept"}


def _compiled(name: str, graphs: bool) -> Step:
    own = own_code(_step(OPS[name]), f"step_{name}".replace(" ", "_"))
    compiled: Step = torch.compile(own, fullgraph=True, dynamic=False, mode="reduce-overhead" if graphs else None)
    return compiled


def _several(step: Step) -> Step:
    """Steps one after the other, so that the time is the device's and not that of waiting for it."""

    def steps(x: torch.Tensor) -> torch.Tensor:
        for _ in range(STEPS):
            y = step(x)
        return y

    return steps


def _peak(name: str, x: torch.Tensor, graphs: bool) -> int:
    """The most bytes that a step holds beyond its input; those of its pool where a CUDA graph is given one."""
    torch._dynamo.reset()  # pools, too
    step = _compiled(name, graphs)
    if not graphs:
        step(x)
        return memory(step, x).peak
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    for _ in range(4):  # in the first it is not recorded yet, in the second it is
        step(x)
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved() - before


def _measure(x: torch.Tensor, graphs: bool, rounds: int) -> dict[str, Any]:
    peaks = {name: _peak(name, x, graphs) for name in (TWO, ONE)}
    torch._dynamo.reset()
    steps = {name: _compiled(name, graphs) for name in OPS}
    for _ in range(5):
        for step in steps.values():
            assert torch.equal(step(x).clone(), steps[TWO](x))  # a CUDA graph writes its result anew
    found = times({name: _several(step) for name, step in steps.items()}, x, rounds)
    return {
        "two buffers us": statistics.median(found[TWO]) * 1e6 / STEPS,
        "in place": quartiles(found, ONE, TWO),
        "again": quartiles(found, AGAIN, TWO)[1],
        "peak": peaks,
    }


def main() -> None:
    """Print the ratio of each size, and keep them as JSON."""
    options = read("in_place", __doc__, rounds=200)
    library = register(options.device)
    print(f"a chain of {CALLS} calls, torch {torch.__version__} on {options.device}: in place / two buffers")
    results: dict[str, dict[str, Any]] = {}
    for graphs in (True, False) if options.device == "cuda" else (False,):
        kind = results.setdefault("CUDA graphs" if graphs else "no graphs", {})
        for size in SIZES[options.device]:
            with torch.no_grad():
                x = torch.rand(size << 18, device=options.device)
                torch._dynamo.mark_static_address(x)
                kind[f"{size} MB"] = found = _measure(x, graphs, options.rounds)
            low, middle, high = found["in place"]
            print(
                f"  {'CUDA graphs' if graphs else '':12}{size:4} MB{found['two buffers us']:9.0f} us{middle:8.3f}"
                f" ({low:.3f} - {high:.3f}) again {found['again']:.3f}"
                f"  peak {found['peak'][TWO] / 2**20:.0f} -> {found['peak'][ONE] / 2**20:.0f} MB",
                flush=True,
            )
    if options.save:
        head = {"torch": torch.__version__, "device": options.device, "calls": CALLS}
        options.save.write_text(json.dumps({**head, "sizes": results}, indent=1) + "\n")
    del library


if __name__ == "__main__":
    main()
