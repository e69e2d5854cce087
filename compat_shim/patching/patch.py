"""A patch is data plus two steps: look (what is there?) and change (what does it, and what undoes it)."""

from __future__ import annotations

import dataclasses
import enum
import importlib
from collections.abc import Callable
from typing import Any, ClassVar

from compat_shim.patching import fingerprint

Do = Callable[[], None]
Undo = Callable[[], None]


class Verdict(str, enum.Enum):
    """What became of a patch or a feature."""

    NATIVE = "NATIVE"  # torch has it: nothing to do
    APPLIED = "APPLIED"
    PENDING = "PENDING"  # a module it needs is not imported yet
    UNKNOWN_RELEASE = "UNKNOWN_RELEASE"  # no tested release of torch has these functions
    DRIFTED = "DRIFTED"  # the release is known, but a function is not the one that was tested
    FOREIGN_PATCH = "FOREIGN_PATCH"  # somebody else replaced the function
    UNVERIFIABLE = "UNVERIFIABLE"  # the source of a function cannot be read
    DISABLED = "DISABLED"  # the environment says so, or a feature that it needs is not there
    FAILED = "FAILED"  # applying it raised; everything was rolled back
    REPLACED = "REPLACED"  # it was applied, and is no longer there: somebody has put something else there

    @property
    def good(self) -> bool:
        return self in (Verdict.NATIVE, Verdict.APPLIED)


@dataclasses.dataclass(frozen=True)
class Finding:
    """A verdict with what was expected and what was found, for people to read."""

    verdict: Verdict
    expected: str = ""
    found: str = ""


# Every process that imports torch makes these classes, and dataclasses takes half a millisecond for
# one: so it generates only what is used, and the kinds of patches share their fields.
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Patch:
    """One change to torch.

    Attributes:
        id: short name, unique in its feature.
        target: what it replaces or adds, ``module:qualified.name``.
        why: one sentence.
        upstream: the pull request or issue that it mirrors or works around.
        relies_on: functions that it does not replace but whose behaviour it needs.
        first, last: the first and last minor release of torch that need it (None: no bound).
        ends_with: the release from which it is needless, or why no release ends it.
        make: ``"module:name"``, imported when the patch is applied, or the object itself: what is put at the
            target, or a function that makes it. Which of the two, and what it is given, the kind of patch says.
        bindings: other modules' names for a wrapped function (``from x import f``). Each is replaced
            too where it still is that function, and put back by the undo, wherever ours got in.
    """

    id: str
    target: str
    why: str
    upstream: str
    relies_on: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    ends_with: str = ""
    make: Any = None
    bindings: tuple[str, ...] = ()

    kind: ClassVar[str] = ""
    adds: ClassVar[bool] = True  # something that the releases after the last have of their own

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id}: {self.target}>"

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that must be imported before this patch can be looked at."""
        names = [fingerprint.split(target)[0] for target in (self.target, *self.relies_on)]
        return tuple(dict.fromkeys(names))

    def fingerprinted(self) -> tuple[str, ...]:
        """The functions whose source must be one that was tested."""
        return self.relies_on

    def look(self) -> Finding:
        """Is it needed, and is its target as expected? Fingerprints are compared in ``verify.py``."""
        raise NotImplementedError

    def still_there(self, ours: Any) -> Finding:
        """Whether the change is in place now. ``ours`` is what ``find`` gave for the target after it.

        A wrapper that somebody has put around ours leaves it in place, where it can be told: that
        it names ours as what it wraps (``functools.wraps`` does).
        """
        expected = f"our own {self.target}"
        try:
            now = fingerprint.find(self.target)
        except LookupError as error:
            return Finding(Verdict.REPLACED, expected, f"nothing: {error}")
        if fingerprint.reaches(now, ours):
            return Finding(Verdict.APPLIED)
        return Finding(Verdict.REPLACED, expected, fingerprint.describe(now))

    def made(self) -> Any:
        """What ``make`` names, imported now."""
        if not isinstance(self.make, str) or ":" not in self.make:
            return self.make
        module, _, name = self.make.partition(":")
        return getattr(importlib.import_module(module), name)

    def change(self) -> tuple[Do, Undo]:
        """What makes the change, and what undoes it exactly, however far the former has got.

        Both are made before anything is changed, so that whoever makes the change can undo it when
        it is interrupted (Ctrl-C). A kind of patch defines this, or ``apply`` alone.
        """
        undos: list[Undo] = []

        def do() -> None:
            undos.append(self.apply())

        def undo() -> None:
            while undos:
                undos.pop()()

        return do, undo

    def apply(self) -> Undo:
        """Make the change; returns what undoes it exactly."""
        do, undo = self.change()
        do()
        return undo


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Feature:
    """Patches that only make sense together: all are applied, or none.

    Attributes:
        id: its name in ``COMPAT_SHIM_FEATURES``.
        title: what it gives the user.
        patches: in the order in which they are applied.
        requires: features that must be there first.
        completed_by: features that require this one and without which it is not right: they are asked for with it,
            and where one of them cannot be applied it goes back.
        imports: small modules that the engine imports itself, where torch has them.
        native_since: the first minor release of torch that has the feature of its own, right or
            wrong. Before it the patches are a backport, from it on a repair. Empty: no release has it.
    """

    id: str
    title: str
    patches: tuple[Patch, ...]
    requires: tuple[str, ...] = ()
    completed_by: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    native_since: str = ""

    def __repr__(self) -> str:
        return f"<feature {self.id}>"

    def modules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for patch in self.patches for name in patch.modules))

    def fingerprinted(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for patch in self.patches for name in patch.fingerprinted()))
