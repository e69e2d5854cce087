"""What all copies of the package in one process have in common: the one shim, and what users registered.

There is one shim a process, also where two copies of the package are imported (a vendored one, or the
same one after its entry in ``sys.modules`` was dropped): the first that is asked for owns the slot.

It stands beneath the shim, which puts itself here, and beneath all that asks what the shim does. Standard
library only, and little of it: this runs at interpreter start-up.
"""

import os
import sys
from types import ModuleType

from compat_shim import env
from compat_shim._version import VERSION

TYPE_CHECKING = False  # typing is slow to import at start-up; checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from compat_shim.shim import Shim

    Table = TypeVar("Table")

OWNER = "_compat_shim_owner"


def _slot() -> ModuleType:
    """What the copies share: an entry of ``sys.modules``, which no import makes twice."""
    slot = sys.modules.get(OWNER)
    if slot is None:
        slot = sys.modules.setdefault(OWNER, ModuleType(OWNER, "The one active copy of compat_shim in this process."))
    return slot


def own(make: "Callable[[], Shim]") -> None:
    """Take the slot with the shim that ``make`` makes, unless a copy has it."""
    if not hasattr(_slot(), "shim"):
        vars(_slot()).setdefault("shim", make())


def owner() -> "Shim":
    """The process's shim: ours, or that of the copy of this package that came first."""
    return _slot().shim  # type: ignore[no-any-return]


def settings() -> env.Settings:
    """What the environment asked for when the process's shim was activated."""
    return owner().settings


def shared(name: str, make: "Callable[[], Table]") -> "Table":
    """A table that all copies of this version of the package have in common, made when it is first asked for.

    What the user says to one copy holds for the other, which may be the one that compiles.
    """
    return vars(_slot()).setdefault(f"{VERSION} {name}", make())  # type: ignore[no-any-return]


def offer(name: str, value: object) -> None:
    """Put something where code finds it that must not import this package: code that was generated."""
    vars(_slot()).setdefault(name, value)


def other_version() -> "str | None":
    """What is wrong where a copy of another version owns the process: it shares no tables with this one."""
    theirs = type(owner())
    version = getattr(theirs, "version", "of an older version")
    if version == VERSION:
        return None
    # What sys.modules has under the name of their module may be ours.
    folder = os.path.dirname(theirs.activate.__globals__["__file__"])
    return (
        f"compat_shim {version} ({folder}) was imported before {VERSION} ({os.path.dirname(__file__)}) and does"
        " the lowering in this process; pairs and tags registered with the second are not lowered; import only one"
    )


def warn_of_other_version() -> None:
    """Say so where the user registers something."""
    problem = other_version()
    if problem is not None:
        # logging is slow to import at start-up, and few processes come here.
        from compat_shim.patching.log import warn

        warn(settings(), problem)


def verdicts() -> "dict[str, str]":
    """The features with their verdicts, as they were decided; none while nothing is planned."""
    engine = owner().engine
    return {} if engine is None else {name: plan.finding.verdict.value for name, plan in engine.plans.items()}


def may_come(feature: str) -> bool:
    """Whether a feature is there, or still waits for the modules that it needs.

    As it is now: what somebody has replaced since it was applied is not there.
    """
    engine = owner().engine
    return engine is not None and engine.plans[feature].now()[0].verdict.name in ("APPLIED", "NATIVE", "PENDING")


def short_calls() -> str:
    """Whose calls take the short way in compiled code now: ``"off"``, ``"pairs"`` or ``"all"``.

    Asked in every step of generated code, so it is short, and does not look whether somebody has replaced a patch.
    """
    shim = sys.modules[OWNER].shim
    engine = shim.engine
    if engine is None:
        return "off"
    plan = engine.plans.get("calls")  # an owner of an older version has none
    return shim.settings.calls if plan is not None and plan.placed else "off"
