"""The support table: each feature on each tested release of torch, from the patches' own data."""

from __future__ import annotations

from packaging.version import Version

from compat_shim.patches import FEATURES
from compat_shim.patching import fingerprint
from compat_shim.patching.patch import Feature, Verdict
from compat_shim.release import within


def releases() -> tuple[str, ...]:
    """The tested releases of torch: those with recorded fingerprints, oldest first."""
    names = {name for recorded in fingerprint.load().values() for name in recorded}
    return tuple(sorted(names, key=Version))


def span() -> tuple[str, str]:
    """The first and the last minor release of torch that is tested, for example ``("2.6", "2.15")``."""
    every = [Version(name) for name in releases()]
    first, last = (f"{version.major}.{version.minor}" for version in (every[0], every[-1]))
    return first, last


def expected(feature: Feature, release: str) -> tuple[str, Verdict]:
    """What a feature is on a release of torch (native, backported, repaired, added) and its verdict."""
    if not any(within(release, patch.first, patch.last) for patch in feature.patches):
        return "native", Verdict.NATIVE
    if not feature.native_since:
        return "added", Verdict.APPLIED
    backported = not within(release, feature.native_since, None)
    return ("backported" if backported else "repaired"), Verdict.APPLIED


def table() -> str:
    """The table as Markdown, one row a release."""
    header = ["torch", *(feature.id for feature in FEATURES)]
    rows = [
        [release, *(f"{kind} ({verdict.value})" for kind, verdict in (expected(f, release) for f in FEATURES))]
        for release in releases()
    ]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)
