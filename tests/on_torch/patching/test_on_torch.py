"""The patches on the installed torch: fingerprints, exact undo, and torch as stock where they decline."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from compat_shim.patches import FEATURES
from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Patch
from compat_shim.release import within
from support import scenarios
from support.processes import finding_support
from support.torch_state import FUNCTIONS, NAME, PATCHES, needing, relevant

GOOD = ("APPLIED", "NATIVE")


@pytest.fixture(scope="session")
def seen(request: pytest.FixtureRequest, once: Callable[[str, Callable[[], Any]], Any]) -> dict[str, Any]:
    """What each scenario returned; those of each function only where a test asks for them."""
    asked_for = any(item.get_closest_marker("each_function") for item in request.session.items)

    def make() -> dict[str, Any]:
        finished = subprocess.run(
            [sys.executable, scenarios.__file__, *(() if asked_for else scenarios.OF_EACH_FUNCTION)],
            # Its children are forks, which cannot use CUDA.
            env=finding_support(COMPAT_SHIM="off", CUDA_VISIBLE_DEVICES=""),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert finished.returncode == 0, finished.stdout[-5000:] + finished.stderr[-5000:]
        lines = (line for line in finished.stdout.splitlines() if line.startswith('["scenario"'))
        return {name: result for _, name, result in map(json.loads, lines)}

    return once("test_on_torch", make)


def test_the_recorded_fingerprints_are_those_of_the_installed_torch(seen: dict[str, Any]) -> None:
    recorded = {target: releases.get(NAME, "not recorded") for target, releases in fingerprint.load().items()}
    wanted = {target for feature in FEATURES for target in feature.fingerprinted()}

    drifted = {
        target: f"recorded {recorded.get(target, 'not recorded')}, found {seen['record'][target]}"
        for target in wanted
        if recorded.get(target, "not recorded") != seen["record"][target]
    }

    assert not drifted, f"DRIFT DETECTED: torch {NAME}: {drifted}"
    assert set(recorded) == wanted, "DRIFT DETECTED: recorded targets are not those of the patches"


def test_every_feature_is_applied_or_native_once_inductor_is_imported(seen: dict[str, Any]) -> None:
    for times in ("first", "second"):
        verdicts = seen["twice"][times]["features"]
        assert {feature: found in GOOD for feature, found in verdicts.items()} == {one.id: True for one in FEATURES}
        assert seen["twice"][times]["features"]["lowering"] == "APPLIED"
        assert seen["twice"][times]["out calls"] == 1
        assert seen["twice"][times]["right"]


@pytest.mark.parametrize(("feature", "patch"), PATCHES, ids=[f"{feature}: {patch.id}" for feature, patch in PATCHES])
def test_an_applied_patch_changes_its_target_and_deactivate_puts_back_the_very_object(
    feature: str, patch: Patch, seen: dict[str, Any]
) -> None:
    for times in ("first", "second"):
        what = seen["twice"][times]["patches"][f"{feature} {patch.id}"]
        assert what["verdict"] in GOOD
        assert what["changed"] or what["verdict"] == "NATIVE"
        assert what["restored"]
        if not relevant(patch):
            assert what["verdict"] == "NATIVE"


LOWERED = {"functional calls": 0, "out calls": 1}


@pytest.mark.each_function
@pytest.mark.parametrize("target", FUNCTIONS)
@pytest.mark.parametrize(
    ("kind", "verdict"), [("missing", "DRIFTED"), ("changed", "DRIFTED"), ("foreign", "FOREIGN_PATCH")]
)
def test_where_a_function_is_missing_changed_or_foreign_torch_compiles_as_stock(
    kind: str, verdict: str, target: str, seen: dict[str, Any]
) -> None:
    feature, patch = FUNCTIONS[target]
    what = seen[kind][target]

    assert what["features"][feature] == verdict, what
    assert what["patches"][f"{feature} {patch}"] == verdict
    assert all(what["features"][other] == "DISABLED" for other in needing(feature))
    assert what["untouched"]
    # One for each feature that needs the function.
    declined = [one for one, found in what["features"].items() if found == verdict]
    assert len(what["warnings"]) == len(declined)
    assert all(f"{one}: {verdict}" in warning for one, warning in zip(declined, what["warnings"]))
    if kind == "foreign":
        assert "somebody_else" in what["found"]
        assert what["in place"]
    lowering_is_off = feature == "lowering" or "lowering" in needing(feature)
    if "compiled" in what:
        assert what["compiled"] == (seen["stock"] if lowering_is_off else {**seen["stock"], **LOWERED})
    else:
        assert kind == "missing"


@pytest.mark.each_function
def test_foreign_wrappers_of_what_every_compile_calls_are_called(seen: dict[str, Any]) -> None:
    called = {target for target, what in seen["foreign"].items() if what["calls"] > 0}

    assert called >= {
        "torch._inductor.ir:FallbackKernel.create",
        "torch._inductor.codecache:FxGraphHashDetails.__init__",
    }


@pytest.mark.parametrize(("kind", "verdict"), [("no table", "DRIFTED"), ("value taken", "FOREIGN_PATCH")])
def test_where_the_enum_of_tags_is_not_as_expected_no_tag_is_added_and_nothing_else_is_done(
    kind: str, verdict: str, seen: dict[str, Any]
) -> None:
    what = seen["tags"][kind]
    native = within(NAME, "2.13", None)

    assert what["features"]["tag"] == ("NATIVE" if native else verdict)
    assert what["untouched"] is not native
    assert len(what["warnings"]) == (0 if native else 1)
    if not native:
        assert what["features"]["discovery"] == what["features"]["lowering"] == "DISABLED"
        assert what["compiled"] == seen["stock"]


@pytest.mark.parametrize("order", ["replaced, then activated", "activated, then replaced"])
def test_replacements_such_as_vllm_makes_work_beside_the_shim_in_either_order(order: str, seen: dict[str, Any]) -> None:
    what = seen[order]

    assert what["features"]["lowering"] == "APPLIED"
    assert what["out calls"] == 1
    assert what["right"]
    assert what["calls"]["memory_plan_reuse"] > 0  # the other is called where graphs are partitioned
    assert what["in place"] == dict.fromkeys(what["calls"], True)
    assert what["in place after deactivate"] == dict.fromkeys(what["calls"], True)
    assert what["warnings"] == []


def test_an_unknown_release_leaves_all_as_stock_with_one_warning(seen: dict[str, Any]) -> None:
    what = seen["unknown release"]

    assert what["features"] == {**dict.fromkeys(what["features"], "DISABLED"), "tag": "UNKNOWN_RELEASE"}
    assert what["untouched"]
    assert len(what["warnings"]) == 1
    assert "found torch 2.99.0" in what["warnings"][0]
    assert what["compiled"] == seen["stock"]


def test_a_version_that_is_ahead_of_its_source_is_served_as_the_release_that_the_source_is_of(
    seen: dict[str, Any],
) -> None:
    what, release = seen["ahead of its source"], seen["twice"]["first"]

    assert what["features"] == release["features"]
    assert what["patches"] == {name: patch["verdict"] for name, patch in release["patches"].items()}
    assert what["compiled"] == {**seen["stock"], **LOWERED}
    assert what["warnings"] == []


def test_the_feature_tag_alone_leaves_inductor_untouched(seen: dict[str, Any]) -> None:
    what = seen["only tag"]

    assert what["features"]["tag"] in GOOD
    assert what["features"]["discovery"] == what["features"]["lowering"] == "DISABLED"
    assert what["changed"] == [f"tag {patch.id}" for feature, patch in PATCHES if feature == "tag" and relevant(patch)]
    assert what["warnings"] == []


IMPORTS = """
import json, logging, sys
warnings = []
handler = logging.Handler()
handler.emit = lambda record: warnings.append(record.getMessage())
logging.getLogger("compat_shim").addHandler(handler)
%s
modules = sorted(name for name in sys.modules if name.partition(".")[0] == "torch")
import torch
from compat_shim import status
print(json.dumps({
    "modules": modules,
    "tags": {name: repr(tag) for name, tag in torch.Tag.__members__.items()},
    "hooks": [type(finder).__name__ for finder in sys.meta_path],
    "features": status().to_dict()["features"],
    "warnings": warnings,
}))
"""


@pytest.fixture(scope="session")
def stock(once: Callable[[str, Callable[[], Any]], Any], run_python: Callable[..., Any]) -> dict[str, Any]:
    """What torch alone is after its import."""
    return once("stock", lambda: run_python(IMPORTS % "import torch", env={"COMPAT_SHIM": "off"}).json)


@pytest.mark.processes
def test_the_import_order_does_not_matter_and_no_module_of_the_compiler_is_imported(
    run_python: Callable[..., Any], stock: dict[str, Any]
) -> None:
    before = run_python(IMPORTS % "import compat_shim, torch").json
    after = run_python(IMPORTS % "import torch, compat_shim").json

    assert before == after
    assert before["warnings"] == []
    assert {"out", "out_variant"} <= set(before["tags"])
    new = set(before["modules"]) - set(stock["modules"])
    assert new <= {"torch._library._out_variant"}
    assert set(stock["modules"]) <= set(before["modules"])


@pytest.mark.processes
def test_off_leaves_torch_as_it_is(run_python: Callable[..., Any], stock: dict[str, Any]) -> None:
    off = run_python(IMPORTS % "import compat_shim, torch", env={"COMPAT_SHIM": "off"}).json

    assert off == stock
    assert "ImportHook" not in off["hooks"]
    assert ("out" in off["tags"]) is within(NAME, "2.13", None)
    assert ("out_variant" in off["tags"]) is within(NAME, "2.11", None)
    assert {feature["verdict"] for feature in off["features"]} == {"DISABLED"}


BROKEN_FILE = """
from compat_shim.patching import fingerprint

def load():
    raise ValueError("the fingerprint file is broken")

fingerprint.load = load
import compat_shim
compat_shim.activate()
import torch
"""


@pytest.mark.processes
def test_import_torch_works_with_one_warning_where_the_fingerprints_cannot_be_read(
    run_python: Callable[..., Any], stock: dict[str, Any]
) -> None:
    broken = run_python(IMPORTS % BROKEN_FILE, env={"COMPAT_SHIM": "off"}).json

    first, *others = [feature["verdict"] for feature in broken["features"]]
    assert first == "UNVERIFIABLE"
    assert set(others) == {"DISABLED"}
    assert len(broken["warnings"]) == 1
    assert "the fingerprint file is broken" in broken["warnings"][0]
    assert broken["tags"] == stock["tags"]
    assert broken["modules"] == stock["modules"]
