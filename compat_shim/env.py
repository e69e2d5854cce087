"""The environment variables that the shim reads: one table, and the one place that reads them.

``docs/settings.md`` is printed from the table. ``activation/bootstrap/sitecustomize.py`` reads
``COMPAT_SHIM`` too: nothing of the package is imported at the start of an interpreter.

Standard library only, and little of it: this runs at interpreter start-up.
"""

import os

# In the order in which they are applied.
FEATURE_IDS = ("tag", "discovery", "custom_op", "direct", "lowering", "calls")


class Setting:
    """One environment variable.

    Attributes:
        name: of the variable.
        default: the value that counts where it is not set.
        since: the first version of compat_shim that reads it.
        values: what it may be → what that does. A name in angle brackets stands for many values.
        also: other words for values → the value.
    """

    def __init__(
        self,
        name: str,
        default: str,
        since: str,
        values: "dict[str, str]",
        also: "dict[str, str] | None" = None,
    ) -> None:
        self.name = name
        self.default = default
        self.since = since
        self.values = values
        self.also = also or {}

    @property
    def words(self) -> "tuple[str, ...]":
        return tuple(self.values)


_MODE = Setting(
    "COMPAT_SHIM",
    "auto",
    "0.1",
    {
        "auto": "activate on import; what cannot be applied is declined with a warning",
        "off": "the import does nothing",
        "strict": "raise where `auto` would warn (for CI)",
    },
)
_FEATURES = Setting(
    "COMPAT_SHIM_FEATURES",
    "all",
    "0.1",
    {
        "all": "every feature",
        "none": "no feature",
        "<ids>": f"these features (comma-separated: {', '.join(FEATURE_IDS)}) and what they need",
    },
)
_LOG = Setting(
    "COMPAT_SHIM_LOG",
    "warn",
    "0.1",
    {
        "quiet": "log nothing",
        "warn": "one warning for each feature that could not be applied",
        "debug": "each decision, too",
    },
)
_CHECK = Setting(
    "COMPAT_SHIM_CHECK",
    "0",
    "0.1",
    {
        "0": "lowered calls are trusted",
        "1": "the first calls of each out variant are compared with the functional op",
    },
    {"false": "0", "no": "0", "off": "0", "true": "1", "yes": "1", "on": "1"},
)
_CALLS = Setting(
    "COMPAT_SHIM_CALLS",
    "pairs",
    "0.1",
    {
        "pairs": "compiled code calls the Python kernel of an out variant without the dispatcher",
        "all": "and that of every op of `torch.library.custom_op`",
        "off": "every call goes through the dispatcher",
    },
)
_PAIR = Setting(
    "COMPAT_SHIM_PAIR",
    "",
    "0.1",
    {
        "": "only the pairs that tags and the program make",
        "<names>": "pair these, too, whenever their ops are loaded (comma-separated): `namespace`, `ns::op` or"
        " `ns::op=ns::op_out`",
    },
)
_IMPORT = Setting(
    "COMPAT_SHIM_IMPORT",
    "",
    "0.1",
    {
        "": "nothing",
        "<names>": "import these modules, or run these files, once torch has been imported (separated as in PATH)",
    },
)
_ROUTE = Setting(
    "COMPAT_SHIM_ROUTE",
    "",
    "0.1",
    {
        "": "not started by `compat_shim run`",
        "run": "set by `compat_shim run` for its command; `status` tells it",
    },
)
SETTINGS = (_MODE, _FEATURES, _LOG, _CHECK, _CALLS, _PAIR, _IMPORT, _ROUTE)

MODE, FEATURES, LOG, CHECK, CALLS, PAIR, IMPORT, ROUTE = NAMES = tuple(setting.name for setting in SETTINGS)
_PREFIX = f"{MODE}_"
MODES, LOG_LEVELS, WHICH_CALLS = _MODE.words, _LOG.words, _CALLS.words


class Settings:
    """What the environment asks for, with the problems found in it."""

    def __init__(
        self,
        mode: str,
        features: "tuple[str, ...]",
        log: str,
        problems: "tuple[str, ...]",
        check: bool = False,
        calls: str = "pairs",
        pairs: "tuple[str, ...]" = (),
        imports: "tuple[str, ...]" = (),
    ) -> None:
        self.mode = mode
        self.features = features
        self.log = log
        self.problems = problems
        self.check = check
        self.calls = calls
        self.pairs = pairs
        self.imports = imports


def read(environ: "os._Environ[str] | dict[str, str] | None" = None) -> Settings:
    """Read the settings. An unknown value is reported once: an unknown word counts as the default,
    an unknown feature as not named. An unknown variable is reported, too."""
    env = os.environ if environ is None else environ
    problems: "list[str]" = []

    def word(setting: Setting) -> str:
        value = env.get(setting.name, "").strip().lower() or setting.default
        value = setting.also.get(value, value)
        if value in setting.words:
            return value
        problems.append(
            f"{setting.name}={env[setting.name]!r} is not one of {', '.join((*setting.words, *setting.also))};"
            f" {setting.default!r} is used"
        )
        return setting.default

    mode, log, check = word(_MODE), word(_LOG), word(_CHECK) == "1"
    calls = word(_CALLS)
    features, pairs = _features(env.get(FEATURES, ""), problems), _pairs(env.get(PAIR, ""), problems)
    imports = tuple(name for name in env.get(IMPORT, "").split(os.pathsep) if name)
    problems += [_meant(name) for name in env if name.startswith(_PREFIX) and name not in NAMES]
    return Settings(mode, features, log, tuple(problems), check, calls, pairs, imports)


def started_by() -> str:
    """``"run"`` in a process that ``compat_shim run`` has started, else nothing."""
    return "run" if os.environ.get(ROUTE) == "run" else ""


def given() -> "dict[str, str]":
    """The shim's variables that are set, and those that look like one."""
    unknown = sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in NAMES)
    return {name: os.environ[name] for name in (*NAMES, *unknown) if name in os.environ}


def _meant(name: str) -> str:
    """What is wrong with a variable that the shim does not know."""
    # Slow to import at start-up, and few processes come here.
    from difflib import get_close_matches

    endings = [known.removeprefix(_PREFIX) for known in NAMES if known not in (MODE, ROUTE)]
    near = get_close_matches(name.removeprefix(_PREFIX).upper(), endings, n=1)
    meant = f"did you mean {_PREFIX}{near[0]}?" if near else f"there are {MODE} and {_PREFIX}{', _'.join(endings)}"
    return f"{name} is no variable of compat_shim, and counts for nothing; {meant}"


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


def _pairs(text: str, problems: "list[str]") -> "tuple[str, ...]":
    words = [word.strip() for word in text.split(",") if word.strip()]
    wrong = [word for word in words if not is_pair(word)]
    if wrong:
        problems.append(
            f"{PAIR} names {', '.join(map(repr, wrong))}, which is not a namespace, ns::op or ns::op=ns::op_out;"
            " it is ignored"
        )
    return tuple(dict.fromkeys(word for word in words if word not in wrong))


def is_pair(word: str) -> bool:
    """Whether a word is a namespace, ``ns::op`` or ``ns::op=ns::op_out``."""
    functional, equals, out = (part.strip() for part in word.partition("="))
    if equals:
        return _is_op(functional) and _is_op(out)
    return _is_op(functional) or functional.isidentifier()


def _is_op(name: str) -> bool:
    namespace, _, op = name.partition("::")
    return namespace.isidentifier() and bool(op) and op.partition(".")[0].isidentifier()
