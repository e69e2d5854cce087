"""Observers of execution traces: torch tells nobody that one is running, and it must see each op."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from compat_shim import process

_started: list[weakref.ref[Any]] = process.shared("execution traces", list)


def wrap_start(original: Callable[..., None]) -> Callable[..., None]:
    """``ExecutionTraceObserver.start`` that remembers the observer."""

    def start(self: Any) -> None:
        if all(started() is not self for started in _started):
            _started.append(weakref.ref(self, _started.remove))
        original(self)

    return start


def running() -> bool:
    """Whether an observer that was started has not been stopped."""
    if not _started:
        return False
    return any(observer is not None and observer._execution_trace_running for observer in [one() for one in _started])
