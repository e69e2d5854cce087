"""What ``status()`` returns and ``python -m compat_shim status`` prints."""

from __future__ import annotations

import dataclasses
import platform
from typing import TYPE_CHECKING, Any

from compat_shim.features import FEATURES
from compat_shim.patching.patch import Feature, Finding, Verdict
from compat_shim.release import installed

if TYPE_CHECKING:
    from compat_shim.patching.engine import Plan
    from compat_shim.shim import Shim

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class PatchStatus:
    """One patch: its data, and its verdict with what was expected and found."""

    id: str
    kind: str
    target: str
    verdict: str
    expected: str
    found: str
    why: str
    upstream: str
    ends_with: str


@dataclasses.dataclass(frozen=True)
class FeatureStatus:
    """One feature: its verdict with what was expected and found, and its patches."""

    id: str
    title: str
    verdict: str
    expected: str
    found: str
    patches: tuple[PatchStatus, ...]

    @property
    def good(self) -> bool:
        return Verdict(self.verdict).good


@dataclasses.dataclass(frozen=True)
class Status:
    """The state of the shim in this process.

    Attributes:
        version: the shim's.
        active: whether it is.
        route: how it was activated.
        mode: ``COMPAT_SHIM``: auto, off or strict.
        torch: version of torch, or None if there is none.
        torch_path, torch_git: where it is and what it was built from.
        release: the tested release whose functions this torch has, once a feature is planned.
        python: the interpreter's version.
        problems: what is wrong in the environment variables.
        features: in the order in which they are applied.
    """

    version: str
    active: bool
    route: str
    mode: str
    torch: str | None
    torch_path: str | None
    torch_git: str | None
    release: str | None
    python: str
    problems: tuple[str, ...]
    features: tuple[FeatureStatus, ...]

    @property
    def good(self) -> bool:
        """Whether every feature is applied or native."""
        return all(feature.good for feature in self.features)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with ``schema_version`` and ``good`` beside the attributes."""
        return {"schema_version": SCHEMA_VERSION, "good": self.good, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def make_status(shim: Shim) -> Status:
    """The status of ``shim``, which is the process's own."""
    from compat_shim.shim import VERSION

    plans: dict[str, Plan] = shim.engine.plans if shim.engine is not None else {}
    release = installed()
    return Status(
        version=VERSION,
        active=shim.active,
        route=shim.route,
        mode=shim.settings.mode,
        torch=release.version if release else None,
        torch_path=release.path if release else None,
        torch_git=release.git_version if release else None,
        release=next((plan.release for plan in plans.values() if plan.release), None),
        python=platform.python_version(),
        problems=shim.settings.problems,
        features=tuple(_feature(feature, plans.get(feature.id), shim.active) for feature in FEATURES),
    )


def _feature(feature: Feature, plan: Plan | None, active: bool) -> FeatureStatus:
    if plan is None:
        waiting = Finding(Verdict.PENDING, found="torch is not imported yet")
        finding = waiting if active else Finding(Verdict.DISABLED, found="the shim is not active")
    else:
        finding = plan.finding
    findings = plan.patches if plan is not None else {}
    return FeatureStatus(
        id=feature.id,
        title=feature.title,
        verdict=finding.verdict.value,
        expected=finding.expected,
        found=finding.found,
        patches=tuple(
            PatchStatus(
                id=patch.id,
                kind=patch.kind,
                target=patch.target,
                verdict=findings.get(patch.id, finding).verdict.value,
                expected=findings.get(patch.id, finding).expected,
                found=findings.get(patch.id, finding).found,
                why=patch.why,
                upstream=patch.upstream,
                ends_with=patch.ends_with,
            )
            for patch in feature.patches
        ),
    )


def _lines(status: Status) -> list[str]:
    head = [
        ("compat_shim", f"{status.version}, {'active' if status.active else 'not active'} ({status.route})"),
        ("mode", status.mode),
        ("torch", f"{status.torch or 'none'} in {status.torch_path or '-'}"),
        ("taken for", f"torch {status.release}" if status.release else "no tested release yet"),
        ("python", status.python),
        *(("problem", problem) for problem in status.problems),
    ]
    lines = [f"{name:<12} {value}" for name, value in head]
    for feature in status.features:
        lines += ["", f"{feature.id:<12} {feature.verdict:<16} {feature.title}"]
        if not feature.good:
            lines += _details(feature.expected, feature.found)
        width = max((len(patch.id) for patch in feature.patches), default=0)
        for patch in feature.patches:
            lines.append(f"  {patch.id:<{width}}  {patch.verdict:<16} {patch.target}")
            if not Verdict(patch.verdict).good:
                lines += _details(patch.expected, patch.found)
    return lines


def _details(expected: str, found: str) -> list[str]:
    pairs = (("expected", expected), ("found", found))
    return [f"      {name:<10} {text}" for name, text in pairs if text]
