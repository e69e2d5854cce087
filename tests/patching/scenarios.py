"""The program that manipulates torch for ``test_on_torch.py``.

Run as a script it runs each function named in ``SCENARIOS`` in a fork of an interpreter that has
imported Inductor with the shim off, and prints one line of JSON for each.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from compat_shim.features import FEATURES
from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Patch, Wrap
from compat_shim.release import installed, within

RELEASE = installed()
assert RELEASE is not None
assert RELEASE.parsed is not None
NAME = RELEASE.parsed.base_version


def relevant(patch: Patch) -> bool:
    return within(NAME, patch.first, patch.last)


PATCHES = [(feature.id, patch) for feature in FEATURES for patch in feature.patches]
# The functions whose fingerprint decides here: of the wraps, and of one patch that only adds.
FUNCTIONS = {
    target: (feature, patch.id)
    for feature, patch in reversed(PATCHES)
    if relevant(patch)
    for target in patch.fingerprinted()
    if fingerprint.load().get(target, {}).get(NAME) is not None
}
WRAPPED = {patch.target for _, patch in PATCHES if isinstance(patch, Wrap)}


def raws() -> dict[str, Any]:
    """The object at each patch's target; None where there is none."""
    found: dict[str, Any] = {}
    for feature, patch in PATCHES:
        try:
            found[f"{feature} {patch.id}"] = fingerprint.find(patch.target)
        except LookupError:
            found[f"{feature} {patch.id}"] = None
    return found


def changed(before: dict[str, Any]) -> list[str]:
    return [name for name, raw in raws().items() if raw is not before[name]]


def compiled() -> dict[str, Any]:
    """Compile a call of an op with a tagged out variant (where there are tags)."""
    import torch

    tags = [getattr(torch.Tag, name, None) for name in ("out", "out_variant")]
    # Torch's own tag if it has one, so that stock torch finds the pair where it can.
    tag = next((one for one in tags if one is not None and int(one) < 1000), tags[0])
    calls = {"functional": 0, "out": 0}
    library = torch.library.Library("on_torch", "DEF")

    def functional(x: torch.Tensor) -> torch.Tensor:
        calls["functional"] += 1
        return x * 2

    def write(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        calls["out"] += 1
        return out.copy_(x * 2)

    library.define("op(Tensor x) -> Tensor")
    library.define("op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=() if tag is None else tag)
    library.impl("op", functional, "CompositeExplicitAutograd")
    library.impl("op.out", write, "CompositeExplicitAutograd")
    library.impl("op", lambda x: torch.empty_like(x), "Meta")
    torch._dynamo.reset()
    # A new folder for each: a cached graph would not be compiled.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        y = torch.compile(lambda x: torch.ops.on_torch.op(x), fullgraph=True)(torch.ones(3))
    library._destroy()
    return {"right": bool((y == 2).all()), "functional calls": calls["functional"], "out calls": calls["out"]}


@contextmanager
def logged() -> Iterator[list[str]]:
    """The shim's warnings, each of them again although it was given before."""
    import logging

    from compat_shim.patching import log

    warnings: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    log._said.clear()
    log.logger.addHandler(handler)
    try:
        yield warnings
    finally:
        log.logger.removeHandler(handler)


@contextmanager
def engine(table: Any = None, **arguments: Any) -> Iterator[dict[str, Any]]:
    """An engine that plans and commits; yields what it found, with its warnings."""
    from compat_shim import env
    from compat_shim.patching.engine import Engine

    started = Engine(env.read({}), **arguments)
    if table is not None:
        started._fingerprints = table
    before = raws()
    with logged() as warnings:
        try:
            started.start()
            started.import_all()
            yield {
                "features": {name: plan.finding.verdict.value for name, plan in started.plans.items()},
                "patches": {
                    f"{name} {patch}": finding.verdict.value
                    for name, plan in started.plans.items()
                    for patch, finding in plan.patches.items()
                },
                "found": " ".join(plan.finding.found for plan in started.plans.values()),
                "warnings": warnings,
                "changed": changed(before),
            }
        finally:
            started.stop()


def needing(feature: str) -> list[str]:
    """The features that need ``feature``, directly or not."""
    found: list[str] = []
    for other in FEATURES:
        if {feature, *found} & set(other.requires):
            found.append(other.id)
    return found


def declined(what: dict[str, Any], feature: str) -> dict[str, Any]:
    """Adds whether all that only ``feature`` and those that need it change is as it was."""
    out = {feature, *needing(feature)}
    others = {patch.target for name, patch in PATCHES if name not in out}
    ours = {f"{name} {patch.id}" for name, patch in PATCHES if patch.target not in others}
    return {**what, "untouched": ours.isdisjoint(what["changed"])}


def record() -> dict[str, Any]:
    return fingerprint.record({target for feature in FEATURES for target in feature.fingerprinted()})


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
    for target, (feature, _) in FUNCTIONS.items():
        owner, name = fingerprint.find_owner(target)
        raw = vars(owner)[name]
        delattr(owner, name)
        try:
            with engine() as what:
                setattr(owner, name, raw)  # or torch itself could not compile
                results[target] = {**declined(what, feature), "compiled": compiled()}
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

    from compat_shim.out_variant import tag

    entries = vars(torch.Tag)[tag._ENTRIES]
    results = {}

    def observe(kind: str, repair: Callable[[], None]) -> None:
        with engine() as what:
            repair()
            results[kind] = {**declined(what, "tag"), "compiled": compiled()}

    if within(NAME, "2.13", None):
        # Nothing is added there, so there is nothing that could be in the way.
        observe("no table", lambda: None)
    else:
        setattr(torch.Tag, tag._ENTRIES, list(entries.items()))
        observe("no table", lambda: setattr(torch.Tag, tag._ENTRIES, entries))
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

    with engine(release=Release("2.16.0")) as what:
        return {**declined(what, "tag"), "compiled": compiled()}


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
    "only tag": only_tag,
}


def main() -> int:
    compiled()
    with suppress(ImportError):  # 2.11 has this module, but imports it nowhere
        importlib.import_module("torch._library._out_variant")
    for name, scenario in SCENARIOS.items():
        child = os.fork()
        if child == 0:
            print(json.dumps(["scenario", name, scenario()]), flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            print(f"scenario {name} failed")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
