"""Who runs when. Standard library only: ``benchmarks.releases`` runs without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def turns(contenders: Sequence[T], rounds: int) -> Iterator[list[T]]:
    """The order of each round: over two cycles each is equally often at each place and after each other.

    Who ran before matters for a step of some 100 us: what it left in the caches. (Williams' design.)
    """
    count = len(contenders)
    zigzag = [place // 2 if place % 2 == 0 else -(place // 2) - 1 for place in range(count)]
    for number in range(rounds):
        order = [contenders[(place + number) % count] for place in zigzag]
        # With an odd number of contenders only both directions together are even.
        yield order[::-1] if number // count % 2 else order
