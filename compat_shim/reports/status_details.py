"""All that the status has, as text: lines of any width and number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from compat_shim import activation, env
from compat_shim.patching.patch import Verdict

if TYPE_CHECKING:
    from compat_shim.reports.facts import UnpairedStatus
    from compat_shim.reports.status import Status


def details(status: Status) -> str:
    """Every patch, path, pair and reason."""
    head = [
        ("compat_shim", f"{status.version}, {'active' if status.active else 'not active'} ({status.route})"),
        ("state", status.state),
        *([("hidden", activation.HIDDEN.format(status.hidden_by))] if status.hidden_by else []),
        ("mode", status.mode),
        *(("environment", f"{name}={value}") for name, value in status.environment.items()),
        ("torch", f"{status.torch or 'none'} in {status.torch_path or '-'}"),
        ("build", f"{status.torch_build or '-'}, {status.torch_git or 'no commit'}"),
        ("taken for", f"torch {status.release}" if status.release else "no tested release yet"),
        ("python", f"{status.python} in {status.python_path}"),
        ("platform", status.platform),
        ("cache salt", status.cache_salt or "none yet"),
        *(("problem", problem) for problem in status.problems),
    ]
    return "\n".join([*columns(head), *_feature_lines(status), *_op_lines(status)])


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
        lines.append(f"  {loose.candidate} for {loose.functional}")
        lines += [f"      {reason}" for reason in loose.reasons]
    if status.waiting:
        lines += ["", "registered by name, but an op is missing"]
    for waits in status.waiting:
        lines += [f"  {waits.functional} => {waits.out}", f"      {waits}"]
    for found in status.unpaired:
        lines += ["", f"in no pair, of {found.namespace}", *_unpaired_lines(found)]
    if status.foreign:
        foreign = [(other.target, f"{other.function} of {other.module}") for other in status.foreign]
        lines += ["", "patched by others", *columns(foreign, "  ")]
    return lines


def _unpaired_lines(found: UnpairedStatus) -> Iterator[str]:
    yield from columns([(functional, out, "fits by schema and name") for functional, out in found.pairs], "  ")
    for functional, out, why in found.refused:
        yield f"  {out} for {functional}"
        yield f"      {why}"
    if found.flag:
        yield f"  to pair what fits: python -m compat_shim run {found.flag} -- COMMAND"
        yield f"  or in the program: compat_shim.pair_namespace({found.namespace!r})"


def columns(rows: Sequence[tuple[str, ...]], indent: str = "") -> list[str]:
    """Lines of aligned columns, each at least 12 wide."""
    widths = [max([12, *map(len, column)]) for column in zip(*rows)]
    return [indent + " ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip() for row in rows]


def _details(expected: str, found: str) -> list[str]:
    pairs = (("expected", expected), ("found", found))
    return [f"      {name:<10} {text}" for name, text in pairs if text]
