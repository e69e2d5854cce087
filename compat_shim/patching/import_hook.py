"""Run a callback once a module has been imported.

A meta path finder lets the other finders find the module, then hooks ``exec_module`` of the
loader *instance* they chose. The loader stays the genuine object, so a module's ``__loader__``
and ``__spec__`` are what they would be without us. Standard library only: it is installed at
interpreter start-up.

A module whose import has begun before, in another thread or beneath us, is not sought any more.
``importlib`` ends an import by ``spec._initializing = False``, so that assignment is watched.
"""

import sys
from _thread import get_ident
from types import ModuleType

TYPE_CHECKING = False  # typing is slow to import at start-up; checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec


class ImportHook:
    """A meta path finder that calls ``callback(name)`` after each of ``names`` is imported."""

    def __init__(self, names: "Sequence[str]", callback: "Callable[[str], None]") -> None:
        self._waiting = set(names)
        self._callback = callback
        self._finding: "set[tuple[int, str]]" = set()

    def install(self) -> None:
        """Start waiting. Modules imported before this are not reported; one whose import is not over is."""
        if self in sys.meta_path:
            return
        sys.meta_path.insert(0, self)
        for name in list(self._waiting):
            spec = getattr(sys.modules.get(name), "__spec__", None)
            if spec is not None and getattr(spec, "_initializing", False):
                _watch(spec, lambda name=name: self._report(name))  # type: ignore[misc]

    def remove(self) -> None:
        """Stop waiting, also for a module whose code is running now."""
        self._waiting.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        search = (get_ident(), name)
        if name not in self._waiting or search in self._finding:
            return None  # the latter: another finder that asks all others, us among them
        self._finding.add(search)
        try:
            spec = _find_with_others(self, name, path, target)
        finally:
            self._finding.discard(search)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            self._hook_loader(spec.loader, name)
        return spec

    def _hook_loader(self, loader: object, name: str) -> None:
        attributes = getattr(loader, "__dict__", None)
        if not isinstance(attributes, dict):
            # A loader with slots, or a class, cannot be hooked; the import is left as it is, and
            # status() shows the features that wait for this module as PENDING.
            return
        genuine = loader.exec_module  # type: ignore[attr-defined]

        def exec_module(module: ModuleType) -> None:
            if module.__name__ != name:  # one loader may serve many modules (an archive's does)
                genuine(module)
                return
            # Before the call: nothing is left behind if it fails, and a loader that stands for
            # another one (wrapt's) does not come back to us through it.
            attributes.pop("exec_module", None)
            genuine(module)
            # Still waiting until here: a spec may be asked for and never executed, or fail.
            self._report(name)

        attributes["exec_module"] = exec_module

    def _report(self, name: str) -> None:
        try:
            self._waiting.remove(name)
        except KeyError:
            return  # reported, or removed since
        try:
            self._callback(name)
        except Exception:
            raise
        except BaseException:
            self._waiting.add(name)  # Ctrl-C: the import fails with it, and may be tried again
            raise


def _watch(spec: "ModuleSpec", callback: "Callable[[], None]") -> None:
    """Call ``callback`` in the thread that imports the spec's module, before that import returns."""
    genuine = type(spec)

    class Watched(genuine):  # type: ignore[misc, valid-type]
        @property
        def _initializing(self) -> bool:
            return bool(vars(self).get("_initializing", False))

        @_initializing.setter
        def _initializing(self, value: bool) -> None:
            self.__dict__["_initializing"] = value
            if value:
                return
            self.__class__ = genuine  # type: ignore[assignment]
            self._initializing = value  # for one who watches, too
            if self.name in sys.modules:  # else the import has failed: the next one is found by the hook
                callback()

    Watched.__name__, Watched.__qualname__ = genuine.__name__, genuine.__qualname__
    Watched.__module__ = genuine.__module__
    try:
        spec.__class__ = Watched
    except TypeError:
        # A spec of somebody's own kind, with slots: as for a loader that cannot be hooked.
        return
    if not vars(spec).get("_initializing", False):  # it has ended in the meantime, and perhaps before we watched
        spec.__class__ = genuine
        if spec.name in sys.modules:
            callback()


def _find_with_others(
    ours: ImportHook, name: str, path: "Sequence[str] | None", target: "ModuleType | None"
) -> "ModuleSpec | None":
    for finder in list(sys.meta_path):
        if finder is ours or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(name, path, target)
        if spec is not None:
            return spec
    return None
