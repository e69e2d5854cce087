"""Activation: what ``import compat_shim`` starts and ``deactivate()`` undoes.

At start-up this only reads the environment and installs an import hook for ``torch``; the patch
engine is imported when torch has been. Standard library only, and little of it.
"""

import sys
from _thread import RLock  # threading is slow to import at start-up
from types import ModuleType

from compat_shim import activation, env, process
from compat_shim._version import VERSION
from compat_shim.activation.children import Children
from compat_shim.patching.errors import ShimError
from compat_shim.patching.import_hook import ImportHook

TYPE_CHECKING = False  # typing is slow to import at start-up; checkers know this name
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from compat_shim.patching.engine import Engine


class Shim:
    """The state of one copy of the package: its settings, import hook and patch engine."""

    version = VERSION

    def __init__(self) -> None:
        self.lock = RLock()
        self.settings = env.read({})
        self.route = "not activated"
        self.engine: "Engine | None" = None
        self._hook: "ImportHook | None" = None
        self._children: "Children | None" = None

    @property
    def active(self) -> bool:
        return self._hook is not None or self.engine is not None

    @property
    def has_missed_torch(self) -> bool:
        """Whether torch has been imported in a way that the hook did not see."""
        return self._hook is not None and _imported(sys.modules.get("torch"))

    def activate(self, route: str) -> None:
        engine = self.engine
        if engine is not None:
            engine.resume()  # an interrupt (Ctrl-C) may have left something undecided
            return
        with self.lock:
            if not self.active:
                self._start(route)
            elif self.has_missed_torch:
                self._start_engine()
        self._load_user_code()

    def _start(self, route: str) -> None:
        self.settings = env.read()
        self.route = route
        nowhere = activation.zipped()
        if nowhere:
            self.settings.problems += (nowhere,)
        if self.settings.problems:
            self._tell_problems()
        if nowhere:
            return
        if self._children is None:  # else a start that failed has left it
            self._children = Children()
            self._children.attach()
        if _usable(sys.modules.get("torch")):
            self._start_engine()
        else:
            self._hook = ImportHook(["torch"], self._on_torch)
            self._hook.install()

    def _tell_problems(self) -> None:
        if self.settings.mode == "strict":
            raise ShimError("; ".join(self.settings.problems))
        # logging is slow to import at start-up, and few processes come here.
        from compat_shim.patching.log import warn

        for problem in self.settings.problems:
            warn(self.settings, problem)

    def deactivate(self) -> None:
        with self.lock:
            if self._children is not None:
                self._children.detach()
                self._children = None
            self._stop_waiting()
            if self.engine is not None:
                self.engine.stop()
                self.engine = None

    def _on_torch(self, name: str) -> None:
        with self.lock:
            if self._hook is not None:  # not deactivated while torch was being imported
                self._start_engine()
        self._load_user_code()

    def _load_user_code(self) -> None:
        """What the user wants to run before the program. Outside of the lock: it may do anything."""
        if self.settings.imports and self.engine is not None:
            # Slow to import at start-up, and few processes come here.
            from compat_shim.activation import user_code

            user_code.load_all(self.settings, self.settings.imports)

    def _start_engine(self) -> None:
        """Hand over to the patch engine; nothing it raises reaches ``import torch`` unless strict."""
        with self.lock:
            engine = None
            try:
                # Slow to import: at start-up nobody knows whether torch will be asked for.
                from compat_shim.patches import FEATURES
                from compat_shim.patching.engine import Engine

                engine = self.engine = Engine(self.settings, FEATURES)
                engine.start(imported=("torch",))
            except Exception as error:
                self._stop_waiting()
                if self.settings.mode == "strict":
                    raise
                # Slow to import at start-up, and few processes come here.
                from compat_shim.patching.log import warn

                warn(self.settings, f"the shim could not start: {error!r}; torch behaves as shipped")
            except BaseException:  # Ctrl-C: as if we had not begun, so that the next import or activate() does
                self.engine = None
                if engine is not None:
                    engine.stop()
                raise
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None


def _spec_of(torch: "ModuleType | None") -> "ModuleSpec | None":
    """None also for a stub, as documentation builds and tests put it there: the real one may come."""
    return getattr(torch, "__spec__", None)


def _imported(torch: "ModuleType | None") -> bool:
    spec = _spec_of(torch)
    return spec is not None and not getattr(spec, "_initializing", False)


def _usable(torch: "ModuleType | None") -> bool:
    """Whether torch's own code has run. It defines the name below last of all, then imports the
    backends that extend it, and one of those may be what activates us."""
    return _imported(torch) or (_spec_of(torch) is not None and hasattr(torch, "_import_device_backends"))


def activate() -> None:
    """Activate the shim: apply each feature as soon as the modules it patches are imported.

    Does nothing if it is active, unless it still waits for a torch that has been imported in a way
    that it did not see. Activates also under ``COMPAT_SHIM=off``, which only keeps the
    *import* from doing so; the other settings are read anew from the environment.

    Raises:
        ShimError: with ``COMPAT_SHIM=strict``, if a feature whose modules are already imported cannot be
            applied, or a variable or its value is unknown.
    """
    process.owner().activate("activate()")


def activate_on_import() -> None:
    """What ``import compat_shim`` does."""
    if env.read().mode != "off":
        process.owner().activate(activation.route())


def deactivate() -> None:
    """Undo every patch, last in first out. Each target is then the very object it was before.

    A target that someone else has patched since is left alone, with a warning: putting our
    original back would undo theirs. Our wrapper beneath it then only calls the original.
    """
    process.owner().deactivate()


def is_active() -> bool:
    """Whether the shim is active: waiting for torch, or with its features planned or applied."""
    return process.owner().active


process.own(Shim)
