"""The bytes that a generated wrapper needs: the most that live at once, by the live ranges of its buffers."""

from __future__ import annotations

import math
import re
from ast import literal_eval

import torch

_ALLOCATE = re.compile(r"\b(buf\d+) = empty_strided_\w+\((\(.*?\)), \(.*?\), (torch\.\w+)\)")
_RESHAPED = re.compile(r"\b(buf\d+) = reinterpret_tensor\((buf\d+), (\(.*?\)), \(.*?\), 0\); del \2  # reuse")
_RENAMED = re.compile(r"\b(buf\d+) = (buf\d+); del \2  # reuse")
_OF_A_CALL = re.compile(r"\bbuf\d+ = torch\.ops\.")  # a fallback's result
_BUFFER = re.compile(r"\bbuf\d+\b")


def lower_bound(code: str) -> int | None:
    """Bytes, for code of one graph of static shapes; None if the code does not tell all its buffers' sizes.

    A buffer lives from the line that first writes to it to the last line that names it; one that is
    made from a dead one counts as a buffer of its own, so the wrapper's choices do not lower the
    bound. Views keep what they show alive.
    """
    if code.count("def call(") != 1 or _OF_A_CALL.search(code):
        return None
    body = code.partition("def call(")[2].partition("def benchmark_compiled_module")[0]
    bytes_of: dict[str, int] = {}
    dtypes: dict[str, str] = {}
    ranges: dict[str, list[int]] = {}
    views: dict[str, str] = {}
    for number, line in enumerate(body.splitlines()):
        text = line.partition("#")[0] if "# reuse" not in line else line
        if made := _ALLOCATE.search(text):
            name, size, dtype = made.groups()
            dtypes[name], bytes_of[name] = dtype, _bytes(size, dtype)
        elif made := _RESHAPED.search(text):
            name, before, size = made.groups()
            dtypes[name], bytes_of[name] = dtypes[before], _bytes(size, dtypes[before])
        elif made := _RENAMED.search(text):
            name, before = made.groups()
            dtypes[name], bytes_of[name] = dtypes[before], bytes_of[before]
        elif not text.strip().startswith("del "):
            defined = re.match(r"\s*(buf\d+) = ", text)
            for used in _BUFFER.findall(text):
                if defined and used != defined[1]:
                    views[defined[1]] = used
                while used in views:
                    used = views[used]
                ranges.setdefault(used, [number, number])[1] = number
    if not bytes_of:
        return None
    starts = sorted({first for first, _ in ranges.values()})
    return max(
        sum(bytes_of.get(name, 0) for name, (first, last) in ranges.items() if first <= at <= last) for at in starts
    )


def _bytes(size: str, dtype: str) -> int:
    return math.prod(literal_eval(size)) * getattr(torch, dtype.removeprefix("torch.")).itemsize
