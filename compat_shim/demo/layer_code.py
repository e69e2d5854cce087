"""The lines of Inductor's generated ``call`` that concern one layer."""

from __future__ import annotations

import re
import textwrap

from compat_shim.demo.ops import NAMESPACE
from compat_shim.out_variant.lowering.generated_code import variables

_LINEAR = f"torch.ops.{NAMESPACE}.linear_dequant."
_TIDIES_UP = re.compile(r"\s*(del |assert_|\(?compat_shim_first_|\w+ = \w+(\[\d+\])?$)")
_MOST_LINES = 40


def layer_lines(code: str, layer: int, width: int) -> list[str]:
    """A layer's lines: after the linear of the layer before it, up to and with its own linear.

    Args:
        code: generated Python code of the block.
        layer: which one, from 0.
        width: the longest line; what is longer is cut.

    Returns:
        The lines without comments, dedented; empty if the code has no such layer.
    """
    lines = [line for line in code.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    names = [re.escape(name) for name, kernel in variables(code).items() if kernel.startswith(_LINEAR)]
    call = re.compile("|".join([rf"{re.escape(_LINEAR)}\w+\(", *(rf"\b{name}\(" for name in names)]))
    ends = [_end(lines, index) for index, line in enumerate(lines) if call.search(line)]
    if layer >= len(ends):
        return []
    start = ends[layer - 1] if layer else _call_start(lines)
    found = textwrap.dedent("\n".join(lines[start : ends[layer]])).splitlines()
    if len(found) > _MOST_LINES:
        found[_MOST_LINES:] = [f"... {len(found) - _MOST_LINES} more lines"]
    return [line if len(line) <= width else line[: width - 3] + "..." for line in found]


def _end(lines: list[str], index: int) -> int:
    """The index after the call at ``index`` and the lines that name what it returned and tidy up."""
    index += 1
    while index < len(lines) and _TIDIES_UP.match(lines[index]):
        index += 1
    return index


def _call_start(lines: list[str]) -> int:
    """The index after the part of ``call`` that unpacks and checks its arguments."""
    checks = [index for index, line in enumerate(lines) if re.match(r"\s*assert_size_stride\(arg", line)]
    return checks[-1] + 1 if checks else 0
