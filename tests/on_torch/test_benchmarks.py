"""The benchmarks run, and what they count (not time) is what the lowering promises."""

from __future__ import annotations

import itertools
import json
import sys
from collections import Counter
from typing import Any

import pytest

from support.processes import ROOT

# Three buffers, the second of which the third takes over.
CODE = """
def call(args):
    arg0_1, = args
    buf0 = empty_strided_cpu((4, 8), (8, 1), torch.float32)
    torch.ops.ns.f.out(arg0_1, out=buf0)
    buf1 = empty_strided_cpu((4, 8), (8, 1), torch.float32)
    torch.ops.ns.f.out(buf0, out=buf1)
    buf2 = reinterpret_tensor(buf0, (2, 2), (2, 1), 0); del buf0  # reuse
    torch.ops.ns.g.out(reinterpret_tensor(buf1, (2, 2), (2, 1), 0), out=buf2)
    del buf1
    return (buf2, )

def benchmark_compiled_module():
    buf9 = empty_strided_cpu((4, 800), (800, 1), torch.float32)
"""


def test_the_bound_is_the_most_that_lives_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)  # the package's wheel does not hold the benchmarks
    from benchmarks.live_ranges import lower_bound

    assert lower_bound(CODE) == 2 * 4 * 8 * 4
    assert lower_bound(CODE.replace("    del buf1\n", "    torch.ops.ns.h.out(buf1, out=buf2)\n")) == 2 * 4 * 8 * 4
    longer = CODE.replace("return (buf2, )", "torch.ops.ns.h.out(buf0, out=buf2)\n    return (buf2, )")
    assert lower_bound(longer) == (2 * 4 * 8 + 4) * 4
    assert lower_bound(CODE.replace("torch.ops.ns.g.out", "buf7 = torch.ops.ns.g.default")) is None


@pytest.mark.parametrize("contenders", [1, 2, 3, 4, 7])
def test_nobody_runs_at_one_place_or_after_another_more_often(contenders: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.turns import turns

    orders = list(turns(range(contenders), 2 * contenders))
    for place in range(contenders):
        assert sorted(order[place] for order in orders) == sorted([*range(contenders)] * 2)
    after = Counter(pair for order in orders for pair in itertools.pairwise(order))
    assert after == {(one, two): 2 for one in range(contenders) for two in range(contenders) if one != two}


@pytest.fixture(scope="module")
def measured(run_command: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("bench")
    run_command(
        sys.executable,
        *("-m", "benchmarks", "chain", "large-1MB", "--device", "cpu", "--rounds", "2", "--save", str(folder / "x")),
        env={"PYTHONPATH": str(ROOT), "TORCHINDUCTOR_CACHE_DIR": str(folder)},
    )
    results = json.loads((folder / "x.json").read_text())["results"]
    return {result["workload"]: {one["name"]: one for one in result["contenders"]} for result in results}


def test_buffers_are_reused_and_no_byte_more_lives_than_live_ranges_need(measured: dict[str, Any]) -> None:
    scalars = 3 * 4  # each call of torch.mul makes a tensor of its factor
    for workload in ("chain", "large-1MB"):
        shim, stock = measured[workload]["shim"], measured[workload]["stock fallback"]
        assert not shim["error"]
        assert shim["bound"]
        assert shim["peak"] <= shim["bound"] + scalars
        assert shim["allocations"] < stock["allocations"]
        assert shim["lines"] < stock["lines"]
    chain = measured["chain"]
    # Of its 64 calls, each with a tensor for the factor: two buffers.
    assert chain["stock fallback"]["allocations"] - chain["shim"]["allocations"] == 62


def test_both_load_what_they_compiled_from_the_cache(measured: dict[str, Any]) -> None:
    assert measured["chain"]["shim"]["hit_s"] > 0
    assert measured["chain"]["stock fallback"]["hit_s"] > 0
