"""``python -m benchmarks.calls``: what a call of a custom op costs in compiled code, against stock torch.

For each kind of op a chain of calls is compiled by stock torch, twice, and with the shim, and run by hand in held
buffers (``bare``: the kernel alone, with no compiled function around it). They take turns:

- ``Library.impl pair``, ``custom_op pair``: a functional op and its out variant
- ``functional custom_op``, ``mutable custom_op``: ops in no pair, with ``COMPAT_SHIM_CALLS=all``
- ``... 1 call``: graphs of one call, where asking for the state of the process must pay at once
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator

import torch
import torch._inductor.compile_fx

import compat_shim
from benchmarks import call_ops
from benchmarks.contenders import SHIM, STOCK, side
from benchmarks.options import read
from benchmarks.paired import Step, quartiles, times
from compat_shim.demo.contenders import own_code
from compat_shim.demo.measure import step_time

CALLS = 64
AGAIN, BARE = "stock again", "bare"


def _functional(name: str, calls: int) -> Step:
    op = getattr(getattr(torch.ops, call_ops.NAMESPACE), name).default

    def step(x: torch.Tensor) -> torch.Tensor:
        for _ in range(calls):
            x = op(x, call_ops.FACTOR)
        return x

    return step


def _mutable(name: str, calls: int) -> Step:
    op = getattr(getattr(torch.ops, call_ops.NAMESPACE), name).default

    def step(x: torch.Tensor) -> torch.Tensor:
        for _ in range(calls):
            out = torch.empty_like(x)
            op(x, call_ops.FACTOR, out)
            x = out
        return x

    return step


def _bare(write: call_ops.Write, x: torch.Tensor, calls: int) -> Step:
    one, two = torch.empty_like(x), torch.empty_like(x)

    def step(x: torch.Tensor) -> torch.Tensor:
        a, b = x, one
        for _ in range(calls):
            write(a, call_ops.FACTOR, b)
            a, b = b, two if b is one else one
        return a

    return step


def _kinds() -> Iterator[tuple[str, Step, int]]:
    for suffix, calls in (("", CALLS), (", 1 call", 1)):
        for kind, make, name in (
            ("Library.impl pair", _functional, "impl"),
            ("custom_op pair", _functional, "custom"),
            ("functional custom_op", _functional, "functional"),
            ("mutable custom_op", _mutable, "mutable"),
        ):
            yield kind + suffix, make(name, calls), calls


def _compiled(step: Step, name: str, x: torch.Tensor) -> Step:
    """Compiled by one contender, with a code object of its own."""
    with side(STOCK if name != SHIM else SHIM):
        compiled: Step = torch.compile(own_code(step, f"step_{name}".replace(" ", "_")), fullgraph=True, dynamic=False)
        compiled(x)
    return compiled


def _measure(step: Step, calls: int, x: torch.Tensor, write: call_ops.Write, rounds: int) -> dict[str, list[float]]:
    torch._dynamo.reset()
    steps = {name: _compiled(step, name, x) for name in (STOCK, SHIM, AGAIN)}
    steps[BARE] = _bare(write, x, calls)
    for _ in range(10):  # of torch 2.15's first calls each looks for aliases
        for one in steps.values():
            step_time(one, x)
    return times(steps, x, rounds)


def main() -> None:
    """Print the microseconds of a call and the ratios, and keep them as JSON."""
    options = read("calls", __doc__, rounds=200)
    os.environ["COMPAT_SHIM_CALLS"] = "all"
    compat_shim.deactivate()
    compat_shim.activate()
    library = call_ops.register(options.device)
    x = torch.randn(16, device=options.device)
    print(f"microseconds a call in a step of {CALLS} calls, torch {torch.__version__} on {options.device}")
    print(f"  {'':30}{'stock':>9}{'shim / stock':>14}{'quartiles':>16}{'again':>8}{'bare / stock':>14}")
    results = {}
    with torch.no_grad():
        for kind, step, calls in _kinds():
            found = _measure(step, calls, x, call_ops.kernel(options.device), options.rounds)
            low, middle, high = quartiles(found, SHIM, STOCK)
            medians = {name: quartiles(found, name, STOCK)[1] for name in (SHIM, AGAIN, BARE)}
            stock = statistics.median(found[STOCK]) * 1e6 / calls
            print(
                f"  {kind:30}{stock:9.2f}{middle:14.3f}{f'{low:.3f} - {high:.3f}':>16}{medians[AGAIN]:8.3f}"
                f"{medians[BARE]:14.3f}",
                flush=True,
            )
            results[kind] = {"stock us": stock, "ratios": medians, "quartiles": [low, high]}
    if options.save:
        head = {"torch": torch.__version__, "device": options.device, "calls": CALLS}
        options.save.write_text(json.dumps({**head, "kinds": results}, indent=1) + "\n")
    del library


if __name__ == "__main__":
    main()
