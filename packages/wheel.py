"""``python -m packages.wheel DISTRIBUTION``: the ops of a package that does not load here, by its libraries' strings.

A library that defines ops has their schemas as strings. Nothing is loaded, so what is registered and for which devices
is not known; which overloads belong together is decided as ever.
"""

from __future__ import annotations

import collections
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import torch

import compat_shim
from compat_shim.out_variant import families
from compat_shim.out_variant import schema as schemas
from packages.inspect_ops import kind

_SCHEMA = re.compile(rb"[A-Za-z_][\w:]*(?:\.\w+)?\([ -~]*\) ?-> ?[ -~]+")
_LONGEST = 8000


def _texts(data: bytes) -> Iterator[bytes]:
    """The strings that have an arrow: what stands between zero bytes. (Libraries of kernels have gigabytes of text.)"""
    place = data.find(b"->")
    while place >= 0:
        start, end = data.rfind(b"\0", max(0, place - _LONGEST), place), data.find(b"\0", place, place + _LONGEST)
        if start >= 0 and end >= 0:
            yield data[start + 1 : end]
        place = data.find(b"->", max(end, place + 2))


def found_in(distribution: str) -> Iterator[Any]:
    """The schemas in the shared libraries of an installed distribution, each once."""
    seen = set()
    for file in importlib.metadata.files(distribution) or ():
        if ".so" not in file.name:
            continue
        for text in set(_texts(file.locate().read_bytes())):  # type: ignore[attr-defined]
            if _SCHEMA.fullmatch(text) is None:
                continue
            try:
                schema = torch._C.parse_schema(text.decode())
            except RuntimeError:
                continue
            if str(schema) not in seen:
                seen.add(str(schema))
                yield schema


def main() -> None:
    """Print what was found."""
    every = list(found_in(sys.argv[1]))
    by_base = collections.defaultdict(list)
    for schema in every:
        by_base[schema.name].append(schema)
    pairs = []
    for base, family in by_base.items():
        functionals = [one for one in family if schemas.is_functional(one)]
        outs = [one for one in [*family, *by_base.get(f"{base}_out", ())] if schemas.out_arguments(one)]
        decision = families.decide(functionals, outs)
        pairs += [
            {"functional": str(functionals[mine]), "out": str(outs[theirs])} for mine, theirs in decision.pairs.items()
        ]
    counts = collections.Counter(map(kind, every))
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "shim": compat_shim.__version__,
                "functional": counts["functional"],
                "mutating": counts["mutating"],
                "pairs": pairs,
                "in_place": [[base, f"{base}_"] for base in by_base if f"{base}_" in by_base],
            }
        )
    )


if __name__ == "__main__":
    main()
