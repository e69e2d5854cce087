"""The figures of a long fuzz run, one file a shard, which ``tools/fuzz_summary.py`` prints."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path

import torch


def keep(
    suffix: str,
    shard: int,
    started: float,
    *,
    seed: int,
    kinds: Counter[str],
    calls: Counter[str],
    stock: Counter[str],
    failures: list[str],
    in_place: int = 0,
) -> None:
    """Write them to ``$FUZZ_RESULTS<suffix>``, in the folder of this torch, if that is set.

    Args:
        started: the shard's start, by ``time.monotonic``.
        kinds: the verdicts.
        calls: what became of the calls.
        stock: why stock torch fails too.
        in_place: how many out buffers were an input's memory.
    """
    if "FUZZ_RESULTS" not in os.environ:
        return
    folder = Path(f"{os.environ['FUZZ_RESULTS']}{suffix}", torch.__version__.partition("+")[0])
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "seed": seed,
        "kinds": kinds,
        "calls": calls,
        "stock fails too": stock,
        "failures": failures,
        "in place": in_place,
        "seconds": round(time.monotonic() - started),
    }
    (folder / f"{shard}.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
