"""Reading back what Inductor generated: for ``explain``, the demo and tests."""

from __future__ import annotations

import re

_LINE = re.compile(
    r"^ *(call_\w+) = (?:compat_shim_call\()?(torch\.ops\.[^\s,]+?)(?:\._op|, '\w+', \d+(?:, True)?\))?$", re.MULTILINE
)


def variables(code: str) -> dict[str, str]:
    """The variables that generated code has for overloads: variable → ``torch.ops.ns.op.out``."""
    return dict(_LINE.findall(code))


def names(code: str, kernel: str) -> list[str]:
    """What stands for an overload in calls: its name, and its variables."""
    return [kernel, *(name for name, called in variables(code).items() if called == kernel)]


def spelled_out(code: str) -> str:
    """Generated code as it would be without variables for overloads, to look for calls by name."""
    for name, kernel in variables(code).items():
        code = re.sub(rf"^ *{name} = .*\n", "", code, flags=re.MULTILINE)
        code = re.sub(rf"\b{name}\(", f"{kernel}(", code)
    return re.sub(r"^ *compat_shim_call = .*\n", "", code, flags=re.MULTILINE)
