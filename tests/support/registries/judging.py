"""Are the ops of a batch of registries right? By what their authors mean, by eager, and by stock torch.

``COMPAT_SHIM=off python judging.py SEED BATCH PLACE TRACED`` runs the graph of one registry without the
shim, as ``fails_in_stock`` does.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from support.checks import poisoned_allocations, same
from support.registries import building, intent
from support.registries.author import draw_registry
from support.registries.building import GARBAGE, Built, meaning
from support.registries.graph import write_graph
from support.registries.registry import Registry

BATCH = 5  # registries in a graph: about twenty ops


@dataclasses.dataclass
class Report:
    """What was found.

    Attributes:
        kinds: registries by what became of them: ``right``, ``stock fails too``, ``failed``.
        calls: calls in compiled code: ``lowered``, ``functional`` and ``traced`` (by Inductor's own code).
        wrong: what is not as it must be, with the registry.
        stock: how stock fails where we do too.
    """

    kinds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    calls: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    wrong: list[str] = dataclasses.field(default_factory=list)
    stock: list[str] = dataclasses.field(default_factory=list)


class Wrong(Exception):
    """Something is not as it must be."""


def draw_batch(seed: int, batch: int, with_traced: bool) -> list[Registry]:
    """The registries of a batch. Two in five change between two compiles, one in four has traced kernels."""
    draw = random.Random(f"{seed} {batch}")
    changing, traced = draw.random() < 0.4, draw.random() < 0.25 and with_traced
    return [draw_registry(f"{seed} {batch} {place}", changing, traced) for place in range(BATCH)]


def judge_batch(seed: int, batch: int, shim: Any, with_traced: bool = True) -> Report:
    """Compile and run a batch; where that is not right, each registry by itself and without the shim.

    Args:
        with_traced: some batches have kernels that Inductor compiles by itself, which takes a compiler run each.
    """
    registries = draw_batch(seed, batch, with_traced)
    report = Report()
    calls: collections.Counter[str] = collections.Counter()
    try:
        run(registries, shim, calls)
    except Exception:
        pass
    else:
        report.kinds["right"] += len(registries)
        report.calls += calls
        return report
    alone_right = True
    for place, registry in enumerate(registries):
        calls.clear()
        try:
            run([registry], shim, calls)
        except Exception as error:
            alone_right = False
            why = f"{type(error).__name__}: {error}"
            stock = "" if isinstance(error, Wrong) else fails_in_stock(seed, batch, place, with_traced)
            report.kinds["stock fails too" if stock else "failed"] += 1
            if stock:
                report.stock.append(stock)
            else:
                report.wrong.append(f"seed {seed}, batch {batch}, place {place}: {why}\n{registry}")
        else:
            report.kinds["right"] += 1
            report.calls += calls
    if alone_right:
        try:
            run(registries, shim, calls)
        except Exception as error:
            together = "\n".join(map(str, registries))
            report.wrong.append(f"seed {seed}, batch {batch}, together: {type(error).__name__}: {error}\n{together}")
    return report


def fails_in_stock(seed: int, batch: int, place: int, with_traced: bool) -> str:
    """The last line of what stock torch says of the registry's graph, or nothing if it runs it."""
    numbers = (seed, batch, place, int(with_traced))
    arguments = [sys.executable, __file__, *map(str, numbers)]
    env = {**os.environ, "COMPAT_SHIM": "off", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(arguments, env=env, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    raised = [line for line in lines if "Error" in line.partition(":")[0]]
    return (raised or lines or [f"exit code {done.returncode}"])[-1]


def run(registries: Sequence[Registry], shim: Any, counted: collections.Counter[str] | None = None) -> None:
    """Define the registries, compile one graph of them, and again after what changes.

    Raises:
        Wrong: something is not as the authors mean it.
        Exception: whatever torch raises.
    """
    built = [Built(registry, shim) for registry in registries]
    by_namespace = [pair_namespace(each) for each in built]
    _run_once(built, by_namespace, counted)
    if any(registry.changes for registry in registries):
        for each in built:
            each.change()
        _run_once(built, by_namespace, counted)


def pair_namespace(built: Built) -> intent.Pairs:
    """Call ``compat_shim.pair_namespace`` if the author does. Returns what it paired, which is as meant."""
    if built.shim is None or not built.registry.namespace:
        return {}
    expected = intent.paired_by_namespace(built.registry, built.hidden())
    outs, functionals = built.registry.outs, built.registry.functionals
    report = built.shim.pair_namespace(built.namespace)
    built.refused = report.refused
    said = {(built.name(functionals[f]), built.name(outs[o])) for f, o in expected.items()}
    if set(report.paired) != said:
        raise Wrong(f"pair_namespace paired {sorted(report.paired)}, meant {sorted(said)}")
    return expected


def compare_pairs(built: Built, by_namespace: intent.Pairs) -> int:
    """See that the pairs are those that the author means; returns how many calls of functional overloads have one."""
    return sum(runs not in ("", name) for name, runs in _settle(built, by_namespace).items())


def _run_once(built: list[Built], by_namespace: list[intent.Pairs], counted: Any) -> None:
    expected: dict[str, str] = {}  # functional overload → what its compiled call runs
    for each, pairs in zip(built, by_namespace):
        expected |= _settle(each, pairs)
    graph, called = write_graph(built)
    x = torch.randint(-8, 9, (4, 5)).float()
    y = torch.randint(-8, 9, (4, 5)).float()
    try:
        eager = graph(x.clone(), y.clone())
    except Exception as error:
        raise AssertionError(f"the generator's fault: {error}\n{built}") from error
    torch._dynamo.reset()
    building.calls.clear()
    with warnings.catch_warnings(), poisoned_allocations():
        warnings.simplefilter("ignore")
        found = torch.compile(graph, fullgraph=True)(x.clone(), y.clone())
    if not same(found, eager):
        differ = [name for name, mine, theirs in zip(called, found, eager) if not same(mine, theirs)]
        raise Wrong(f"wrong numbers of {differ}, expected {[expected.get(name) for name in differ]}")
    if built[0].shim is not None:
        _check_calls(called, expected, counted)


def _check_calls(called: list[str], expected: dict[str, str], counted: Any) -> None:
    made = collections.Counter(expected[name] for name in called)
    found = building.calls
    traced = {name for name, runs in expected.items() if not runs}  # its kernel runs while it is traced
    for name in {*made, *found} - {"", *traced}:
        if found[name] != made[name]:
            raise Wrong(f"{name} was called {found[name]} times, meant {made[name]}")
    if counted is not None:
        for name in called:
            runs = expected[name]
            counted["functional" if runs == name else "lowered" if runs else "traced"] += 1


def _settle(built: Built, by_namespace: intent.Pairs) -> dict[str, str]:
    """Give each out variant its meaning, see that the shim means the same, and say what each call runs."""
    registry = built.registry
    for out in registry.outs:
        meaning[built.name(out)] = GARBAGE
    functionals, _ = intent.alive(registry, built.second)
    meant = intent.pairs_of(registry, built.second, by_namespace, built.hidden()) if built.shim is not None else {}
    runs = {}
    for f in functionals:
        functional = registry.functionals[f]
        name = built.name(functional)
        runs[name] = "" if "CompositeImplicitAutograd" in functional.kernels else name
        pair = meant.get(f)
        out = None if pair is None else registry.outs[pair.out]
        if out is not None and intent.is_called_instead(registry, f, pair, built.second):
            meaning[built.name(out)] = meaning[name]
            runs[name] = runs[name] and built.name(out)
        if built.shim is not None and (op := built.overload(functional)) is not None:
            _compare_pair(built, op, None if out is None else (built.name(out), pair.source))
    return runs


def compare_reasons(built: Sequence[Built]) -> int:
    """See that ``explain``, ``status`` and ``pair_namespace`` say the same of the same two overloads, and what to do.

    What a tag would need is left out: ``pair_namespace`` needs none.

    Returns:
        how many reasons were compared.
    """
    from compat_shim.out_variant import lookalikes, names
    from compat_shim.reports.op_explanation import explain_op

    about_tags = (lookalikes.UNTAGGED, lookalikes.OTHER_NAME)
    said = {}
    for name in (each.name(functional) for each in built for functional in each.registry.functionals):
        for candidate in explain_op(name).candidates if names.find(name) is not None else ():
            if candidate.taken:
                continue
            remedies = (lookalikes.REMEDY.format(name, candidate.op), lookalikes.AGREE, lookalikes.UNREACHABLE)
            if not candidate.reasons or candidate.reasons[-1] not in remedies:
                raise Wrong(f"explain of {name} and {candidate.op} ends in no remedy: {candidate.reasons}")
            said[name, candidate.op] = "; ".join(why for why in candidate.reasons if why not in about_tags)
    found = [
        ("status", name, loose.op, "; ".join(why for why in loose.reasons if why not in about_tags))
        for name, loose in lookalikes.not_taken()
    ]
    found += [("pair_namespace", *refused) for each in built for refused in each.refused]
    compared = 0
    for view, name, out, reasons in found:
        if (name, out) in said:
            compared += 1
            if reasons != said[name, out]:
                raise Wrong(f"{view} says of {name} and {out} {reasons!r}, explain {said[name, out]!r}")
    return compared


def _compare_pair(built: Built, op: Any, meant: tuple[str, str] | None) -> None:
    from compat_shim.out_variant import pairing

    pair = pairing.find_pair(op)
    found = None if pair is None else (pair.out.name(), pair.source)
    if found != meant:
        raise Wrong(f"the pair of {op.name()} is {found}, meant {meant}")


if __name__ == "__main__":
    of_seed, of_batch, of_place, traced = map(int, sys.argv[1:])
    run([draw_batch(of_seed, of_batch, bool(traced))[of_place]], None)
