"""Lines for people, no more than one screen: what does not fit is grouped and counted, and never left out unsaid."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence

from compat_shim.screen import WIDTH

LINES = 20
_BESIDE = 11  # the columns of a label


@dataclasses.dataclass(frozen=True)
class Block:
    """A label and what stands beside it.

    Attributes:
        label: what the rows are about, for example ``pairs``.
        rows: texts of any length, the most telling first.
        total: what stands in their place where there is room for none of them: one short line.
        urgent: whether its rows go before those of blocks that are not.
    """

    label: str
    rows: Sequence[str]
    total: str
    urgent: bool = False

    def lines(self, shown: int) -> list[str]:
        """Its lines with so many of its rows."""
        hidden = len(self.rows) - shown
        texts = [*self.rows[:shown], *([f"and {hidden} more"] if hidden else [])] if shown else [self.total]
        wrapped = [line for text in texts for line in wrap(text, WIDTH - _BESIDE)]
        labels = [self.label, *[""] * len(wrapped)]
        return [f"{label:{_BESIDE}}{line}" for label, line in zip(labels, wrapped)]


def fit(head: str, blocks: Sequence[Block], end: str) -> list[str]:
    """One screen: all rows of all blocks, or as many of each as there is room for, and how many more there are.

    Args:
        head, end: the first and the last text; the last says how to see all.
        blocks: those without rows are left out.

    Returns:
        At most ``LINES`` lines of at most ``WIDTH`` columns.
    """
    blocks = [block for block in blocks if block.rows]
    first, last = wrap(head, WIDTH), wrap(end, WIDTH)
    room = LINES - len(first) - len(last)
    shown = [0] * len(blocks)

    def grows(place: int) -> bool:
        """Show one row more of a block, if there is room."""
        more = [count + (number == place) for number, count in enumerate(shown)]
        if shown[place] == len(blocks[place].rows) or room < sum(
            len(block.lines(count)) for block, count in zip(blocks, more)
        ):
            return False
        shown[:] = more
        return True

    for urgent in (True, False):
        growing = [place for place, block in enumerate(blocks) if block.urgent is urgent]
        while growing:
            growing = [place for place in growing if grows(place)]
    return [*first, *(line for block, count in zip(blocks, shown) for line in block.lines(count)), *last]


def wrap(text: str, width: int) -> list[str]:
    """The lines of a text, which are broken at spaces, and within words only where one is wider than a line."""
    return [line for part in text.splitlines() for line in textwrap.wrap(part, width, break_on_hyphens=False) or [""]]
