"""What ``status`` finds out about this process besides the patches' verdicts."""

from __future__ import annotations

import dataclasses
import sys
from types import FunctionType
from typing import TYPE_CHECKING

from compat_shim import process
from compat_shim.patches import FEATURES
from compat_shim.patching import fingerprint

if TYPE_CHECKING:
    from compat_shim.out_variant.waiting import Waiting
    from compat_shim.out_variant.wanted import Wanted
    from compat_shim.shim import Shim


@dataclasses.dataclass(frozen=True)
class PairStatus:
    """A functional op and its out variant, with how they were paired: ``tag``, ``namespace`` or ``registered``.

    ``limits`` says on which devices calls are not lowered for want of a fitting kernel, and what to do.
    """

    functional: str
    out: str
    source: str
    limits: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class CandidateStatus:
    """A tagged overload that is in no pair, and why it is not the out variant of ``functional``."""

    functional: str
    candidate: str
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class UnpairedStatus:
    """The overloads of a namespace that look like out variants by their names, and are in no pair.

    Attributes:
        namespace: whose.
        pairs: functional op and out variant that fit by schema and name.
        refused: functional op, the overload whose name says that it is the out variant, and why it is not. Not those
            that :class:`CandidateStatus` tells of.
        flag: the option of ``run`` that makes the pairs; empty if there are none to be made.
    """

    namespace: str
    pairs: tuple[tuple[str, str], ...]
    refused: tuple[tuple[str, str, str], ...]
    flag: str


@dataclasses.dataclass(frozen=True)
class ForeignStatus:
    """Somebody else's function at one of our targets, and the module that its code comes from."""

    target: str
    function: str
    module: str


def pairs() -> tuple[tuple[PairStatus, ...], tuple[CandidateStatus, ...]]:
    """The pairs of this process and the tagged overloads that are in none; none before torch is there."""
    if not hasattr(sys.modules.get("torch"), "_C"):
        return (), ()
    # Imports torch, which is there by now.
    from compat_shim.out_variant import lookalikes, pairing, wanted

    wanted.pair(tell=False)  # as the next compile will
    return (
        tuple(
            PairStatus(pair.functional.name(), pair.out.name(), pair.source, lookalikes.limits(pair))
            for pair in pairing.all_pairs()
        ),
        tuple(CandidateStatus(name, loose.op, loose.reasons) for name, loose in lookalikes.not_taken()),
    )


def unpaired() -> tuple[UnpairedStatus, ...]:
    """The overloads that look like out variants and are in no pair; none before torch is there."""
    if not hasattr(sys.modules.get("torch"), "_C"):
        return ()
    # Imports torch, which is there by now.
    from compat_shim.out_variant import survey
    from compat_shim.reports.pairs_report import make_report

    report = make_report(survey.namespaces())
    found = []
    for one in report.surveys:
        pairs = tuple(filter(report.serves, one.pairs))
        unfit = [(*pair, "no device has a fitting kernel") for pair in one.pairs if pair not in pairs]
        refused = tuple(row for row in (*unfit, *one.refused) if not _is_candidate(row[0], row[1]))
        if pairs or refused:
            found.append(UnpairedStatus(one.of, pairs, refused, f"--pair {one.of}" if pairs else ""))
    return tuple(found)


def _is_candidate(functional: str, out: str) -> bool:
    """Whether the candidates tell of it: a tagged overload of the same op."""
    # Imports torch, which is there by now.
    from compat_shim.out_variant import marks, names

    return names.op_of(functional) == names.op_of(out) and marks.is_tagged_name(out)


def wanted() -> tuple[Wanted, ...]:
    """What has come of the pairs that ``COMPAT_SHIM_PAIR`` asks for; nothing before torch is there."""
    if not hasattr(sys.modules.get("torch"), "_C"):
        return ()
    # Imports torch, which is there by now.
    from compat_shim.out_variant.wanted import wanted

    return wanted()


def problems(shim: Shim) -> tuple[str, ...]:
    """What is wrong in this process besides the settings: another version, an import of torch that the shim has not
    seen, and what ``COMPAT_SHIM_IMPORT`` names and could not be loaded."""
    other = process.other_version()
    missed = getattr(shim, "has_missed_torch", False)  # an owner of an older version does not tell
    loaded = sys.modules.get("compat_shim.activation.user_code")
    return (
        *([other] if other else []),
        *(["torch was imported in a way that the shim has not seen; call compat_shim.activate()"] if missed else []),
        *(loaded.problems() if loaded else ()),
    )


def waiting() -> tuple[Waiting, ...]:
    """The pairs of this process that wait for an op."""
    # Whoever has registered one has imported this.
    if "compat_shim.out_variant.registry" not in sys.modules or not hasattr(sys.modules.get("torch"), "_C"):
        return ()
    # Imports torch, which is there by now.
    from compat_shim.out_variant.waiting import waiting

    return tuple(waiting())


def foreign_patches() -> tuple[ForeignStatus, ...]:
    """What others have put at the functions that our patches replace or rely on."""
    found = {}
    for target in dict.fromkeys(name for feature in FEATURES for name in feature.fingerprinted()):
        try:
            raw = fingerprint.find(target)
        except LookupError:
            continue
        function = fingerprint.function_of(raw)
        if not isinstance(function, FunctionType):
            found[target] = ForeignStatus(target, type(raw).__name__, type(raw).__module__)
        elif fingerprint.is_foreign(function, target) and not _is_ours(function):
            found[target] = ForeignStatus(target, function.__qualname__, fingerprint.defined_in(function))
    return tuple(found.values())


def _is_ours(function: FunctionType) -> bool:
    # A function that we added is reached by its target, too: it is no replacement.
    return fingerprint.defined_in(function).partition(".")[0] == "compat_shim"


def cache_salt() -> str | None:
    """The part of the cache keys that is ours; None until the lowering is applied."""
    cache_key = sys.modules.get("compat_shim.out_variant.lowering.cache_key")
    return None if cache_key is None else str(cache_key.salt())


def torch_build() -> str | None:
    """What torch was built for, for example ``CUDA 12.8``; None until torch is imported."""
    version = sys.modules.get("torch.version")
    if version is None:
        return None
    kinds = (("CUDA", "cuda"), ("ROCm", "hip"), ("XPU", "xpu"))
    built = [f"{name} {getattr(version, field)}" for name, field in kinds if getattr(version, field, None)]
    return ", ".join([*(built or ["CPU"]), *(["debug"] if getattr(version, "debug", False) else [])])
