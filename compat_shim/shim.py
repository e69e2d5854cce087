"""Activation: what ``import compat_shim`` starts and ``deactivate()`` undoes.

At start-up this only reads the environment and installs an import hook for ``torch``; the patch
engine is imported when torch has been. Standard library only, and little of it.
"""

import sys
from _thread import RLock  # threading is slow to import at start-up
from types import ModuleType

from compat_shim import env
from compat_shim.patching.import_hook import ImportHook

TYPE_CHECKING = False  # typing is slow to import at start-up; checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from typing import TypeVar

    from compat_shim.activation.children import Children
    from compat_shim.patching.engine import Engine
    from compat_shim.report import Status

    Table = TypeVar("Table")

VERSION = "0.1.0"

# One shim per process, also where two copies of the package are imported (a vendored one, or the
# same one after its entry in sys.modules was dropped): the first that activates owns this slot.
_OWNER = "_compat_shim_owner"


class Shim:
    """The state of one copy of the package: its settings, import hook and patch engine."""

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

    def activate(self, route: str) -> None:
        engine = self.engine
        if engine is not None:
            engine.resume()  # an interrupt (Ctrl-C) may have left something undecided
            return
        with self.lock:
            if self.active:
                if self._hook is not None and _imported(sys.modules.get("torch")):
                    self._start_engine()  # torch came in a way that the hook did not see
                return
            from compat_shim.activation import zipped

            self.settings = env.read()
            self.route = route
            nowhere = zipped()
            if nowhere:
                self.settings.problems += (nowhere,)
            if self.settings.problems:
                from compat_shim.patching.log import warn

                if self.settings.mode == "strict":
                    from compat_shim.patching.errors import ShimError

                    raise ShimError("; ".join(self.settings.problems))
                for problem in self.settings.problems:
                    warn(self.settings, problem)
            if nowhere:
                return
            from compat_shim.activation.children import Children

            if self._children is None:  # else a start that failed has left it
                self._children = Children()
                self._children.attach()
            if _usable(sys.modules.get("torch")):
                self._start_engine()
            else:
                self._hook = ImportHook(["torch"], self._on_torch)
                self._hook.install()

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

    def _start_engine(self) -> None:
        """Hand over to the patch engine; nothing it raises reaches ``import torch`` unless strict."""
        with self.lock:
            engine = None
            try:
                from compat_shim.patching.engine import Engine

                engine = self.engine = Engine(self.settings)
                engine.start(imported=("torch",))
            except Exception as error:
                self._stop_waiting()
                from compat_shim.patching.log import warn

                if self.settings.mode == "strict":
                    raise
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


def _holder() -> ModuleType:
    holder = sys.modules.get(_OWNER)
    if holder is None:
        holder = ModuleType(_OWNER, "The one active copy of compat_shim in this process.")
        holder.shim = Shim()  # type: ignore[attr-defined]
        holder = sys.modules.setdefault(_OWNER, holder)
    return holder


def _owner() -> Shim:
    """The process's shim: ours, or that of the copy of this package that came first."""
    return _holder().shim  # type: ignore[no-any-return]


def shared(name: str, make: "Callable[[], Table]") -> "Table":
    """A table that all copies of this version of the package have in common, made when it is first asked for.

    What the user says to one copy holds for the other, which may be the one that compiles.
    """
    return vars(_holder()).setdefault(f"{VERSION} {name}", make())  # type: ignore[no-any-return]


def other_version() -> "str | None":
    """What is wrong where a copy of another version owns the process: it shares no tables with this one."""
    theirs = type(_owner()).activate.__globals__  # what sys.modules has under its name may be ours
    if theirs["VERSION"] == VERSION:
        return None
    return (
        f"compat_shim {theirs['VERSION']} ({theirs['__file__']}) was imported before {VERSION} ({__file__}) and does"
        " the lowering in this process; pairs and tags registered with the second are not lowered; import only one"
    )


def warn_of_other_version() -> None:
    """Say so where the user registers something."""
    problem = other_version()
    if problem is not None:
        from compat_shim.patching.log import warn

        warn(current_settings(), problem)


def current_settings() -> env.Settings:
    """What the environment asked for when the process's shim was activated."""
    return _owner().settings


def activate() -> None:
    """Activate the shim: apply each feature as soon as the modules it patches are imported.

    Does nothing if it is active, unless it still waits for a torch that has been imported in a way
    that it did not see. Activates also under ``COMPAT_SHIM=off``, which only keeps the
    *import* from doing so; the other settings are read anew from the environment.

    Raises:
        compat_shim.patching.errors.ShimError: with ``COMPAT_SHIM=strict``, if a feature whose
            modules are already imported cannot be applied, or a variable has an unknown value.
    """
    _owner().activate("activate()")


def activate_on_import() -> None:
    """What ``import compat_shim`` does."""
    if env.read().mode != "off":
        from compat_shim.activation import route

        _owner().activate(route())


def set_route(route: str) -> None:
    """Say how the process's shim was activated, where that is known only afterwards."""
    _owner().route = route


def deactivate() -> None:
    """Undo every patch, last in first out. Each target is then the very object it was before.

    A target that someone else has patched since is left alone, with a warning: putting our
    original back would undo theirs. Our wrapper beneath it then only calls the original.
    """
    _owner().deactivate()


def is_active() -> bool:
    """Whether the shim is active: waiting for torch, or with its features planned or applied."""
    return _owner().active


def status() -> "Status":
    """What was found and done: a :class:`compat_shim.report.Status`, with ``to_dict()``.

    Does not import torch. A feature whose modules are not imported yet is ``PENDING``.
    """
    from compat_shim.report import make_status

    return make_status(_owner())


def verdicts() -> "dict[str, str]":
    """The features with their verdicts, as they were decided; none while nothing is planned."""
    engine = _owner().engine
    return {} if engine is None else {name: plan.finding.verdict.value for name, plan in engine.plans.items()}


def may_come(feature: str) -> bool:
    """Whether a feature is there, or still waits for the modules that it needs.

    As it is now: what somebody has replaced since it was applied is not there.
    """
    engine = _owner().engine
    return engine is not None and engine.plans[feature].now()[0].verdict.name in ("APPLIED", "NATIVE", "PENDING")
