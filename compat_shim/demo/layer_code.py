"""The lines of Inductor's generated ``call``, and those that concern one layer."""

from __future__ import annotations

import re

from compat_shim.demo.ops import NAMESPACE
from compat_shim.out_variant.lowering.generated_code import spelled_out

_LINEAR = re.compile(rf"torch\.ops\.{NAMESPACE}\.linear_dequant\.\w+\(")
_SKIPPED = re.compile(r"#|assert_|\(?compat_shim_first_|$")
_TIDIES_UP = re.compile(r"del |\w+ = \w+(\[\d+\])?$")
_MOST_LINES = 40


def call_lines(code: str) -> list[str]:
    """What runs in a step: the lines of ``call`` without asserts, comments and blank ones, dedented.

    Args:
        code: generated Python code of one graph, for one device.
    """
    body = re.search(r"^( *)def call\(.*\n((?:\1 .*\n|\n)*)", code + "\n", re.MULTILINE)
    lines = [line.strip() for line in body[2].splitlines()] if body else []
    return [line for line in lines if not _SKIPPED.match(line)]


def layer_lines(code: str, layer: int, width: int) -> list[str]:
    """A layer's lines: after the linear of the layer before it, up to and with its own linear.

    Args:
        code: generated Python code of the block.
        layer: which one, from 0.
        width: the longest line; what is longer is cut.

    Returns:
        The lines of :func:`call_lines` with each overload by its name, where the code calls a variable that stands for
        it; empty if the code has no such layer.
    """
    lines = call_lines(spelled_out(code))
    ends = [_end(lines, index) for index, line in enumerate(lines) if _LINEAR.search(line)]
    if layer >= len(ends):
        return []
    found = lines[ends[layer - 1] if layer else 0 : ends[layer]]
    if len(found) > _MOST_LINES:
        found[_MOST_LINES:] = [f"... {len(found) - _MOST_LINES} more lines"]
    return [line if len(line) <= width else line[: width - 3] + "..." for line in found]


def _end(lines: list[str], index: int) -> int:
    """The index after the call at ``index`` and the lines that name what it returned and tidy up."""
    index += 1
    while index < len(lines) and _TIDIES_UP.match(lines[index]):
        index += 1
    return index
