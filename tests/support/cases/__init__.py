"""The op shapes of the catalogue: what users have, and what upstream's lowering gets wrong."""

from __future__ import annotations

from support.cases.by_hand import BY_HAND
from support.cases.case import LOWERED, NO_PAIR, Case
from support.cases.declined import DECLINED
from support.cases.outputs import OUTPUTS
from support.cases.signatures import SIGNATURES
from support.cases.sizes import DYNAMIC

CASES = [*SIGNATURES, *BY_HAND, *OUTPUTS, *DYNAMIC, *DECLINED]

__all__ = ["CASES", "LOWERED", "NO_PAIR", "Case"]
