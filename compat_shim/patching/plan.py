"""One feature in one process: what was decided of it, what was applied, and what undoes that."""

from __future__ import annotations

import dataclasses
from typing import Any

from compat_shim.env import Settings
from compat_shim.patching import fingerprint
from compat_shim.patching.log import debug, warn
from compat_shim.patching.patch import Feature, Finding, Undo, Verdict


@dataclasses.dataclass
class Plan:
    """One feature in this process: its verdict, its patches' findings and what undoes them."""

    feature: Feature
    finding: Finding = Finding(Verdict.PENDING)
    patches: dict[str, Finding] = dataclasses.field(default_factory=dict)
    release: str | None = None
    undo: list[tuple[str, Undo]] = dataclasses.field(default_factory=list)
    placed: dict[str, Any] = dataclasses.field(default_factory=dict)  # by patch: what then stood at its target

    def now(self) -> tuple[Finding, dict[str, Finding]]:
        """The findings of the feature and its patches as they are now: what was applied may be gone."""
        patches = dict(self.patches)
        for patch in self.feature.patches:
            if patch.id in self.placed and patches[patch.id].verdict is Verdict.APPLIED:
                patches[patch.id] = patch.still_there(self.placed[patch.id])
        gone = [finding for finding in patches.values() if finding.verdict is Verdict.REPLACED]
        return gone[0] if gone and self.finding.verdict is Verdict.APPLIED else self.finding, patches

    def commit(self, settings: Settings) -> None:
        """Apply the patches that fit. If one raises, all go back, and the feature has failed."""
        for patch in self.feature.patches:
            if self.patches[patch.id].verdict is not Verdict.APPLIED:
                continue
            try:
                do, undo = patch.change()
                self.undo.append((patch.id, undo))  # first, so that an interrupt leaves nothing that stays
                do()
                self.placed[patch.id] = fingerprint.find(patch.target)
            except Exception as error:
                self.roll_back(settings)
                self.patches[patch.id] = Finding(Verdict.FAILED, "it applies", repr(error))
                self.patches = none_applied(self.patches, f"rolled back: patch {patch.id!r} raised")
                self.finding = Finding(Verdict.FAILED, f"patch {patch.id!r} applies", repr(error))
                return
        self.finding = Finding(Verdict.APPLIED if self.undo else Verdict.NATIVE)
        debug(settings, "%s: %s on torch %s", self.feature.id, self.finding.verdict.value, self.release)

    def roll_back(self, settings: Settings) -> None:
        """Undo what was applied, last in first out."""
        while self.undo:
            name, undo = self.undo[-1]
            try:
                undo()
            except Exception as error:
                warn(settings, f"{self.feature.id}: patch {name!r} stays: {error}")
                self.patches[name] = Finding(Verdict.FOREIGN_PATCH, "our own replacement", str(error))
            self.placed.pop(name, None)
            self.undo.pop()  # only now: an interrupted one is undone again


def none_applied(findings: dict[str, Finding], why: str) -> dict[str, Finding]:
    """The findings of a feature of which no patch is applied, so none may say so."""
    return {
        name: Finding(Verdict.DISABLED, found=why) if finding.verdict is Verdict.APPLIED else finding
        for name, finding in findings.items()
    }
