"""Reading back what Inductor generated: for ``explain``, the demo and tests."""

from __future__ import annotations

import re


def variables(code: str) -> dict[str, str]:
    """The overloads that generated code has variables for: ``torch.ops.ns.op.out`` → variable."""
    return {
        kernel: name
        for name, kernel in re.findall(r"^ *(call_\w+) = (torch\.ops\.\S+?)(?:\._op)?$", code, re.MULTILINE)
    }


def spelled_out(code: str) -> str:
    """Generated code as it would be without variables for overloads, to look for calls by name."""
    for kernel, name in variables(code).items():
        code = re.sub(rf"^ *{name} = .*\n", "", code, flags=re.MULTILINE)
        code = re.sub(rf"\b{name}\(", f"{kernel}(", code)
    return code
