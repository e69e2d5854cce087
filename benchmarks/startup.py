"""What the bootstrap costs at the start of an interpreter, and what the shim costs at ``import torch``.

``python benchmarks/startup.py [ROUNDS]``, in an environment with compat_shim and torch. The contenders
alternate, and what is measured is the processor time of each process (user and system), so that a
busy machine disturbs little. What the shim adds to ``import torch`` is less than what that varies by, so
it is measured within the process: the import of torch, then all that the shim does on top of it.
Standard library only.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from compat_shim.activation import BOOTSTRAP

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(BOOTSTRAP)))
# Imported modules of these packages must be the same with and without the shim.
COMPILER = ("torch._inductor", "torch._dynamo", "torch._functorch")
IMPORTED = f"import json, sys, torch; print(json.dumps([n for n in sys.modules if n.startswith({COMPILER!r})]))"

PARTS = """
import json, time
start = time.thread_time(); import torch
torch_there = time.thread_time(); import compat_shim
print(json.dumps([torch_there - start, time.thread_time() - torch_there]))
"""


def environment(*first: str) -> dict[str, str]:
    """This process's environment, with a PYTHONPATH of ``first`` and the package."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COMPAT_SHIM", "PYTHON"))}
    return {**kept, "PYTHONPATH": os.pathsep.join([*first, ROOT])}


def seconds(code: str, environ: dict[str, str]) -> float:
    """The processor time of one interpreter that runs ``code``, from its start to its end."""
    process = os.posix_spawn(sys.executable, [sys.executable, "-c", code], environ)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{code!r} failed")
    return usage.ru_utime + usage.ru_stime


def compare(title: str, code: str, rounds: int) -> None:
    """Time ``code`` with the bootstrap folder on PYTHONPATH and without it."""
    without, with_shim = environment(), environment(BOOTSTRAP)
    pairs = []
    for round_ in range(rounds + 1):
        stock = shim = 0.0
        for contender in (0, 1) if round_ % 2 else (1, 0):
            if contender:
                shim = seconds(code, with_shim)
            else:
                stock = seconds(code, without)
        pairs.append((stock, shim))
    pairs = pairs[1:]  # the first round fills the caches
    least = [min(pair[side] for pair in pairs) * 1e3 for side in (0, 1)]
    median = statistics.median(pair[0] for pair in pairs) * 1e3
    more = statistics.median(pair[1] - pair[0] for pair in pairs) * 1e3
    print(
        f"{title:<32} least {least[0]:8.2f} ms, {least[1]:8.2f} ms with the shim ({least[1] - least[0]:+.2f} ms,"
        f" {100 * (least[1] / least[0] - 1):+.1f} %); median {median:8.2f} ms, in a round {more:+.2f} ms"
        f" ({100 * more / median:+.1f} %)"
    )


def compare_import(rounds: int) -> None:
    """Time ``import torch`` and what the shim does at it: import the engine, plan, apply the tag."""
    parts = [
        json.loads(
            subprocess.run([sys.executable, "-c", PARTS], env=environment(), check=True, capture_output=True).stdout
        )
        for _ in range(rounds + 1)
    ][1:]
    torch, shim = (statistics.median(part[side] for part in parts) * 1e3 for side in (0, 1))
    share = statistics.median(100 * shim / torch for torch, shim in parts)
    print(f"{'import torch':<32} median {torch:8.2f} ms, and {shim:.2f} ms in the shim ({share:+.2f} %)")


def compiler_modules(environ: dict[str, str]) -> set[str]:
    """The compiler's modules that ``import torch`` leaves imported."""
    done = subprocess.run([sys.executable, "-c", IMPORTED], env=environ, check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def main(rounds: int) -> None:
    """Run the comparisons and print a line for each."""
    compare("start of an interpreter", "pass", rounds)
    compare_import(max(rounds // 50, 5))
    more = compiler_modules(environment(BOOTSTRAP)) - compiler_modules(environment())
    print(f"modules of the compiler that are imported with the shim only: {', '.join(sorted(more)) or 'none'}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 400)
