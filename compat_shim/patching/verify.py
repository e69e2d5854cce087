"""Does a feature fit this torch? By the fingerprints of a tested release, before anything is changed."""

from __future__ import annotations

from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Feature, Finding, Patch, Verdict
from compat_shim.release import Release, within

Fingerprints = dict[str, dict[str, "str | None"]]


def verify(feature: Feature, release: str, installed: Release, recorded: Fingerprints) -> dict[str, Finding]:
    """What becomes of each patch of a feature if torch is the tested ``release``.

    Args:
        installed: what torch says of itself.
        recorded: the fingerprints of the tested releases.

    Returns:
        By the patch's id: APPLIED if it may be applied, NATIVE if it is needless, else what does not fit.
    """
    findings: dict[str, Finding] = {}
    needed = relevant(feature, release)
    for patch in feature.patches:
        if patch not in needed:
            findings[patch.id] = _needless(patch, release, installed)
            continue
        finding = patch.look()
        if finding.verdict is Verdict.APPLIED:
            for target in patch.fingerprinted():
                finding = compare(target, release, recorded)
                if finding.verdict is not Verdict.APPLIED:
                    break
        findings[patch.id] = finding
    return findings


def _needless(patch: Patch, release: str, installed: Release) -> Finding:
    # A final release is what its version says. Another build of which something is missing that
    # the release has of its own is a build of an older one.
    outgrown = patch.adds and patch.last is not None and within(release, patch.last, None)
    if outgrown and release != installed.final and patch.look().verdict is Verdict.APPLIED:
        return Finding(Verdict.DRIFTED, f"{patch.target} as in torch {release}", "nothing")
    return Finding(Verdict.NATIVE, found=f"not needed on {release}")


def compare(target: str, release: str, fingerprints: Fingerprints) -> Finding:
    """Whether a function is the one that the tested ``release`` has: APPLIED if it is."""
    recorded = fingerprints.get(target, {})
    expected = recorded.get(release)
    shown = f"{target} as in torch {release} ({expected or 'absent'})"
    try:
        raw = fingerprint.find(target)
    except LookupError as error:
        if release in recorded and expected is None:
            return Finding(Verdict.APPLIED)  # the release has none, and neither has this torch
        return Finding(Verdict.DRIFTED, shown, str(error))
    function = fingerprint.function_of(raw)
    if function is None:
        return Finding(Verdict.FOREIGN_PATCH, shown, f"{type(raw).__name__} object, not a function")
    if fingerprint.is_foreign(function, target):
        return Finding(Verdict.FOREIGN_PATCH, shown, fingerprint.describe(function))
    try:
        found = fingerprint.hash_of(function, expected)
    except fingerprint.Unverifiable as error:
        return Finding(Verdict.UNVERIFIABLE, shown, str(error))
    if found != expected:
        return Finding(Verdict.DRIFTED, shown, found)
    return Finding(Verdict.APPLIED)


def relevant(feature: Feature, release: str) -> list[Patch]:
    """The patches that a release of torch needs."""
    return [patch for patch in feature.patches if within(release, patch.first, patch.last)]
