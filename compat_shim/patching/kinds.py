"""The kinds of patch: a function wrapped, an attribute added, a module added."""

from __future__ import annotations

import inspect
import sys
from typing import Any, ClassVar

from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Do, Finding, Patch, Undo, Verdict


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
        owner, name = fingerprint.find_owner(self.target)
        raw = vars(owner)[name]
        descriptor = type(raw) if isinstance(raw, (classmethod, staticmethod)) else None
        original = raw.__func__ if descriptor else raw
        ours = self.made()(original)
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
    """Add an attribute, which is ``make`` itself, where torch has none; where it has one, that is NATIVE."""

    kind: ClassVar[str] = "add"

    def look(self) -> Finding:
        try:
            owner, name = fingerprint.find_owner(self.target)
        except LookupError as error:
            return Finding(Verdict.DRIFTED, f"a place for {self.target}", f"nothing: {error}")
        return Finding(Verdict.NATIVE if name in vars(owner) else Verdict.APPLIED)

    def change(self) -> tuple[Do, Undo]:
        owner, name = fingerprint.find_owner(self.target)
        return _set(owner, name, self.made())


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
        package, name = fingerprint.split(self.target)
        module = self.made()(self.module_name)
        set_attribute, undo_attribute = _set(sys.modules[package], name, module)

        def do() -> None:
            set_attribute()
            sys.modules[self.module_name] = module

        def undo() -> None:
            undo_attribute()
            if sys.modules.get(self.module_name) is module:
                del sys.modules[self.module_name]

        return do, undo
