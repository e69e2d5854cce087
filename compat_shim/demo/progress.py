"""What takes long says on a terminal what it is doing, and into a pipe nothing. Standard library only."""

from __future__ import annotations

import math
import sys
import time


class Progress:
    """Lines on stderr, if that is a terminal.

    Args:
        pause: seconds from one line to the next; what comes sooner is not printed.
    """

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause
        self._last = -math.inf

    def say(self, doing: str) -> None:
        """Print ``doing``, a line that says what comes now."""
        if not sys.stderr.isatty() or time.monotonic() - self._last < self._pause:
            return
        print(f"... {doing}", file=sys.stderr, flush=True)
        self._last = time.monotonic()
