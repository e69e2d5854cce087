"""Who runs when. Standard library only: ``benchmarks.releases`` runs without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def turns(contenders: Sequence[T], rounds: int) -> Iterator[list[T]]:
    """The order of each round: each contender is at each place equally often, in both directions."""
    for number in range(rounds):
        start = number % len(contenders)
        order = [*contenders[start:], *contenders[:start]]
        # A whole cycle one way, then one the other: turned every round, two would never change places.
        yield order[::-1] if number // len(contenders) % 2 else order
