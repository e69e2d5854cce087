"""A patch is data plus two steps: look (what is there?) and change (what does it, and what undoes it)."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import sys
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
        make: makes what is put at the target; what it is given, the kind of patch says.
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
    make: Callable[..., Any] | None = None
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
        """Is it needed, and is its target as expected? Fingerprints are the engine's matter."""
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


def _set(owner: Any, name: str, value: Any) -> tuple[Do, Undo]:
    """``setattr``, and what restores what ``vars(owner)`` held, if the value is still ours."""
    absent = object()
    before = vars(owner).get(name, absent)

    def do() -> None:
        setattr(owner, name, value)

    def undo() -> None:
        now = vars(owner).get(name, absent)
        if now is before:
            return  # not set yet, or somebody has put it back
        if now is not value:
            raise RuntimeError(f"{name} was replaced by somebody else since")
        if before is absent:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    return do, undo


class Wrap(Patch):
    """Replace a function by ``make(original)``, which does its part and calls the original.

    ``make`` gets the plain function under a ``classmethod`` or ``staticmethod`` and returns
    one; the descriptor is put back around it.
    """

    kind: ClassVar[str] = "wrap"
    adds: ClassVar[bool] = False

    def fingerprinted(self) -> tuple[str, ...]:
        return (self.target, *self.relies_on)

    def look(self) -> Finding:
        try:
            raw = fingerprint.find(self.target)
        except LookupError as error:
            return Finding(Verdict.DRIFTED, f"a function {self.target}", f"nothing: {error}")
        if fingerprint.function_of(raw) is None:
            return Finding(Verdict.FOREIGN_PATCH, f"a function {self.target}", f"a {type(raw).__name__}")
        return Finding(Verdict.APPLIED)

    def change(self) -> tuple[Do, Undo]:
        assert self.make is not None, self.id
        owner, name = fingerprint.find_owner(self.target)
        raw = vars(owner)[name]
        descriptor = type(raw) if isinstance(raw, (classmethod, staticmethod)) else None
        original = raw.__func__ if descriptor else raw
        ours = self.make(original)
        current = ours

        def replacement(*args: Any, **kwargs: Any) -> Any:
            return current(*args, **kwargs)

        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(replacement, attribute, getattr(original, attribute, None))
        # Callers look for parameters that not every release has (``allow_override`` of Library.impl).
        vars(replacement)["__signature__"] = inspect.signature(original)
        fingerprint.replaced[replacement] = original
        put, restore = _set(owner, name, descriptor(replacement) if descriptor else replacement)

        def do() -> None:
            put()
            self._rebind(original, replacement)

        def undo() -> None:
            # If somebody has wrapped ours since, it stays beneath theirs and only calls on.
            nonlocal current
            current = original
            # A module imported since took its binding from ours.
            self._rebind(replacement, original)
            restore()

        return do, undo

    def _rebind(self, before: Any, after: Any) -> None:
        for binding in self.bindings:
            try:
                owner, name = fingerprint.find_owner(binding)
            except LookupError:
                continue  # not imported: it will take the name from the target
            if vars(owner).get(name) is before:
                setattr(owner, name, after)


class Add(Patch):
    """Add an attribute, ``make()``, where torch has none; where it has one, that is NATIVE."""

    kind: ClassVar[str] = "add"

    def look(self) -> Finding:
        try:
            owner, name = fingerprint.find_owner(self.target)
        except LookupError as error:
            return Finding(Verdict.DRIFTED, f"a place for {self.target}", f"nothing: {error}")
        return Finding(Verdict.NATIVE if name in vars(owner) else Verdict.APPLIED)

    def change(self) -> tuple[Do, Undo]:
        assert self.make is not None, self.id
        owner, name = fingerprint.find_owner(self.target)
        return _set(owner, name, self.make())


class AddModule(Patch):
    """Add a module, ``make(name)``, where torch has none. The target is ``package:module``."""

    kind: ClassVar[str] = "add module"

    @property
    def module_name(self) -> str:
        return self.target.replace(":", ".")

    def look(self) -> Finding:
        package, name = fingerprint.split(self.target)
        if self.module_name in sys.modules or hasattr(sys.modules.get(package), name):
            return Finding(Verdict.NATIVE)
        try:
            __import__(self.module_name)
        except ModuleNotFoundError as error:
            if error.name != self.module_name:
                raise  # torch has the module, and something that it imports is missing
            return Finding(Verdict.APPLIED)
        return Finding(Verdict.NATIVE)

    def still_there(self, ours: Any) -> Finding:
        if sys.modules.get(self.module_name) is ours:
            return super().still_there(ours)
        found = f"{sys.modules.get(self.module_name)!r} in sys.modules"
        return Finding(Verdict.REPLACED, f"our own {self.target}", found)

    def change(self) -> tuple[Do, Undo]:
        assert self.make is not None, self.id
        package, name = fingerprint.split(self.target)
        module = self.make(self.module_name)
        set_attribute, undo_attribute = _set(sys.modules[package], name, module)

        def do() -> None:
            set_attribute()
            sys.modules[self.module_name] = module

        def undo() -> None:
            undo_attribute()
            if sys.modules.get(self.module_name) is module:
                del sys.modules[self.module_name]

        return do, undo


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
            wrong. Before it the patches are a backport, from it on a repair.
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
