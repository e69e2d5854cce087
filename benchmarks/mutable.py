"""``python -m benchmarks.mutable``: an op that only writes, called on a fresh ``empty``, against its functional form.

Most ops of serving engines are of that kind: ``out = torch.empty(...); silu_and_mul(out, x)``. ``functional_of`` makes
a functional op of it, whose calls are lowered to the op itself. The graph is a chain of ``mm``, the op and ``+ 1``; the
contenders are stock torch, twice, the shim on the same code, and the shim on the code that calls the functional op.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable

import torch
import torch._inductor.compile_fx

import compat_shim
from benchmarks.contenders import SHIM, STOCK, side
from benchmarks.options import read
from benchmarks.paired import Step, quartiles, times
from compat_shim.demo.contenders import own_code
from compat_shim.demo.measure import memory

CALLS, ROWS, WIDTH = 16, 8, 64
NAMESPACE = "compat_shim_mutable"
AGAIN, FUNCTIONAL = "stock again", "functional_of"


def register(device: str) -> torch.library.Library:
    """``silu_and_mul(Tensor(a!) out, Tensor x) -> ()`` as vLLM has it: x of (rows, 2 * width), out of (rows, width)."""

    def kernel(out: torch.Tensor, x: torch.Tensor) -> None:
        gate, up = x.chunk(2, -1)
        torch.mul(torch.nn.functional.silu(gate), up, out=out)

    library = torch.library.Library(NAMESPACE, "FRAGMENT")
    library.define("silu_and_mul(Tensor(a!) out, Tensor x) -> ()")
    library.impl("silu_and_mul", kernel, device.upper())
    compat_shim.functional_of(
        f"{NAMESPACE}::silu_and_mul",
        like=lambda x: x.new_empty(x.shape[0], x.shape[1] // 2),
        name=f"{NAMESPACE}::silu_and_mul_new",
    )
    return library


def _steps(device: str) -> tuple[Callable[..., torch.Tensor], Callable[..., torch.Tensor]]:
    ops = getattr(torch.ops, NAMESPACE)
    weights = [torch.randn(WIDTH, 2 * WIDTH, device=device) * 0.1 for _ in range(CALLS)]

    def writing(x: torch.Tensor) -> torch.Tensor:
        for weight in weights:
            out = torch.empty(ROWS, WIDTH, device=x.device)
            ops.silu_and_mul(out, x @ weight)
            x = out + 1
        return x

    def functional(x: torch.Tensor) -> torch.Tensor:
        for weight in weights:
            x = ops.silu_and_mul_new(x @ weight) + 1
        return x

    return writing, functional


def main() -> None:
    """Print allocations, peak and the ratio of each contender, and keep them as JSON."""
    options = read("mutable", __doc__, rounds=200)
    library = register(options.device)
    x = torch.randn(ROWS, WIDTH, device=options.device)
    writing, functional = _steps(options.device)
    steps: dict[str, Step] = {}
    with torch.no_grad():
        for name, step in ((STOCK, writing), (SHIM, writing), (FUNCTIONAL, functional), (AGAIN, writing)):
            with side(STOCK if name == AGAIN else SHIM if name == FUNCTIONAL else name):
                own = own_code(step, f"step_{name}".replace(" ", "_"))
                steps[name] = torch.compile(own, fullgraph=True, dynamic=False)
                assert torch.equal(steps[name](x), steps[STOCK](x))
        found = times(steps, x, options.rounds)
        held = {name: memory(step, x) for name, step in steps.items()}
    print(f"a chain of {CALLS} calls, torch {torch.__version__} on {options.device}")
    for name in steps:
        low, middle, high = quartiles(found, name, STOCK)
        print(
            f"  {name:15}{statistics.median(found[name]) * 1e6:9.0f} us{middle:8.3f} ({low:.3f} - {high:.3f})"
            f"{held[name].allocations:5} allocations{held[name].peak:9,} bytes at most"
        )
    if options.save:
        figures = {
            name: {
                "ratio": quartiles(found, name, STOCK)[1],
                "allocations": held[name].allocations,
                "peak": held[name].peak,
            }
            for name in steps
        }
        head = {"torch": torch.__version__, "device": options.device, "calls": CALLS}
        options.save.write_text(json.dumps({**head, "contenders": figures}, indent=1) + "\n")
    del library


if __name__ == "__main__":
    main()
