"""The engine: plan each feature once its modules are imported, verify it, commit it or leave it.

A feature is committed whole. If one of its patches does not fit, none is applied; if applying
one raises, those before it go back, last in first out. What is interrupted (Ctrl-C) goes back too,
and is decided anew when the engine is asked again.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterable

from compat_shim.env import Settings
from compat_shim.patching import fingerprint, verify
from compat_shim.patching.errors import ShimError
from compat_shim.patching.import_hook import ImportHook
from compat_shim.patching.log import debug, info, warn
from compat_shim.patching.patch import Feature, Finding, Verdict
from compat_shim.patching.plan import Plan, none_applied
from compat_shim.release import Release, installed, not_after


class Engine:
    """Plans and commits the features of one process."""

    def __init__(
        self,
        settings: Settings,
        features: tuple[Feature, ...],
        release: Release | None = None,
    ) -> None:
        self.settings = settings
        self.release = release or installed() or Release("unknown")
        self.plans = {feature.id: Plan(feature) for feature in features}
        self._lock = threading.RLock()
        self._asked_for = brought(settings.features, features)
        self._advancing = False
        self._look_again = False
        self._told = False
        self._hook: ImportHook | None = None
        self._imported: set[str] = set()
        self._fingerprints: dict[str, dict[str, str | None]] = {}
        self._broken_file: str | None = None
        try:
            self._fingerprints = fingerprint.load()
        except ValueError as error:
            self._broken_file = str(error)

    @property
    def known_releases(self) -> tuple[str, ...]:
        return tuple({name: None for recorded in self._fingerprints.values() for name in recorded})

    def start(self, imported: tuple[str, ...] = ()) -> None:
        """Commit the features whose modules are there; wait for the modules of the others.

        ``imported`` names modules whose code has run although their import is not over yet.
        """
        with self._lock:
            self._imported.update(imported)
            wanted = [name for plan in self.plans.values() for name in plan.feature.modules()]
            self._hook = ImportHook([name for name in wanted if not self._ready(name)], self._on_import)
            self._hook.install()
            self._advance()

    def resume(self) -> None:
        """Take up what an interrupt has left undecided. Does nothing on an engine that has stopped."""
        with self._lock:
            if self._hook is not None:
                self._advance()

    def stop(self) -> None:
        """Undo everything, last in first out."""
        with self._lock:
            if self._hook is not None:
                self._hook.remove()
                self._hook = None
            for plan in reversed(self.plans.values()):
                plan.roll_back(self.settings)
                plan.finding = Finding(Verdict.DISABLED, found="deactivated")

    def import_all(self) -> None:
        """Import every module that a feature waits for, so that each feature gets its verdict."""
        for plan in self.plans.values():
            for name in plan.feature.modules():
                try:
                    importlib.import_module(name)
                except ShimError:
                    raise
                except Exception as error:
                    debug(self.settings, "%s: module %s cannot be imported: %s", plan.feature.id, name, error)
        with self._lock:
            self._advance(imports_done=True)

    def _on_import(self, name: str) -> None:
        with self._lock:
            self._imported.add(name)
            try:
                self._advance()
            except BaseException:
                self._imported.discard(name)  # its import fails now, and the next one makes a new module
                raise

    def _ready(self, name: str) -> bool:
        if name in self._imported:
            return True
        module = sys.modules.get(name)
        return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)

    def _advance(self, imports_done: bool = False) -> None:
        if self._advancing:  # our own imports, of a plan that is not decided yet
            self._look_again = True
            return
        self._advancing = True
        before = [plan for plan in self.plans.values() if plan.finding.verdict is Verdict.PENDING]
        try:
            self._look_again = True
            while self._look_again:
                self._look_again = False
                self._decide_pending(imports_done)
        except ShimError:
            raise
        except BaseException:
            # All that was pending before is again: if this is a module's import, the module goes, too.
            for plan in reversed(before):
                plan.roll_back(self.settings)
                plan.finding, plan.patches, plan.release = Finding(Verdict.PENDING), {}, None
            raise
        finally:
            self._advancing = False
        verdicts = {name: plan.finding.verdict for name, plan in self.plans.items()}
        if not self._told and Verdict.PENDING not in verdicts.values():
            self._told = True
            found = ", ".join(f"{name} {verdict.value}" for name, verdict in verdicts.items())
            info(self.settings, "%s on torch %s", found, self.release.version)

    def _decide_pending(self, imports_done: bool) -> None:
        for plan in self.plans.values():
            if plan.finding.verdict is not Verdict.PENDING:
                continue
            try:
                self._decide(plan, imports_done)
            except ShimError:
                raise
            except Exception as error:  # a bug of ours must not reach the user's import
                plan.finding = Finding(Verdict.FAILED, "no error", repr(error))
            self._take_back_what_it_completes(plan)
            self._announce(plan)

    def _take_back_what_it_completes(self, plan: Plan) -> None:
        """Undo the features that are not right without this one, where it is decided and not there."""
        verdict = plan.finding.verdict
        if verdict is Verdict.PENDING or verdict.good:
            return
        for other in self.plans.values():
            if plan.feature.id in other.feature.completed_by and other.finding.verdict is Verdict.APPLIED:
                other.roll_back(self.settings)
                needed = f"feature {plan.feature.id!r}"
                other.patches = none_applied(other.patches, f"rolled back: {needed} is {verdict.value}")
                other.finding = Finding(Verdict.DISABLED, needed, f"it is {verdict.value}")

    def _decide(self, plan: Plan, imports_done: bool) -> None:
        feature = plan.feature
        if feature.id not in self._asked_for:
            plan.finding = Finding(Verdict.DISABLED, found="COMPAT_SHIM_FEATURES leaves it out")
            return
        for needed in feature.requires:
            verdict = self.plans[needed].finding.verdict
            if verdict is Verdict.PENDING:
                return
            if not verdict.good:
                plan.finding = Finding(Verdict.DISABLED, f"feature {needed!r}", f"it is {verdict.value}")
                return
        if self._broken_file is not None:
            plan.finding = Finding(Verdict.UNVERIFIABLE, "a readable fingerprint file", self._broken_file)
            return
        candidates = self.release.may_be(self.known_releases)
        if not candidates:
            known = self.known_releases
            plan.finding = Finding(
                Verdict.UNKNOWN_RELEASE,
                f"torch {known[0]} to {known[-1]}" if known else "a recorded release",
                f"torch {self.release.version}",
            )
            return
        for needed in feature.requires:
            # One torch has one source: it is not newer here than where it was told by what it lacks.
            candidates = not_after(candidates, self.plans[needed].release or candidates[0])
        absent = set()
        for name in feature.imports:
            try:
                importlib.import_module(name)
            except ImportError:
                absent.add(name)  # torch has no such module: a patch may add it
        self._verify_and_commit(plan, candidates, None if imports_done else absent)

    def _all_there(self, feature: Feature, release: str, absent: set[str]) -> bool:
        """Whether the modules that the feature needs on ``release`` are imported, but for the absent ones."""
        needed = {name for patch in verify.relevant(feature, release) for name in patch.modules}
        return all(self._ready(name) for name in needed - absent)

    def _verify_and_commit(self, plan: Plan, candidates: tuple[str, ...], absent: set[str] | None) -> None:
        """``absent`` are the modules that are not waited for: None for all."""
        best: dict[str, Finding] = {}
        for release in candidates:
            if absent is not None and not self._all_there(plan.feature, release, absent):
                plan.release = None
                return
            findings = verify.verify(plan.feature, release, self.release, self._fingerprints)
            if all(finding.verdict.good for finding in findings.values()):
                plan.release, plan.patches = release, findings
                plan.commit(self.settings)
                return
            if not best or _bad_count(findings) < _bad_count(best):
                best, plan.release = findings, release
        plan.patches = best
        worst = next(finding for finding in best.values() if not finding.verdict.good)
        verdict = worst.verdict
        if verdict is Verdict.DRIFTED and candidates != (self.release.final,):
            verdict = Verdict.UNKNOWN_RELEASE  # a build that no tested release matches
            plan.release = None
        plan.finding = Finding(verdict, worst.expected, worst.found)
        plan.patches = none_applied(best, "another patch of the feature does not fit")

    def _announce(self, plan: Plan) -> None:
        verdict = plan.finding.verdict
        if verdict in (Verdict.PENDING, Verdict.DISABLED) or verdict.good:
            return
        message = (
            f"{plan.feature.id}: {verdict.value}: found {plan.finding.found}, expected"
            f" {plan.finding.expected}; torch {self.release.version} behaves as shipped here; see"
            " `python -m compat_shim status`, or set COMPAT_SHIM=off"
        )
        if self.settings.mode == "strict":
            raise ShimError(message)
        warn(self.settings, message)


def brought(asked_for: Iterable[str], features: tuple[Feature, ...]) -> set[str]:
    """The features that come where these are asked for: they, and what they require and are completed by."""
    needs = {feature.id: {*feature.requires, *feature.completed_by} for feature in features}
    wanted, new = set(), set(asked_for)
    while new:
        wanted |= new
        new = set().union(*(needs.get(name, ()) for name in new)) - wanted
    return wanted


def _bad_count(findings: dict[str, Finding]) -> int:
    return sum(not finding.verdict.good for finding in findings.values())
