"""Which code was compiled before any compile met a pair: ``explain`` says so.

That code goes on calling the functional op. Torch keeps no time with what it has compiled, but Dynamo has a list of
all code that it has made, in order: its last entry is the time at which a pair is met.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable
from types import CodeType

from compat_shim.out_variant.pairing import Pair

# Functional op and out variant, by name → the last code that Dynamo had made then, if it had made any.
_met: dict[tuple[str, str], weakref.ref[CodeType] | None] = {}


def meet(pairs: Iterable[Pair]) -> None:
    """Note that a compile, whose own code is not made yet, sees these pairs."""
    last = next(reversed(_made()), None)
    for pair in pairs:
        _met.setdefault((pair.functional.name(), pair.out.name()), last)


def is_older(code: CodeType, functional: str, out: str) -> bool:
    """Whether Dynamo had made this code when a compile first met the pair; False also where that cannot be told."""
    last, made = _met.get((functional, out)), _made()
    # Its references are told apart by identity. A list that does not have that one was emptied since.
    place = next((place for place, reference in enumerate(made) if reference is last), -1)
    return any(reference() is code for reference in made[: place + 1])


def _made() -> list[weakref.ref[CodeType]]:
    """Dynamo's references to the code that it has made since it was last reset."""
    convert_frame = sys.modules.get("torch._dynamo.convert_frame")  # not there in a compile without Dynamo
    made: list[weakref.ref[CodeType]] = getattr(getattr(convert_frame, "output_codes", None), "seen", [])
    return made
