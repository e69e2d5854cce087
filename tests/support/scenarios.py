"""The program that manipulates torch for ``test_on_torch.py``.

Run as a script it runs each function named in ``SCENARIOS`` in a fork of an interpreter that has
imported Inductor with the shim off, and prints one line of JSON for each. Arguments: those that are left out.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from compat_shim.patching import fingerprint
from compat_shim.release import within
from support.torch_state import FUNCTIONS, NAME, changed, compiled, declined, engine, logged, raws, record


def twice() -> dict[str, Any]:
    import compat_shim

    results = {}
    original = raws()
    for times in ("first", "second"):
        compat_shim.activate()
        status = compat_shim.status()
        verdicts = {f"{one.id} {patch.id}": patch.verdict for one in status.features for patch in one.patches}
        active = changed(original)
        result = compiled()
        compat_shim.deactivate()
        left = changed(original)
        results[times] = {
            **result,
            "features": {one.id: one.verdict for one in status.features},
            "patches": {
                name: {"verdict": verdict, "changed": name in active, "restored": name not in left}
                for name, verdict in verdicts.items()
            },
        }
    return results


def missing() -> dict[str, Any]:
    results = {}
    tried: set[str] = set()
    for target, (feature, _) in FUNCTIONS.items():
        owner, name = fingerprint.find_owner(target)
        raw = vars(owner)[name]
        delattr(owner, name)
        try:
            with engine() as what:
                setattr(owner, name, raw)  # or torch itself could not compile
                results[target] = declined(what, feature)
                if feature not in tried:  # from here on it is as where the function has changed
                    tried.add(feature)
                    results[target]["compiled"] = compiled()
        finally:
            setattr(owner, name, raw)
    return results


def changed_functions() -> dict[str, Any]:
    results = {}
    for target, (feature, _) in FUNCTIONS.items():
        table = {name: dict(releases) for name, releases in fingerprint.load().items()}
        table[target][NAME] = "0123456789abcdef"
        with engine(table=table) as what:
            results[target] = {**declined(what, feature), "compiled": compiled()}
    return results


SOMEBODY_ELSE = """
import functools
calls = {}

def wrap(name, function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        calls[name] = calls.get(name, 0) + 1
        return function(*args, **kwargs)
    return wrapper
"""


@functools.cache
def somebody_else() -> types.ModuleType:
    module = types.ModuleType("somebody_else")
    exec(SOMEBODY_ELSE, vars(module))
    return module


def replace(target: str) -> tuple[Callable[[], bool], Callable[[], None]]:
    """Wrap a function of torch as others do; returns whether the wrapper is there, and an undo."""
    owner, name = fingerprint.find_owner(target)
    raw = vars(owner)[name]
    descriptor = type(raw) if isinstance(raw, (classmethod, staticmethod)) else None
    wrapper = somebody_else().wrap(name, raw.__func__ if descriptor else raw)
    wrapper = descriptor(wrapper) if descriptor else wrapper
    setattr(owner, name, wrapper)
    return lambda: vars(owner)[name] is wrapper, lambda: setattr(owner, name, raw)


def foreign() -> dict[str, Any]:
    results = {}
    calls = somebody_else().calls
    for target, (feature, _) in FUNCTIONS.items():
        in_place, undo = replace(target)
        calls.clear()
        try:
            with engine() as what:
                result = {**declined(what, feature), "compiled": compiled()}
            results[target] = {**result, "in place": in_place(), "calls": sum(calls.values())}
        finally:
            undo()
    return results


def tags() -> dict[str, Any]:
    import torch

    from compat_shim.patches import tag
    from compat_shim.patching import add_tag

    entries = vars(torch.Tag)[add_tag._ENTRIES]
    results = {}

    def observe(kind: str, repair: Callable[[], None]) -> None:
        with engine() as what:
            repair()
            results[kind] = {**declined(what, "tag"), "compiled": compiled()}

    if within(NAME, "2.13", None):
        # Nothing is added there, so there is nothing that could be in the way.
        observe("no table", lambda: None)
    else:
        setattr(torch.Tag, add_tag._ENTRIES, list(entries.items()))
        observe("no table", lambda: setattr(torch.Tag, add_tag._ENTRIES, entries))
    entries["somebody_elses"] = (torch.Tag(tag.TAG_VALUES["out"]), None)
    observe("value taken", lambda: entries.pop("somebody_elses"))
    return results


# Two of those that vLLM's env_override.py replaces; the first is in torch from 2.7 on.
VLLM = (
    "torch._inductor.scheduler:Scheduler.should_partition",
    "torch._inductor.codegen.wrapper:PythonWrapperCodegen.memory_plan_reuse",
)


def beside(activate_first: bool) -> dict[str, Any]:
    import compat_shim

    with logged() as warnings:
        if activate_first:
            compat_shim.activate()
        in_place = {target.rpartition(".")[2]: replace(target)[0] for target in VLLM if _exists(target)}
        compat_shim.activate()
        result = compiled()
        features = {one.id: one.verdict for one in compat_shim.status().features}
        there = {name: check() for name, check in in_place.items()}
        compat_shim.deactivate()
    return {
        **result,
        "features": features,
        "calls": {name: somebody_else().calls.get(name, 0) for name in in_place},
        "in place": there,
        "in place after deactivate": {name: check() for name, check in in_place.items()},
        "warnings": warnings,
    }


def _exists(target: str) -> bool:
    try:
        fingerprint.find(target)
    except LookupError:
        return False
    return True


def unknown_release() -> dict[str, Any]:
    from compat_shim.release import Release

    with engine(release=Release("2.99.0")) as what:
        return {**declined(what, "tag"), "compiled": compiled()}


def ahead_of_its_source() -> dict[str, Any]:
    from compat_shim.release import Release

    major, minor = NAME.split(".")[:2]
    with engine(release=Release(f"{major}.{int(minor) + 1}.0a0+1a2b3c4.nv26.02")) as what:
        return {**what, "compiled": compiled()}


def only_tag() -> dict[str, Any]:
    import compat_shim

    os.environ["COMPAT_SHIM_FEATURES"] = "tag"
    before = raws()
    with logged() as warnings:
        compat_shim.activate()
    features = {one.id: one.verdict for one in compat_shim.status().features}
    return {"features": features, "changed": changed(before), "warnings": warnings}


SCENARIOS: dict[str, Callable[[], Any]] = {
    "record": record,
    "stock": compiled,
    "twice": twice,
    "missing": missing,
    "changed": changed_functions,
    "foreign": foreign,
    "tags": tags,
    "replaced, then activated": functools.partial(beside, False),
    "activated, then replaced": functools.partial(beside, True),
    "unknown release": unknown_release,
    "ahead of its source": ahead_of_its_source,
    "only tag": only_tag,
}


#: Those that look at each function that is patched: most of the time.
OF_EACH_FUNCTION = ("missing", "changed", "foreign")


def main(left_out: list[str]) -> int:
    compiled()
    with suppress(ImportError):  # 2.11 has this module, but imports it nowhere
        importlib.import_module("torch._library._out_variant")
    for name, scenario in SCENARIOS.items():
        if name in left_out:
            continue
        child = os.fork()
        if child == 0:
            print(json.dumps(["scenario", name, scenario()]), flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            print(f"scenario {name} failed")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
