"""A pytest fixture for tests that compile: ``pytest_plugins = ["compat_shim.testing.pytest_plugin"]``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from torch._dynamo.utils import counters

from compat_shim.out_variant.lowering import releases
from compat_shim.out_variant.lowering.decide import COUNTER


@pytest.fixture
def fresh_compile() -> Iterator[Counter[str]]:
    """Nothing compiled before counts: Dynamo is reset, Inductor's caches are empty and the shim's counters zero.

    Yields:
        The shim's counters, ``torch._dynamo.utils.counters["compat_shim"]``: ``"lowered"`` and
        ``"declined: <REASON>"``. A cache hit counts nothing there, so here there is none.
    """
    torch._dynamo.reset()
    counters[COUNTER].clear()
    with releases.fresh_cache():
        yield counters[COUNTER]
    torch._dynamo.reset()
