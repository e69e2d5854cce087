"""Run a callback once a module has been imported.

A meta path finder lets the other finders find the module, then hooks ``exec_module`` of the
loader *instance* they chose. The loader stays the genuine object, so a module's ``__loader__``
and ``__spec__`` are what they would be without us. Standard library only: it is installed at
interpreter start-up.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

TYPE_CHECKING = False  # typing is slow to import at start-up; checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ImportHook:
    """A meta path finder that calls ``callback(name)`` after each of ``names`` is imported."""

    def __init__(self, names: "Sequence[str]", callback: "Callable[[str], None]") -> None:
        self._waiting = set(names)
        self._callback = callback

    def install(self) -> None:
        """Start waiting. Modules imported before this are not reported."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def remove(self) -> None:
        """Stop waiting."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # type: ignore[arg-type]

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if name not in self._waiting:
            return None
        spec = _find_with_others(self, name, path, target)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            self._hook_loader(spec.loader, name)
        return spec

    def _hook_loader(self, loader: object, name: str) -> None:
        genuine = loader.exec_module  # type: ignore[attr-defined]

        def exec_module(module: ModuleType) -> None:
            try:
                genuine(module)
            finally:
                vars(loader).pop("exec_module", None)
            # Still waiting until here: a spec may be asked for and never executed, or fail.
            if name in self._waiting:
                self._waiting.discard(name)
                self._callback(name)

        try:
            loader.exec_module = exec_module  # type: ignore[attr-defined]
        except AttributeError:
            # A loader with slots cannot be hooked; the import is left as it is, and status()
            # shows the features that wait for this module as PENDING.
            return


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
