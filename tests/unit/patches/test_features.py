from __future__ import annotations

import pytest

from compat_shim.env import FEATURE_IDS
from compat_shim.patches import FEATURES
from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Feature, Patch
from support.workbench import run

PATCHES = [pytest.param(patch, id=f"{each.id}:{patch.id}") for each in FEATURES for patch in each.patches]
RECORDED = fingerprint.load()


def test_reading_the_table_imports_no_torch() -> None:
    run("import sys, compat_shim.patches; assert not [name for name in sys.modules if name.startswith('torch')]")


def test_the_features_are_those_that_the_environment_can_name() -> None:
    assert tuple(each.id for each in FEATURES) == FEATURE_IDS


@pytest.mark.parametrize("each", FEATURES, ids=FEATURE_IDS)
def test_a_feature_stands_after_those_that_it_needs(each: Feature) -> None:
    assert set(each.requires) <= set(FEATURE_IDS[: FEATURE_IDS.index(each.id)])


@pytest.mark.parametrize("each", FEATURES, ids=FEATURE_IDS)
def test_what_completes_a_feature_requires_it_and_nothing_else_does(each: Feature) -> None:
    if each.completed_by:
        assert {other.id for other in FEATURES if each.id in other.requires} == set(each.completed_by)


@pytest.mark.parametrize("each", FEATURES, ids=FEATURE_IDS)
def test_the_ids_of_a_feature_s_patches_are_unique(each: Feature) -> None:
    assert len({patch.id for patch in each.patches}) == len(each.patches)


@pytest.mark.parametrize("patch", PATCHES)
def test_a_patch_says_why_it_is_there_and_what_ends_it(patch: Patch) -> None:
    assert patch.kind
    assert patch.why
    assert patch.upstream
    assert patch.ends_with
    module, _, qualname = patch.target.partition(":")
    assert module.partition(".")[0] == "torch"
    assert qualname


@pytest.mark.parametrize("patch", PATCHES)
def test_the_functions_of_a_patch_are_recorded_for_every_release(patch: Patch) -> None:
    releases = {name for recorded in RECORDED.values() for name in recorded}
    for target in patch.fingerprinted():
        assert RECORDED[target].keys() == releases


def test_no_function_is_recorded_that_no_patch_names() -> None:
    assert RECORDED.keys() == {target for each in FEATURES for target in each.fingerprinted()}
