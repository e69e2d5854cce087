"""What ``status()`` returns and ``python -m compat_shim status`` prints."""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from compat_shim import activation, env, process
from compat_shim._version import VERSION
from compat_shim.patches import FEATURES
from compat_shim.patching.patch import Feature, Finding, Verdict
from compat_shim.release import installed
from compat_shim.reports import facts

if TYPE_CHECKING:
    from compat_shim.out_variant.waiting import Waiting
    from compat_shim.out_variant.wanted import Wanted
    from compat_shim.patching.plan import Plan
    from compat_shim.shim import Shim

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class PatchStatus:
    """One patch: its data, and its verdict with what was expected and found, looked up when asked."""

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
        route: how it was activated: ``import compat_shim``, ``activate()``, ``sitecustomize`` (the
            bootstrap folder on PYTHONPATH), ``run`` or ``enable``.
        hidden_by: the ``sitecustomize`` that this interpreter ran in place of the bootstrap folder's, or None.
        mode: ``COMPAT_SHIM``: auto, off or strict.
        environment: the shim's variables that are set, as they are now.
        torch: version of torch, or None if there is none.
        torch_path, torch_git: where it is and what it was built from.
        torch_build: what it was built for, once it is imported.
        release: the tested release whose functions this torch has, once a feature is planned.
        python, python_path: the interpreter's version and file.
        problems: what is wrong in the environment variables, or with where the package lies.
        features: in the order in which they are applied.
        cache_salt: the shim's part of the cache keys, once the lowering is applied.
        pairs, candidates: the pairs of the process, and the tagged overloads that are in none (none
            of either before torch is imported).
        wanted: what has come of each word of ``COMPAT_SHIM_PAIR``.
        waiting: the pairs registered by name of which an op does not exist (yet).
        foreign: what others have put at the functions that the patches replace or rely on.
    """

    version: str
    active: bool
    route: str
    hidden_by: str | None
    mode: str
    environment: dict[str, str]
    torch: str | None
    torch_path: str | None
    torch_git: str | None
    torch_build: str | None
    release: str | None
    python: str
    python_path: str
    problems: tuple[str, ...]
    features: tuple[FeatureStatus, ...]
    cache_salt: str | None
    pairs: tuple[facts.PairStatus, ...]
    candidates: tuple[facts.CandidateStatus, ...]
    wanted: tuple[Wanted, ...]
    waiting: tuple[Waiting, ...]
    foreign: tuple[facts.ForeignStatus, ...]

    @property
    def good(self) -> bool:
        """Whether every feature is applied or native."""
        return all(feature.good for feature in self.features)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with ``schema_version`` and ``good`` beside the attributes."""
        return {"schema_version": SCHEMA_VERSION, "good": self.good, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def status() -> Status:
    """What was found and done in this process. Public as ``compat_shim.status``.

    Does not import torch. A feature whose modules are not imported yet is ``PENDING``.
    """
    return make_status(process.owner())


def make_status(shim: Shim) -> Status:
    """The status of ``shim``, which is the process's own."""
    other = process.other_version()
    plans: dict[str, Plan] = shim.engine.plans if shim.engine is not None else {}
    release = installed()
    # Pairs are told by the tags, which torch has once the first feature is there.
    there = all(name in plans and plans[name].finding.verdict.good for name in ("tag", "discovery"))
    pairs, candidates = facts.pairs() if there else ((), ())
    return Status(
        version=VERSION,
        active=shim.active,
        route=shim.route,
        hidden_by=activation.hidden_by(shim.route),
        mode=shim.settings.mode,
        environment=env.given(),
        torch=release.version if release else None,
        torch_path=release.path if release else None,
        torch_git=release.git_version if release else None,
        torch_build=facts.torch_build(),
        release=next((plan.release for plan in plans.values() if plan.release), None),
        python=platform.python_version(),
        python_path=sys.executable,
        problems=(*shim.settings.problems, *([other] if other else []), *facts.user_code()),
        features=tuple(_feature(feature, plans.get(feature.id), shim.active) for feature in FEATURES),
        cache_salt=facts.cache_salt(),
        pairs=pairs,
        candidates=candidates,
        wanted=facts.wanted() if there else (),
        waiting=facts.waiting(),
        foreign=facts.foreign_patches(),
    )


def _feature(feature: Feature, plan: Plan | None, active: bool) -> FeatureStatus:
    findings: dict[str, Finding] = {}
    if plan is None:
        waiting = Finding(Verdict.PENDING, found="torch is not imported yet")
        finding = waiting if active else Finding(Verdict.DISABLED, found="the shim is not active")
    else:
        finding, findings = plan.now()
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
        *([("hidden", activation.HIDDEN.format(status.hidden_by))] if status.hidden_by else []),
        ("mode", status.mode),
        *(("environment", f"{name}={value}") for name, value in status.environment.items()),
        ("torch", f"{status.torch or 'none'} in {status.torch_path or '-'}"),
        ("build", f"{status.torch_build or '-'}, {status.torch_git or 'no commit'}"),
        ("taken for", f"torch {status.release}" if status.release else "no tested release yet"),
        ("python", f"{status.python} in {status.python_path}"),
        ("cache salt", status.cache_salt or "none yet"),
        *(("problem", problem) for problem in status.problems),
    ]
    return [*columns(head), *_feature_lines(status), *_op_lines(status)]


def _feature_lines(status: Status) -> list[str]:
    lines: list[str] = []
    for feature in status.features:
        lines += ["", *columns([(feature.id, feature.verdict, feature.title)])]
        if not feature.good:
            lines += _details(feature.expected, feature.found)
        rows = columns([(patch.id, patch.verdict, patch.target, patch.upstream) for patch in feature.patches], "  ")
        for patch, row in zip(feature.patches, rows):
            lines.append(row)
            if not Verdict(patch.verdict).good:
                lines += _details(patch.expected, patch.found)
    return lines


def _op_lines(status: Status) -> list[str]:
    lines = ["", "pairs"]
    rows = columns([(pair.functional, pair.out, pair.source) for pair in status.pairs], "  ")
    for pair, row in zip(status.pairs, rows):
        lines += [row, *(f"      {limit}" for limit in pair.limits)]
    if not status.pairs:
        lines.append("  none in this process")
    if status.wanted:
        lines += ["", f"asked for by {env.PAIR}", *(f"  {found}" for found in status.wanted)]
    if status.candidates:
        lines += ["", "tagged, but in no pair"]
    for loose in status.candidates:
        lines.append(f"  {loose.candidate} for {loose.functional or 'no functional op'}")
        lines += [f"      {reason}" for reason in loose.reasons]
    if status.waiting:
        lines += ["", "registered by name, but an op is missing"]
    for waits in status.waiting:
        lines += [f"  {waits.functional} => {waits.out}", f"      {waits}"]
    if status.foreign:
        foreign = [(other.target, f"{other.function} of {other.module}") for other in status.foreign]
        lines += ["", "patched by others", *columns(foreign, "  ")]
    return lines


def columns(rows: Sequence[tuple[str, ...]], indent: str = "") -> list[str]:
    """Lines of aligned columns, each at least 12 wide."""
    widths = [max([12, *map(len, column)]) for column in zip(*rows)]
    return [indent + " ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip() for row in rows]


def _details(expected: str, found: str) -> list[str]:
    pairs = (("expected", expected), ("found", found))
    return [f"      {name:<10} {text}" for name, text in pairs if text]
