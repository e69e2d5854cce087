"""The kind of patch that enters a name in ``torch.Tag``.

``torch.Tag`` is a pybind11 enum that takes any integer. A value that torch does not know passes
through ``Library.define(tags=...)``, is kept by the C++ dispatcher and comes back in
``op.tags``. Entering it in the enum's own table gives it a name, a repr and a place among the
members.
"""

from __future__ import annotations

from typing import Any, ClassVar

from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Do, Finding, Patch, Undo, Verdict

_ENTRIES = "__entries"  # pybind11's table of an enum: name → (member, docstring)


class AddTag(Patch):
    """Enter a name in ``torch.Tag`` with a value of its own."""

    kind: ClassVar[str] = "add tag"

    def __init__(self, *, value: int, **fields: Any) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "value", value)  # as dataclasses does where fields are frozen

    value: int

    def look(self) -> Finding:
        enum, name = fingerprint.find_owner(self.target)
        if name in enum.__members__:
            return Finding(Verdict.NATIVE)
        entries = vars(enum).get(_ENTRIES)
        if not isinstance(entries, dict):
            return Finding(Verdict.DRIFTED, "a pybind11 enum with a table of entries", type(entries).__name__)
        value = self.value
        if any(int(member) == value for member, _ in entries.values()):
            return Finding(Verdict.FOREIGN_PATCH, f"no member with value {value}", "one")
        return Finding(Verdict.APPLIED)

    def change(self) -> tuple[Do, Undo]:
        enum, name = fingerprint.find_owner(self.target)
        entries: dict[str, Any] = vars(enum)[_ENTRIES]
        member = enum(self.value)

        def do() -> None:
            entries[name] = (member, None)
            setattr(enum, name, member)

        def undo() -> None:
            entries.pop(name, None)
            if name in vars(enum):  # not so where an interrupt came between the two
                delattr(enum, name)

        return do, undo
