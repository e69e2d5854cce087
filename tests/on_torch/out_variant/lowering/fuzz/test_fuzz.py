"""Random ops and graphs against eager and torch's own fallback.

The quick profile is part of the suite: always the same programs, without kernels of Inductor's own
(a compiler run each), shrunk where one fails. The long one is asked for by ``FUZZ_EXAMPLES``
(``tox run -e fuzz``): it goes on after a failure and leaves its figures in ``$FUZZ_RESULTS``, which
``tools/fuzz_summary.py`` prints.
"""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from torch._dynamo.utils import counters

from support import fuzz_results
from support.graphs.oracle import judge
from support.graphs.program import Program, programs

SHARD = 50  # programs in a test, so that several processes share the work

COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
    "database": None,
}

if "FUZZ_EXAMPLES" not in os.environ:

    @settings(max_examples=25, derandomize=True, **COMMON)
    @given(programs(kernels=False))
    def test_a_random_program_is_lowered_where_that_is_right_and_equals_eager(program: Program) -> None:
        verdict = judge(program)
        assert verdict.kind != "failed", verdict.why

else:
    from support.graphs import cpp_ops

    EXAMPLES = int(os.environ["FUZZ_EXAMPLES"])
    SEED = int(os.environ.get("FUZZ_SEED", "0"))

    @pytest.mark.parametrize("shard", range(-(-EXAMPLES // SHARD)))
    def test_random_programs_are_lowered_where_that_is_right_and_equal_eager(
        shard: int, shared_kernels: None, progress: Callable[[str], None]
    ) -> None:
        seen: set[str] = set()
        kinds: collections.Counter[str] = collections.Counter()
        events: collections.Counter[str] = collections.Counter()
        stock: collections.Counter[str] = collections.Counter()
        failures: list[str] = []
        in_place = 0
        started = time.monotonic()

        @seed(SEED * 1000 + shard)
        @settings(max_examples=min(SHARD, EXAMPLES - shard * SHARD), phases=[Phase.generate], **COMMON)
        @given(programs(kernels=True, more=cpp_ops.OPERATORS))
        def run(program: Program) -> None:
            nonlocal in_place
            assume(repr(program) not in seen)
            seen.add(repr(program))
            progress(f"random graph {shard * SHARD + len(seen)} of {EXAMPLES}")
            verdict = judge(program)
            kinds[verdict.kind] += 1
            in_place += verdict.in_place
            events.update(counters["compat_shim"])
            if verdict.kind == "stock fails too":
                stock[verdict.why] += 1
            if verdict.kind == "failed":
                failures.append(verdict.why)

        run()
        results: dict[str, Any] = {"kinds": kinds, "calls": events, "stock": stock, "failures": failures}
        fuzz_results.keep("", shard, started, seed=SEED, **results, in_place=in_place)
        assert not failures, "\n\n".join(failures)
        assert not kinds["invalid"], "the generator makes programs that eager refuses"
