"""``torch.Tag.out`` and ``torch.Tag.out_variant`` as real ``torch.Tag`` values.

``torch.Tag`` is a pybind11 enum that takes any integer. A value that torch does not know passes
through ``Library.define(tags=...)``, is kept by the C++ dispatcher and comes back in
``op.tags``. Entering it in the enum's own table gives it a name, a repr and a place among the
members. Native: ``out_variant`` since torch 2.11 (#174473), ``out`` since 2.13 (#180851).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Finding, Patch, Undo, Verdict

# Far from torch's own values (2.15 ends at 19), and part of every compiled C++ library that uses
# it: it must never change. The bytes spell "out".
TAG_VALUE = 0x6F7574

_ENTRIES = "__entries"  # pybind11's table of an enum: name → (member, docstring)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AddTag(Patch):
    """Enter a name in ``torch.Tag``: an alias of another member if that exists, else a value."""

    alias_of: str = ""

    kind: ClassVar[str] = "add tag"

    def look(self) -> Finding:
        enum, name = fingerprint.find_owner(self.target)
        if name in enum.__members__:
            return Finding(Verdict.NATIVE)
        entries = vars(enum).get(_ENTRIES)
        if not isinstance(entries, dict):
            return Finding(Verdict.DRIFTED, "a pybind11 enum with a table of entries", type(entries).__name__)
        if any(int(member) == TAG_VALUE for key, (member, _) in entries.items() if key != self.alias_of):
            return Finding(Verdict.FOREIGN_PATCH, f"no member with value {TAG_VALUE}", "one")
        return Finding(Verdict.APPLIED)

    def apply(self) -> Undo:
        enum, name = fingerprint.find_owner(self.target)
        entries: dict[str, Any] = vars(enum)[_ENTRIES]
        member = enum.__members__.get(self.alias_of)
        entries[name] = (enum(TAG_VALUE) if member is None else member, None)
        setattr(enum, name, entries[name][0])

        def undo() -> None:
            entries.pop(name, None)
            delattr(enum, name)

        return undo


def out_tags() -> tuple[Any, ...]:
    """The members of ``torch.Tag`` that mark an out variant on this torch, one or two.

    ``out`` and ``out_variant`` are one member up to torch 2.12. From 2.13 on they are two, and
    upstream looks only for the first; here both pair ops.
    """
    import torch

    names = ("out", "out_variant")
    return tuple({int(tag): tag for name in names if (tag := getattr(torch.Tag, name, None)) is not None}.values())


PATCHES = (
    AddTag(
        id="tag-out",
        target="torch:Tag.out",
        alias_of="out_variant",
        why="code written for torch 2.13 tags its out variants with torch.Tag.out",
        upstream="https://github.com/pytorch/pytorch/pull/180851",
        ends_with="2.13",
        last="2.12",
    ),
    AddTag(
        id="tag-out-variant",
        target="torch:Tag.out_variant",
        alias_of="out",
        why="code written for torch 2.11 and 2.12 tags its out variants with torch.Tag.out_variant",
        upstream="https://github.com/pytorch/pytorch/pull/174473",
        ends_with="2.11",
        last="2.10",
    ),
)
