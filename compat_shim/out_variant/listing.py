"""Which overloads are tagged: torch's list of all ops, made anew only where one may have been added.

It is asked for at every compile, and the list of the thousands of names is what that costs.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Set

import torch

from compat_shim.out_variant import marks, names
from compat_shim.out_variant.tag import out_tags

_BUILTIN = tuple(f"{namespace}::" for namespace in marks.BUILTIN)
# The modules of generated code, one for each compiled graph.
_GENERATED = "torch._inductor.runtime.compile_tasks."


@dataclasses.dataclass
class _Listing:
    """What was found when the ops were last listed.

    Attributes:
        may_be_tagged: the overloads outside torch's own namespaces that are or were tagged, or whose tags
            can change.
        modules, libraries, defined: what there was then of all that brings ops: modules, C++ libraries
            that were loaded by ``torch.ops``, and ops that Python has defined. ``modules`` is None before the
            first listing, and once an op has been met that came by none of these.
    """

    may_be_tagged: frozenset[str] = frozenset()
    modules: frozenset[str] | None = None
    libraries: int = 0
    defined: frozenset[str] = frozenset()


_last = _Listing()


def tagged() -> Iterator[str]:
    """The names of the overloads that are tagged as out variants or marked by ``tag_out``, and exist."""
    tags = out_tags()
    yield from (name for name in marks.marked_names() if not name.startswith(_BUILTIN) and names.exists(name))
    yield from (name for name in _listing().may_be_tagged if _is_tagged(name, tags))


def knows(name: str) -> bool:
    """Whether the last listing has this tagged overload."""
    return name in _last.may_be_tagged or name in marks.marked_names()


def outdate() -> None:
    """Let the next call of :func:`tagged` list all ops: one has been met that came unseen."""
    _last.modules = None


def _listing() -> _Listing:
    global _last
    libraries, defined = len(torch.ops.loaded_libraries), getattr(torch.library, "_defs", None)
    if (
        defined is None
        or _last.modules is None
        or (libraries, defined) != (_last.libraries, _last.defined)
        or any(not name.startswith(_GENERATED) for name in sys.modules.keys() - _last.modules)
    ):
        # The modules first: one that another thread imports meanwhile counts as new next time.
        modules = frozenset(sys.modules)
        # What was found once stays: torch's record drops an op that was defined anew when the Library that
        # had defined it before goes away.
        may_be_tagged = _last.may_be_tagged.union(_list(defined))
        _last = _Listing(may_be_tagged, modules, libraries, frozenset(defined or ()))
    return _last


def _list(defined: Set[str] | None) -> Iterator[str]:
    tags = out_tags()
    for name in torch._C._dispatch_get_all_op_names():
        # What C++ has defined stays as long as the process, with its tags; a Library of Python's may go away
        # and another define the op anew.
        if not name.startswith(_BUILTIN) and (defined is None or name in defined or _is_tagged(name, tags)):
            yield name


def _is_tagged(qualified: str, tags: tuple[object, ...]) -> bool:
    found = names.tags_of(qualified)
    return any(tag in found for tag in tags)
