"""Random registries of ops: who is paired, what is called, and the numbers.

The quick profile is part of the suite on three releases: always the same registries, without kernels of Inductor's
own. The long one is asked for by ``FUZZ_REGISTRIES``, their number (``tox run -e fuzz``), and leaves its figures in
``$FUZZ_RESULTS-registries``, which ``tools/fuzz_summary.py`` prints.
"""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Callable

import pytest
import torch

import compat_shim
from support import fuzz_results
from support.registries.author import draw_registry
from support.registries.building import Built
from support.registries.judging import BATCH, compare_pairs, compare_reasons, judge_batch, pair_namespace

QUICK_SEED, QUICK_BATCHES, UNCOMPILED = 20261126, 18, 150
SHARD = 10  # batches in a test


@pytest.fixture
def everything_shared(shared_kernels: None) -> None:
    """One cache for all compiles, of graphs too: what changes between them must be in the key."""
    with torch._inductor.config.patch(fx_graph_cache=True):
        yield


def test_pairs_are_what_their_authors_mean_and_every_view_of_them_says_the_same() -> None:
    pairs, every = 0, []
    for number in range(UNCOMPILED):
        registry = draw_registry(f"uncompiled {number}", changing=False, traced=True)
        built = Built(registry, compat_shim)
        pairs += compare_pairs(built, pair_namespace(built))
        every.append(built)
    assert pairs > UNCOMPILED / 4
    assert compare_reasons(every) > UNCOMPILED


if "FUZZ_REGISTRIES" not in os.environ:

    @pytest.mark.parametrize("half", range(2))
    def test_compiled_registries_equal_eager_and_are_lowered_as_their_authors_mean(
        half: int, everything_shared: None
    ) -> None:
        calls: collections.Counter[str] = collections.Counter()
        for batch in range(half, QUICK_BATCHES, 2):
            report = judge_batch(QUICK_SEED, batch, compat_shim, with_traced=False)
            assert not report.wrong, "\n\n".join(report.wrong)
            assert not report.stock, "a subprocess each: the generator is to leave out what stock torch refuses"
            calls += report.calls
        assert calls["lowered"] > QUICK_BATCHES  # and not all declined
        assert calls["functional"] > QUICK_BATCHES

else:
    REGISTRIES = int(os.environ["FUZZ_REGISTRIES"])
    SEED = int(os.environ.get("FUZZ_SEED", "0"))
    BATCHES = -(-REGISTRIES // BATCH)

    @pytest.mark.parametrize("shard", range(-(-BATCHES // SHARD)))
    def test_compiled_registries_equal_eager_and_are_lowered_as_their_authors_mean(
        shard: int, everything_shared: None, progress: Callable[[str], None]
    ) -> None:
        kinds: collections.Counter[str] = collections.Counter()
        calls: collections.Counter[str] = collections.Counter()
        stock: collections.Counter[str] = collections.Counter()
        wrong: list[str] = []
        started = time.monotonic()
        for batch in range(shard * SHARD, min(BATCHES, (shard + 1) * SHARD)):
            progress(f"random registry {batch * BATCH + 1} of {REGISTRIES}")
            report = judge_batch(SEED, batch, compat_shim)
            kinds += report.kinds
            calls += report.calls
            stock.update(report.stock)
            wrong += report.wrong
        fuzz_results.keep(
            "-registries", shard, started, seed=SEED, kinds=kinds, calls=calls, stock=stock, failures=wrong
        )
        assert not wrong, "\n\n".join(wrong)
        assert kinds["stock fails too"] * 10 <= kinds.total(), stock
        assert calls["lowered"] > SHARD
