"""What ``status()`` returns and ``python -m compat_shim status`` prints."""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from compat_shim import activation, env, process
from compat_shim._version import VERSION
from compat_shim.patches import FEATURES
from compat_shim.patching.patch import Feature, Finding, Verdict
from compat_shim.release import installed
from compat_shim.reports import bug_report, facts, status_details, status_screen

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


@dataclasses.dataclass(frozen=True, repr=False)
class Status:
    """The state of the shim in this process. Its text is one screen: at most 20 lines of at most 100 columns.

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
        unpaired: the overloads that look like out variants by their names and are in no pair, a namespace each.
        foreign: what others have put at the functions that the patches replace or rely on.
        platform: the system that the interpreter runs on.
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
    unpaired: tuple[facts.UnpairedStatus, ...]
    foreign: tuple[facts.ForeignStatus, ...]
    platform: str

    @property
    def state(self) -> str:
        """One word for all of it.

        Returns:
            ``"active"``: every feature is applied or native. ``"pending"``: or waits for a module that is not
            imported yet. ``"partial"``: ``COMPAT_SHIM_FEATURES`` leaves features out. ``"off"``: the shim is not
            active. ``"wrong"``: there is a problem, no torch, or a feature that could not be applied.
        """
        rest = {feature.verdict for feature in self.features if not feature.good}
        if self.problems or self.hidden_by:
            return "wrong"
        if not self.active:
            return "off"
        if self.torch is None or rest - {Verdict.PENDING.value, Verdict.DISABLED.value}:
            return "wrong"
        if Verdict.DISABLED.value in rest:
            return "partial"
        return "pending" if rest else "active"

    @property
    def good(self) -> bool:
        """Whether nothing is wrong and nothing is left out: every feature is there, or comes when it is needed."""
        return self.state in ("active", "pending")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with ``schema_version``, ``good`` and ``state`` beside the attributes."""
        about = {"schema_version": SCHEMA_VERSION, "good": self.good, "state": self.state}
        return {**about, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        return status_screen.screen(self)

    __repr__ = __str__

    def details(self) -> str:
        """All of it as text: every patch, path, pair and reason."""
        return status_details.details(self)

    def bug_report(self) -> str:
        """What a bug report needs, as a block of Markdown without the home folder."""
        return bug_report.bug_report(self)


def status() -> Status:
    """What was found and done in this process. Public as ``compat_shim.status``.

    Does not import torch. A feature whose modules are not imported yet is ``PENDING``.
    """
    return make_status(process.owner())


def make_status(shim: Shim, problems: Iterable[str] = ()) -> Status:
    """The status of ``shim``, which is the process's own.

    Args:
        problems: what was met on the way here, such as a torch that cannot be imported.
    """
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
        problems=(*problems, *shim.settings.problems, *facts.problems(shim)),
        features=tuple(_feature(feature, plans.get(feature.id), shim.active) for feature in FEATURES),
        cache_salt=facts.cache_salt(),
        pairs=pairs,
        candidates=candidates,
        wanted=facts.wanted() if there else (),
        waiting=facts.waiting(),
        unpaired=facts.unpaired() if there else (),
        foreign=facts.foreign_patches(),
        platform=platform.platform(),
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
        found=finding.found or (_waits_for(feature) if finding.verdict is Verdict.PENDING else ""),
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


def _waits_for(feature: Feature) -> str:
    missing = [name for name in feature.modules() if name not in sys.modules]
    return f"{missing[0]} is imported at the first compile" if missing else "a feature that it needs is pending"
