"""The shape-by-release table: what became of each shape, printed at the end of the run."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import compat_shim


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    torch._dynamo.reset()
    compat_shim.activate()
    yield
    compat_shim.activate()  # a test may have deactivated it
    torch._dynamo.reset()


@pytest.fixture(scope="session")
def catalogue() -> Any:
    """Shape → what became of it. Written to ``$SHAPE_TABLE`` for the table of all releases."""
    found: dict[str, str] = {}
    yield found
    directory = os.environ.get("SHAPE_TABLE")
    if directory and found:
        path = Path(directory, f"{torch.__version__.partition('+')[0]}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:  # pytest-xdist's workers share the file
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            path.write_text(json.dumps({**before, **found}, indent=1), encoding="utf-8")
