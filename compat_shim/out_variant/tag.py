"""``torch.Tag.out``, ``torch.Tag.out_variant`` and ``torch.Tag.inplace`` as real ``torch.Tag`` values.

``torch.Tag`` is a pybind11 enum that takes any integer. A value that torch does not know passes
through ``Library.define(tags=...)``, is kept by the C++ dispatcher and comes back in
``op.tags``. Entering it in the enum's own table gives it a name, a repr and a place among the
members. Native: ``out_variant`` since torch 2.11 (#174473), ``out`` and ``inplace`` since 2.13
(#180851).

``out`` and ``out_variant`` are two tags on every release, as from 2.13 on: ``out`` has rules at
definition time, ``out_variant`` has none. Both mark an out variant.
"""

from __future__ import annotations

from typing import Any, ClassVar

from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Do, Finding, Patch, Undo, Verdict

# Far from torch's own values (2.15 ends at 19), and part of every compiled C++ library that uses
# them (include/compat_shim/out_tag.h): they must never change. The bytes spell "out", "out!", "inpl".
TAG_VALUES = {"out_variant": 0x6F7574, "out": 0x6F757421, "inplace": 0x696E706C}

_ENTRIES = "__entries"  # pybind11's table of an enum: name → (member, docstring)


class AddTag(Patch):
    """Enter a name in ``torch.Tag`` with a value of its own."""

    kind: ClassVar[str] = "add tag"

    def look(self) -> Finding:
        enum, name = fingerprint.find_owner(self.target)
        if name in enum.__members__:
            return Finding(Verdict.NATIVE)
        entries = vars(enum).get(_ENTRIES)
        if not isinstance(entries, dict):
            return Finding(Verdict.DRIFTED, "a pybind11 enum with a table of entries", type(entries).__name__)
        value = TAG_VALUES[name]
        if any(int(member) == value for member, _ in entries.values()):
            return Finding(Verdict.FOREIGN_PATCH, f"no member with value {value}", "one")
        return Finding(Verdict.APPLIED)

    def change(self) -> tuple[Do, Undo]:
        enum, name = fingerprint.find_owner(self.target)
        entries: dict[str, Any] = vars(enum)[_ENTRIES]
        member = enum(TAG_VALUES[name])

        def do() -> None:
            entries[name] = (member, None)
            setattr(enum, name, member)

        def undo() -> None:
            entries.pop(name, None)
            if name in vars(enum):  # not so where an interrupt came between the two
                delattr(enum, name)

        return do, undo


def out_tags() -> tuple[Any, ...]:
    """The members of ``torch.Tag`` that mark an out variant: ``out`` and ``out_variant``, where there are.

    Upstream looks only for the first from 2.13 on; here both pair ops.
    """
    return _members("out", "out_variant")


def strict_tags() -> tuple[Any, ...]:
    """The members of ``torch.Tag`` that have rules at definition time: ``out`` and ``inplace``."""
    return _members("out", "inplace")


def _members(*names: str) -> tuple[Any, ...]:
    import torch

    return tuple(tag for name in names if (tag := getattr(torch.Tag, name, None)) is not None)


def normalized(tags: Any) -> tuple[Any, ...]:
    """``tags=`` of torch 2.13's functions as a tuple: None, one tag or many, each once."""
    import torch

    if tags is None:
        return ()
    return tuple(dict.fromkeys((tags,) if isinstance(tags, torch.Tag) else tags))


PATCHES = (
    AddTag(
        id="tag-out",
        target="torch:Tag.out",
        why="code written for torch 2.13 tags its out variants with torch.Tag.out",
        upstream="https://github.com/pytorch/pytorch/pull/180851",
        ends_with="2.13",
        last="2.12",
    ),
    AddTag(
        id="tag-out-variant",
        target="torch:Tag.out_variant",
        why="code written for torch 2.11 and 2.12 tags its out variants with torch.Tag.out_variant",
        upstream="https://github.com/pytorch/pytorch/pull/174473",
        ends_with="2.11",
        last="2.10",
    ),
    AddTag(
        id="tag-inplace",
        target="torch:Tag.inplace",
        why="code written for torch 2.13 tags its in-place ops with torch.Tag.inplace",
        upstream="https://github.com/pytorch/pytorch/pull/180851",
        ends_with="2.13",
        last="2.12",
    ),
)
