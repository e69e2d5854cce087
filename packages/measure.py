"""``python -m packages.measure PROGRAM``: a program that knows nothing of the shim, with it and without, as JSON.

To be started by ``python -m compat_shim run`` with the flags that its user would give. ``--stock-only`` runs it by
stock torch alone, in a process that has no shim, and prints what its results are, to the bit.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._inductor.compile_fx

ROUNDS, MOST_SECONDS = 60, 40.0


def load(program: str, device: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function of a program and its inputs, on a device."""
    spec = importlib.util.spec_from_file_location("program", program)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["program"] = module
    spec.loader.exec_module(module)
    fn, inputs = module.make() if device == "cpu" else module.make(device)
    return fn, tuple(inputs)


def digest(result: Any) -> str:
    """What tells two results apart, to the bit."""
    found = hashlib.sha256()
    for one in result if isinstance(result, (tuple, list)) else (result,):
        tensor = one.detach().cpu().contiguous()
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``torch.compile(fn)``, which shares no compiled code with another call of this."""

    def backend(graph: Any, inputs: Any) -> Any:  # Dynamo keeps code for each backend
        return torch._inductor.compile_fx.compile_fx(graph, inputs)

    result: Callable[..., Any] = torch.compile(fn, backend=backend)
    return result


def main() -> None:
    """Print the results and the figures."""
    parser = argparse.ArgumentParser(prog="python -m packages.measure")
    parser.add_argument("program", type=Path)
    parser.add_argument("--stock-only", action="store_true")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    fn, inputs = load(str(options.program), options.device)
    if options.stock_only:
        assert "compat_shim" not in sys.modules
        step = compiled(fn)
        print(json.dumps({"eager": digest(fn(*inputs)), "stock": digest([step(*inputs), step(*inputs)][1])}))
        return
    print(json.dumps(_compared(fn, inputs)))


def _compared(fn: Callable[..., Any], inputs: tuple[Any, ...]) -> dict[str, Any]:
    # Not at the top: a process without the shim imports this file.
    from benchmarks.contenders import SHIM, STOCK, side
    from benchmarks.turns import turns
    from compat_shim.demo.measure import memory, step_time

    again = "stock again"
    x, rest = inputs[0], inputs[1:]
    steps: dict[str, Callable[..., Any]] = {}
    digests = {}
    for name in (STOCK, SHIM, again):
        step = compiled(fn)
        steps[name] = lambda x, step=step: step(x, *rest)
        with side(SHIM if name == SHIM else STOCK):
            steps[name](x)
        digests[name] = [digest(steps[name](x)) for _ in range(2)]
    times: dict[str, list[float]] = {name: [] for name in steps}
    for order in turns(list(steps), ROUNDS):
        for name in order:
            times[name].append(step_time(steps[name], x))
        if sum(map(sum, times.values())) > MOST_SECONDS:
            break
    ratios = {name: [mine / stock for mine, stock in zip(times[name], times[STOCK])] for name in (SHIM, again)}
    held = {name: memory(steps[name], x) for name in (STOCK, SHIM)}
    return {
        "digests": {"stock": digests[STOCK], "shim": digests[SHIM]},
        "step ms": statistics.median(times[STOCK]) * 1e3,
        "ratio": statistics.median(ratios[SHIM]),
        "quartiles": statistics.quantiles(ratios[SHIM], n=4)[::2],
        "again": statistics.median(ratios[again]),
        "rounds": len(times[STOCK]),
        "allocations": [held[STOCK].allocations, held[SHIM].allocations],
        "peak": [held[STOCK].peak, held[SHIM].peak],
        "calls": _calls(fn, inputs),
    }


def _calls(fn: Callable[..., Any], inputs: tuple[Any, ...]) -> list[dict[str, Any]]:
    """What became of the calls of custom ops, those of one op together."""
    import compat_shim

    torch._dynamo.reset()
    found: collections.Counter[tuple[str, str, bool]] = collections.Counter()
    for call in compat_shim.explain(fn, *inputs).calls:
        found[call.op, call.out if call.lowered and call.out else call.decline, call.short] += 1
    keys = ("op", "became", "short way", "calls")
    return [dict(zip(keys, (*key, count))) for key, count in found.items()]


if __name__ == "__main__":
    main()
