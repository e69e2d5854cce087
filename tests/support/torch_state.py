"""What a scenario looks at: torch at the patches' targets, a compiled call, what an engine found and said."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from compat_shim.patches import FEATURES
from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Patch
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

    started = Engine(env.read({}), FEATURES, **arguments)
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
    """The features that are not there without ``feature``, directly or not."""
    found: list[str] = []
    for other in FEATURES:
        if other.id != feature and {feature, *found} & {*other.requires, *other.completed_by}:
            found.append(other.id)
    return found


def declined(what: dict[str, Any], feature: str) -> dict[str, Any]:
    """Adds whether all that only ``feature`` and those that are not there without it change is as it was."""
    out = {feature, *needing(feature)}
    others = {patch.target for name, patch in PATCHES if name not in out}
    ours = {f"{name} {patch.id}" for name, patch in PATCHES if patch.target not in others}
    return {**what, "untouched": ours.isdisjoint(what["changed"])}


def record() -> dict[str, Any]:
    return fingerprint.record({target for feature in FEATURES for target in feature.fingerprinted()})
