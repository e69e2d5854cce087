"""The environment variables that the shim reads. This is the only place that reads them.

=======================  ==================  =====================================================
variable                 values              meaning
=======================  ==================  =====================================================
``COMPAT_SHIM``          ``auto`` (default)  activate on import; decline with a warning
                         ``off``             the import does nothing
                         ``strict``          raise where ``auto`` would warn (for CI)
``COMPAT_SHIM_FEATURES`` ``all`` (default)   every feature
                         ``none``            no feature
                         comma-separated ids  these features and what they need
``COMPAT_SHIM_LOG``      ``quiet``           log nothing
                         ``warn`` (default)  one warning per feature that could not be applied
                         ``debug``           each decision too
``COMPAT_SHIM_CHECK``    ``0`` (default)     lowered calls are trusted
                         ``1``               the first calls of each are compared with the functional op
``COMPAT_SHIM_ROUTE``    ``run``             set by ``compat_shim run`` for its command; ``status`` tells it
=======================  ==================  =====================================================

``activation/bootstrap/sitecustomize.py`` reads ``COMPAT_SHIM`` too: nothing of the package is imported
at the start of an interpreter.

Standard library only, and little of it: this runs at interpreter start-up.
"""

import os

MODE = "COMPAT_SHIM"
FEATURES = "COMPAT_SHIM_FEATURES"
LOG = "COMPAT_SHIM_LOG"
CHECK = "COMPAT_SHIM_CHECK"
ROUTE = "COMPAT_SHIM_ROUTE"
NAMES = (MODE, FEATURES, LOG, CHECK, ROUTE)

MODES = ("auto", "off", "strict")
LOG_LEVELS = ("quiet", "warn", "debug")
FEATURE_IDS = ("tag", "discovery", "custom_op", "direct", "lowering")


class Settings:
    """What the environment asks for, with the problems found in it."""

    def __init__(
        self, mode: str, features: "tuple[str, ...]", log: str, problems: "tuple[str, ...]", check: bool = False
    ) -> None:
        self.mode = mode
        self.features = features
        self.log = log
        self.problems = problems
        self.check = check


def read(environ: "os._Environ[str] | dict[str, str] | None" = None) -> Settings:
    """Read the settings. An unknown value is reported once: an unknown word counts as the default,
    an unknown feature as not named."""
    env = os.environ if environ is None else environ
    problems: "list[str]" = []

    def word(name: str, allowed: "tuple[str, ...]", default: str) -> str:
        value = env.get(name, "").strip().lower() or default
        if value in allowed:
            return value
        problems.append(f"{name}={env[name]!r} is not one of {', '.join(allowed)}; {default!r} is used")
        return default

    mode = word(MODE, MODES, "auto")
    log = word(LOG, LOG_LEVELS, "warn")
    check = word(CHECK, ("0", "1"), "0") == "1"
    return Settings(mode, _features(env.get(FEATURES, ""), problems), log, tuple(problems), check)


def started_by() -> str:
    """``"run"`` in a process that ``compat_shim run`` has started, else nothing."""
    return "run" if os.environ.get(ROUTE) == "run" else ""


def given() -> "dict[str, str]":
    """The shim's variables that are set."""
    return {name: os.environ[name] for name in NAMES if name in os.environ}


def _features(text: str, problems: "list[str]") -> "tuple[str, ...]":
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if not words or words == ["all"]:
        return FEATURE_IDS
    if words == ["none"]:
        return ()
    unknown = [word for word in words if word not in FEATURE_IDS]
    if unknown:
        # "all" and "none" are unknown here, since they only stand alone.
        problems.append(
            f"{FEATURES} names {', '.join(map(repr, unknown))}, which is not all, none or a list of"
            f" {', '.join(FEATURE_IDS)}; it is ignored"
        )
    return tuple(feature for feature in FEATURE_IDS if feature in words)
