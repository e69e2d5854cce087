"""What the dispatcher holds for an operator, as it says itself."""

from __future__ import annotations

import re

from torch import _C

_ACTIVE = re.compile(r"^([A-Za-z0-9]+)(?:\[alias\])?(?: \(inactive\))?: (registered at .*?) :: ", re.MULTILINE)


def dumps(name: str) -> tuple[str, str]:
    """All that the dispatcher says of an operator: its own kernels, and the table of what each key runs.

    The same as before, if nothing has come or gone.
    """
    return _C._dispatch_dump(name), _C._dispatch_dump_table(name)


def registered(dump: str) -> dict[str, list[str]]:
    """The operator's own kernels: dispatch key → where each was registered, the one that runs first."""
    found: dict[str, list[str]] = {}
    for key, where in _ACTIVE.findall(dump):
        found.setdefault(key, []).append(where)
    return found


_COMPUTED = re.compile(r"^(\w+): (.*?) \[(.*)\]$", re.MULTILINE)
_TORCHS_FALLBACK = re.compile(r"/(?:Variable|BackendSelect)FallbackKernel\.cpp:\d+$")


def above(computed: str, key: str) -> dict[str, str | None]:
    """What runs before the device's kernel for plain tensors: key → where it was registered; None if it does nothing.

    Autograd's key of the device goes by the name of its alias, under which ``custom_op`` registers.
    """
    table = {line[0]: line[1:] for line in _COMPUTED.findall(computed)}
    found: dict[str, str | None] = {}
    for first in (f"Autograd{key}", "ADInplaceOrView", "BackendSelect"):
        where, kind = table.get(first, ("nowhere", ""))
        alias = "Autograd" if first.startswith("Autograd") else first
        if kind == "backend fallback" and _TORCHS_FALLBACK.search(where):
            found[alias] = None
        elif alias == "Autograd" and kind != "autograd kernel":
            found[alias] = f"{where} [{kind}]"  # not by the alias
        else:
            found[alias] = where
    return found
