"""The child processes of a process in which ``import compat_shim`` alone has activated the shim.

Where the bootstrap folder is on the path, every child finds it too, and a fork has all that its
parent has. The environment is the user's to change, so what remains is what a parent hands on of
its own accord:

- ``multiprocessing`` (spawn and forkserver, so DataLoader workers too): the configuration that,
  in CPython's words, "will be inherited by descendant processes". A child unpickles it before all
  else of its work, and an entry of ours is in it.
- Inductor gives ``sys.path`` to its compile workers as their PYTHONPATH.
"""

import sys

from compat_shim.activation import BOOTSTRAP, hidden_by
from compat_shim.patching.import_hook import ImportHook

TYPE_CHECKING = False  # typing is slow to import at start-up; checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable

_PROCESS = "multiprocessing.process"
_KEY = "compat_shim"
# What a child evaluates. It imports the package, which activates it, or does not find it.
_ARRIVE = (
    "__import__('importlib.util').util.find_spec('compat_shim')"
    " and __import__('compat_shim.activation.children', fromlist=['CARRIED']).CARRIED"
)


class _Carried:
    """Pickled as what a child evaluates, and not by this class, which a child may not have."""

    def __reduce__(self) -> "tuple[Callable[[str], object], tuple[str]]":
        return eval, (_ARRIVE,)


CARRIED = _Carried()


class Children:
    """Hands the activation on to children that would not find it by themselves."""

    def __init__(self) -> None:
        self._attached = False
        self._hook = ImportHook([_PROCESS], self._enter)

    def attach(self) -> None:
        if BOOTSTRAP in sys.path and not hidden_by():
            return
        self._attached = True
        # Not first, which is the script's folder, but before any folder with a sitecustomize.
        sys.path.insert(1, BOOTSTRAP)
        if _PROCESS in sys.modules:
            self._enter()
        else:
            self._hook.install()

    def detach(self) -> None:
        self._hook.remove()
        if not self._attached:
            return
        self._attached = False
        if BOOTSTRAP in sys.path:
            sys.path.remove(BOOTSTRAP)
        _inherited().pop(_KEY, None)

    def _enter(self, module: str = _PROCESS) -> None:
        self._hook.remove()
        _inherited()[_KEY] = CARRIED


def _inherited() -> "dict[str, object]":
    """What this process's children inherit; a dictionary of no effect if that cannot be told."""
    process = sys.modules.get(_PROCESS)
    return getattr(process.current_process(), "_config", {}) if process is not None else {}
