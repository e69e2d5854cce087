"""The tables of ``docs/packages.md``, from the results: a row has its JSON. Standard library only."""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


def results() -> list[dict[str, Any]]:
    """What was found, by package and then release."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("*.json"))]


def packages() -> str:
    """One row a package and release."""
    head = ["package", "torch", "how", "functional / mutating ops", "of `custom_op`", "pairs", "not paired", "in place"]
    rows = [_row(*head, "flags of `run`", "date"), _row(*["---"] * (len(head) + 2))]
    for found in results():
        ops = found["ops"]
        python = ops.get("custom_op")
        rows.append(
            _row(
                f"{found['requirement'].replace('==', ' ')}",
                found["torch"],
                found["how"],
                f"{ops['functional']} / {ops['mutating']}",
                f"{python['functional']} / {python['mutating']}" if python else "-",
                str(len(ops["pairs"])),
                "; ".join(_not_paired(ops)) or "-",
                str(len(ops["in_place"])),
                f"`{' '.join(found['flags'])}`" if found["flags"] else "-",
                found["date"],
            )
        )
    return "\n".join(rows)


def programs() -> str:
    """One row a program."""
    head = ["program", "package, torch, where", "calls in the graph", "results", "stock's step", "ratio", "allocations"]
    rows = [_row(*head, "peak bytes"), _row(*["---"] * (len(head) + 1))]
    for found in results():
        for program in found.get("programs", ()):
            file = program["program"]
            link = f"[{file.removesuffix('.py')}](../packages/programs/{file})"
            where = f"{found['requirement'].replace('==', ' ')}, {found['torch']}, {_place(found)}"
            if "error" in program:
                rows.append(_row(link, where, "-", f"fails in stock torch too: `{program['error'][0]}`", *["-"] * 4))
                continue
            low, high = program["quartiles"]
            rows.append(
                _row(
                    link,
                    where,
                    "; ".join(_calls(program["calls"])) or "none: the package compiles its ops itself",
                    "stock's, to the bit" if program["equal"] else "**differ from stock's**",
                    f"{program['step ms']:.2f} ms",
                    f"{program['ratio']:.2f} ({low:.2f} to {high:.2f}; stock again {program['again']:.2f})",
                    " → ".join(map(str, program["allocations"])),
                    " → ".join(f"{held:,}" for held in program["peak"]),
                )
            )
    return "\n".join(rows)


def _place(found: dict[str, Any]) -> str:
    return "H100" if "H100" in found["how"] else "CPU"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _not_paired(ops: dict[str, Any]) -> Iterator[str]:
    """The reasons, with how many functional ops each keeps from a pair."""
    reasons: dict[str, set[str]] = collections.defaultdict(set)
    for row in (*ops.get("declined", ()), *ops.get("refused", ())):
        why = row["why"].partition(";")[0]
        reasons[re.sub(r"'[^']*'|\S+::\S+", "…", why).replace("|", r"\|")].add(row["functional"])
    for why, functionals in sorted(reasons.items()):
        yield f"{len(functionals)}: {why}"


def _calls(calls: list[dict[str, Any]]) -> Iterator[str]:
    lowered = sum(call["calls"] for call in calls if "::" in call["became"])
    short = sum(call["calls"] for call in calls if call["short way"])
    if lowered:
        yield f"{lowered} lowered"
    if short:
        yield f"{short} by the short way"
    left: collections.Counter[str] = collections.Counter()
    for call in calls:
        if "::" not in call["became"] and not call["short way"]:
            left[call["became"]] += call["calls"]
    yield from (f"{count} as by stock ({reason})" for reason, count in left.items())
