"""Pairs registered by name that wait for an op: for people, what is missing and what was meant.

An op may be loaded late, so a pair that waits is no error. A name that is spelled wrong waits for ever.
"""

from __future__ import annotations

import dataclasses
import difflib

import torch

from compat_shim import process
from compat_shim.out_variant import marks, names, registry
from compat_shim.out_variant import schema as schemas
from compat_shim.patching.log import warn


@dataclasses.dataclass(frozen=True)
class Waiting:
    """A pair of names of which one or both are no op yet.

    Attributes:
        functional, out: the names, as ``register_out_variant`` was given them.
        missing: which of them no loaded library defines, or Python cannot reach.
        meant: ops of almost that name and of that kind, the likeliest first.
        remedy: what to do.
    """

    functional: str
    out: str
    missing: tuple[str, ...]
    meant: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        return f"{' and '.join(self.missing)} {'are' if self.missing[1:] else 'is'} missing: {self.remedy}"


def waiting(name: str | None = None) -> list[Waiting]:
    """The pairs that wait: all of this process, or that of the functional op called ``name``."""
    return [_waiting(functional, out) for functional, out in registry.waiting(name)]


def warn_once(name: str) -> None:
    """Warn if the functional op of this name, which a compile has met, waits for its out variant."""
    for pair in waiting(name):
        warn(
            process.settings(),
            f"{name} is called in a compiled graph and is registered with {pair.out}, but {pair}; until then the call"
            " does without that out variant",
        )


def _waiting(functional: str, out: str) -> Waiting:
    missing = tuple(name for name in (functional, out) if names.find(name) is None)
    meant = tuple(near for name in missing for near in _near(name, writes=name == out))
    load = f"load the library that defines {'them' if missing[1:] else 'it'}"
    if any(map(names.exists, missing)):
        remedy = "torch.ops has an attribute of its own with the overload's name; give the overload another"
    elif meant:
        remedy = f"did you mean {' or '.join(meant)}? If not, {load}"
    else:
        remedy = f"{load}, or mend the name"
    return Waiting(functional, out, missing, meant, remedy)


def _near(name: str, writes: bool) -> list[str]:
    """At most two ops of almost this name, in a namespace of almost its name, that write to an argument or do not."""
    namespace, _, rest = name.partition("::")  # of an op and its overload alike: the whole rest is compared
    loaded: dict[str, list[str]] = {}
    for op in torch._C._dispatch_get_all_op_names():
        space, _, own = op.partition("::")
        if space not in marks.BUILTIN:
            loaded.setdefault(space, []).append(own)
    found = [
        f"{space}::{own}"
        for space in difflib.get_close_matches(namespace, loaded, cutoff=0.8)
        for own in difflib.get_close_matches(rest, loaded[space], n=5, cutoff=0.8)
    ]
    return [near for near in found if _writes(near) is writes][:2]


def _writes(name: str) -> bool | None:
    op = names.find(name)
    return None if op is None else bool(schemas.out_arguments(op._schema))
