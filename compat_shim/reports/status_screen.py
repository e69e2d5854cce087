"""The status as one screen: what is wrong, what waits and what is in no pair, each with the next step."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import TYPE_CHECKING

from compat_shim import activation, env
from compat_shim.patching.patch import Verdict
from compat_shim.reports.blocks import Block, fit

if TYPE_CHECKING:
    from compat_shim.reports.facts import UnpairedStatus
    from compat_shim.reports.status import Status

END = "all of it: python -m compat_shim status -v, or print(compat_shim.status().details())"
# More than these are shown as counts, a namespace each.
_FEW = 6

_NEXT = {
    Verdict.UNKNOWN_RELEASE: "use one of these, or a newer compat_shim",
    Verdict.DRIFTED: "install torch anew, or report it with `python -m compat_shim status --paste`",
    Verdict.FOREIGN_PATCH: "import compat_shim before that module",
    Verdict.REPLACED: "if it calls ours, it can say so by functools.wraps",
    Verdict.UNVERIFIABLE: "install torch with its .py files",
    Verdict.FAILED: "report it with `python -m compat_shim status --paste`",
}


def screen(status: Status) -> str:
    """At most 20 lines of at most 100 columns."""
    problems = [*status.problems, *([activation.HIDDEN.format(status.hidden_by)] if status.hidden_by else [])]
    bad, waits = list(_features(status)), list(_pending(status))
    asked_for = [str(found) for found in status.wanted if found.problem]
    unpaired = [_unpaired(found) for found in status.unpaired]
    waiting = [f"{pair.functional} => {pair.out}: {pair}" for pair in status.waiting]
    blocks = [
        Block("problems", problems, f"{len(problems)} of them", urgent=True),
        Block("features", bad, f"{len(bad)} verdicts that are not good", urgent=True),
        Block("pending", waits, "features wait for a module", urgent=True),
        Block("pairs", list(pair_rows(status)), f"{len(status.pairs)} of them"),
        Block("asked for", asked_for, f"{len(asked_for)} words of {env.PAIR} pair nothing"),
        Block("limited", list(_limited(status)), "pairs that are not lowered on some device"),
        Block("waiting", waiting, f"{len(waiting)} pairs, registered by name, of which an op is missing"),
        Block("tagged", list(_tagged(status)), "overloads in no pair; -v says what pairs each"),
        Block(
            "unpaired",
            unpaired,
            f"ops of {len(unpaired)} namespaces; python -m compat_shim run --pair NAMESPACE -- COMMAND",
        ),
        Block("patched", list(_foreign(status)), f"{len(status.foreign)} of torch's functions, by others"),
    ]
    return "\n".join(fit(_head(status), blocks, END))


def _head(status: Status) -> str:
    torch = f"torch {status.torch or 'none'}"
    if status.release and status.torch and not status.torch.startswith(status.release):
        torch += f" (taken for {status.release})"
    about = f"compat_shim {status.version}, {torch}: {status.state}"
    if not status.active:
        return f"{about}, torch is as shipped{_start(status) if status.state == 'off' or _is_off(status) else ''}"
    there, every = sum(feature.good for feature in status.features), len(status.features)
    return f"{about} ({status.route}), {'all' if there == every else f'{there} of'} {every} features in place"


def _is_off(status: Status) -> bool:
    return status.environment.get(env.MODE, "").strip().lower() == "off"


def _start(status: Status) -> str:
    return f"; {env.MODE}=off" if _is_off(status) else "; compat_shim.activate() starts it"


def why_not_lowered(status: Status) -> str:
    """Why calls are not lowered in this process, and what to do; empty if they are."""
    lowering = next(feature for feature in status.features if feature.id == "lowering")
    if lowering.good:
        return ""
    if not status.active:
        return f"the shim is not active{_start(status)}"
    rows = [*_features(status), *_pending(status)]
    return next((row for row in rows if lowering.id in row.partition(":")[0].split(", ")), rows[0])


def _features(status: Status) -> Iterator[str]:
    if not status.active:
        return  # none is there, for the one reason that the first line tells
    alike: dict[tuple[str, str, str], list[str]] = {}
    for feature in status.features:
        if feature.good or feature.verdict == Verdict.PENDING.value:
            continue
        expected, found = feature.expected, feature.found
        if feature.verdict == Verdict.DISABLED.value and expected:
            expected, found = "", "a feature that is needed for it is not there"
        alike.setdefault((feature.verdict, expected, found), []).append(feature.id)
    for (verdict, expected, found), ids in alike.items():
        if expected:
            found = f"found {found}, expected {expected}"
        step = _NEXT.get(Verdict(verdict))
        yield f"{', '.join(ids)}: {verdict}: {found}{f'; {step}' if step else ''}"


def _pending(status: Status) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for feature in status.features:
        if feature.verdict == Verdict.PENDING.value:
            alike.setdefault(feature.found, []).append(feature.id)
    for found, ids in alike.items():
        yield f"{', '.join(ids)}: {found}"


def pair_rows(status: Status) -> Iterator[str]:
    """The pairs: each, or where they are many how many of each namespace."""
    if not status.pairs and status.active:
        yield "none in this process; of a module's ops: python -m compat_shim status --import MODULE"
    elif len(status.pairs) <= _FEW:
        yield from (f"{pair.functional} => {pair.out} ({pair.source})" for pair in status.pairs)
    else:
        sources = collections.Counter(pair.source for pair in status.pairs)
        spaces = collections.Counter(_namespace(pair.functional) for pair in status.pairs)
        how = ", ".join(f"{count} {source}" for source, count in sources.most_common())
        yield f"{len(status.pairs)} ({how}) of {len(spaces)} namespace{'s' if len(spaces) > 1 else ''}"
        yield from (f"{space}: {count}" for space, count in spaces.most_common())


def _limited(status: Status) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for pair in status.pairs:
        for limit in pair.limits:
            alike.setdefault(limit, []).append(pair.functional)
    for limit, ops in alike.items():
        yield f"{ops[0]}{f' and {len(ops) - 1} more' if ops[1:] else ''}: {limit}"


def _tagged(status: Status) -> Iterator[str]:
    # An out op without a functional one is for direct calls, and lacks nothing.
    loose = [found for found in status.candidates if found.functional]
    if len(loose) <= _FEW:
        yield from (f"{one.candidate} for {one.functional}: {'; '.join(one.reasons)}" for one in loose)
        return
    spaces = collections.Counter(_namespace(found.candidate) for found in loose)
    for space, count in spaces.most_common():
        yield f"{space}: {count} in no pair; `python -m compat_shim status -v` says of each why, and what pairs it"


def _unpaired(found: UnpairedStatus) -> str:
    space, fit, refused = found.namespace, len(found.pairs), len(found.refused)
    if not fit:
        why = f"python -m compat_shim pairs {space} --import MODULE"
        many = "1 looks like an out variant and is" if refused == 1 else f"{refused} look like out variants and are"
        return f"{space}: {many} refused; to see why:\n{why}"
    return (
        f"{space}: {fit} fit by schema and name{f', {refused} refused' if refused else ''}; to pair them:\n"
        f"python -m compat_shim run {found.flag} -- COMMAND\n"
        f"or in the program: compat_shim.pair_namespace({space!r})"
    )


def _foreign(status: Status) -> Iterator[str]:
    targets: dict[str, list[str]] = {}
    for other in status.foreign:
        targets.setdefault(other.module, []).append(other.target)
    for module, names in targets.items():
        yield f"by {module}: {', '.join(names)}"


def _namespace(op: str) -> str:
    return op.partition("::")[0]
