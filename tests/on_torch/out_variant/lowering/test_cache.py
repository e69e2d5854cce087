"""Compiled code is shared between processes only where they lower every op alike.

A *process* here is described by whether the shim is on and which ops have an out variant. Whatever
ran before it over the same cache folder, it must run what its own description says. This file is
also the program of those processes: ``python test_cache.py '[...]'`` runs one after the other, each
in a fork of an interpreter that has imported the compiler, and prints what each one saw.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from support.processes import finding_support

CACHES = ("fx", "aot")
CALLS = {"fx": 1, "aot": 2}  # so that the graph of one cache is not found in the other


def process(shim: str, *pairs: str) -> dict[str, Any]:
    return {"shim": shim, "pairs": sorted(pairs)}


EVERY = process("on", "tagged", "registered", "backward")

# Each: a title, the graphs that are compiled, and the processes in the order in which they run.
SEQUENCES = {
    "after lowered code, a process without shim or overload runs the functional op": (
        ("tagged", "registered"),
        (
            process("on", "tagged", "registered"),
            process("off", "tagged", "registered"),
            process("on"),
            process("on", "tagged", "registered"),
        ),
    ),
    "after code that is not lowered, a process with shim and overload runs the out variant": (
        ("tagged", "registered"),
        (process("off", "tagged", "registered"), process("on"), process("on", "tagged", "registered")),
    ),
    "a pair registered by hand counts while it is registered": (
        ("tagged", "registered"),
        (process("on", "tagged"), process("on", "tagged", "registered"), process("on", "tagged")),
    ),
    "an out variant of an op in the backward graph counts for the forward graph too": (
        ("train",),
        (process("on"), process("on", "backward"), process("on")),
    ),
}


Run = dict[str, Any]  # {"cache": folder, "graphs": [...], "processes": [...]}


def run(runs: dict[str, Run]) -> dict[str, list[dict[str, Any]]]:
    """Run the processes of each run in order; returns what each saw, as ``observe`` makes it."""
    finished = subprocess.run(
        [sys.executable, __file__, json.dumps(runs)],
        # Its children are forks, which cannot use CUDA.
        env=finding_support(COMPAT_SHIM="off", CUDA_VISIBLE_DEVICES=""),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    seen: dict[str, list[dict[str, Any]]] = {title: [] for title in runs}
    for line in finished.stdout.splitlines():
        if line.startswith("{"):
            title, observed = json.loads(line)["run"], json.loads(line)["observed"]
            seen[title].append(observed)
    return seen


@pytest.fixture(scope="session")
def seen(
    request: pytest.FixtureRequest,
    once: Callable[[str, Callable[[], Any]], Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[dict[str, Any]]]:
    """The program that is started again and, where a test asks for them, the sequences: title → what was seen."""
    asked_for = any(item.get_closest_marker("processes") for item in request.session.items)

    def make() -> dict[str, list[dict[str, Any]]]:
        runs = {
            title: {"cache": str(tmp_path_factory.mktemp("cache")), "graphs": graphs, "processes": processes}
            for title, (graphs, processes) in (SEQUENCES if asked_for else {}).items()
        }
        again = {"cache": str(tmp_path_factory.mktemp("cache")), "graphs": ("tagged", "train"), "processes": (EVERY,)}
        if not asked_for:  # two forks of one interpreter, which take half the time
            return run({"again": {**again, "processes": (EVERY, EVERY)}})
        first = run({**runs, "again": again})
        return {**first, "again": first["again"] + run({"again": again})["again"]}

    return once("test_cache", make)


def expected_calls(graph: str, process: dict[str, Any], native: bool, calls: int) -> dict[str, int]:
    """The kernels that must run. Stock torch lowers tagged ops itself where ``native``."""
    op = "backward" if graph == "train" else graph
    lowered = op in process["pairs"] and (process["shim"] == "on" or (native and op != "registered"))
    kernel = {"registered": "registered_out"}.get(op, f"{op}.out") if lowered else op
    return {kernel: calls, **({"train": calls} if graph == "train" else {})}


@pytest.mark.processes
@pytest.mark.parametrize("title", SEQUENCES)
def test_what_a_process_runs_depends_on_its_own_pairs_and_not_on_the_cache(
    title: str, seen: dict[str, list[dict[str, Any]]]
) -> None:
    graphs, processes = SEQUENCES[title]

    assert len(seen[title]) == len(processes)
    for place, (process, observed) in enumerate(zip(processes, seen[title])):
        assert "error" not in observed, f"process {place} {process}: {observed}"
        known = process in processes[:place]
        for cache in CACHES:
            for graph in graphs:
                what = observed[f"{cache} {graph}"]
                where = f"process {place} {process}, {cache} cache, graph {graph}: {what}"
                assert what["right"], where
                assert what["calls"] == expected_calls(graph, process, observed["native"], CALLS[cache]), where
                assert (what["hits"] > 0) is known, where
                assert (what["misses"] > 0) is not known, where


def test_the_same_program_started_again_hits_both_caches_and_still_calls_the_out_variant(
    seen: dict[str, list[dict[str, Any]]],
) -> None:
    first, second = seen["again"]  # two processes, and two interpreters where there is time for them

    for cache in CACHES:
        for graph, hits in (("tagged", 1), ("train", 2 if cache == "fx" else 1)):
            before, after = first[f"{cache} {graph}"], second[f"{cache} {graph}"]
            assert (before["hits"], before["misses"]) == (0, hits)
            assert (after["hits"], after["misses"]) == (hits, 0)
            assert (before["lowered"], before["lowered or loaded"]) == (CALLS[cache], CALLS[cache])
            assert (after["lowered"], after["lowered or loaded"]) == (0, CALLS[cache])  # no graph was compiled
            assert after["right"]
            assert after["calls"] == expected_calls(graph, EVERY, True, CALLS[cache])


def test_a_key_has_one_more_part_while_the_shim_is_active_and_none_after_deactivate(
    seen: dict[str, list[dict[str, Any]]],
) -> None:
    for sequence in seen.values():
        for observed in sequence:
            active = observed["shim"] == "on"
            assert observed["salted"] == {"before": False, "active": active, "deactivated": False}
            assert observed["restored"]


SALTS = """
import json, compat_shim, torch
from compat_shim import process
from compat_shim.out_variant.lowering import cache_key
library = torch.library.Library("salted", "FRAGMENT")
salts = {}

def salt(name):
    salts[name] = cache_key.salt()

def define(schema, *tags):
    library.define(schema, tags=tags)

salt("no pair")
define("op(Tensor x, int n=1) -> Tensor")
define("op.out(Tensor x, int n=1, *, Tensor(a!) out) -> Tensor(a!)")
define("other(Tensor x) -> Tensor")
salt("an out overload without tag")
define("other.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", torch.Tag.out)
salt("other is paired")
compat_shim.register_out_variant(torch.ops.salted.op.default, torch.ops.salted.op.out)
salt("op is paired by hand too")
define("third(Tensor x) -> Tensor")
define("third.out(Tensor x, *, Tensor(a!) y) -> Tensor(a!)", torch.Tag.out)
salt("a third pair")
library._destroy()
library = torch.library.Library("salted", "FRAGMENT")
salt("the library is gone")
define("op(Tensor x, int n=1) -> Tensor")
define("op.out(Tensor x, int n=1, *, Tensor(a!) out) -> Tensor(a!)", torch.Tag.out)
salt("op is paired by tag")
library._destroy()
library = torch.library.Library("salted", "FRAGMENT")
define("op(Tensor x, int n=2) -> Tensor")
define("op.out(Tensor x, int n=2, *, Tensor(a!) out) -> Tensor(a!)", torch.Tag.out)
salt("op has another default")
cache_key.VERSION = "0"
salt("another version")
cache_key.CODEGEN_VERSION += 1
salt("other generated code")
verdicts = {**process.verdicts(), "direct": "DISABLED"}
process.verdicts = lambda: verdicts
salt("other features")
print(json.dumps(salts))
"""


@pytest.mark.processes
def test_the_salt_is_equal_in_two_processes_and_differs_with_features_pairs_defaults_and_version(
    run_python: Callable[..., Any],
) -> None:
    first, second = (run_python(SALTS, env={"PYTHONHASHSEED": seed}).json for seed in "12")

    assert first == second
    no_pair = first.pop("no pair")
    assert first.pop("an out overload without tag") == no_pair
    assert first.pop("the library is gone") == no_pair
    assert len({no_pair, *first.values()}) == 1 + len(first) == 9


def has_salt() -> bool:
    import torch
    from torch._inductor.codecache import FxGraphHashDetails

    return "compat_shim" in vars(FxGraphHashDetails(torch.fx.symbolic_trace(torch.nn.Identity()), [], {}, []))


def observe(graphs: list[str], shim: str, pairs: list[str]) -> dict[str, Any]:
    """Compile and run the graphs in this process, with each of the caches."""
    import torch
    from torch._dynamo.utils import counters
    from torch._inductor import codecache, ir

    import compat_shim

    native = hasattr(ir, "ExternKernelMultiOut")
    init = vars(codecache.FxGraphHashDetails)["__init__"]
    salted = {"before": has_salt()}
    if shim == "on":
        compat_shim.activate()
        assert compat_shim.status().good, str(compat_shim.status())
    # Stock torch up to 2.10 has no tag: there a library that is unaware of it tags nothing.
    tag = getattr(torch.Tag, "out", getattr(torch.Tag, "out_variant", None))
    library = torch.library.Library("cached", "DEF")
    calls: dict[str, int] = {}

    def define(schema: str, kernel: Callable[..., Any], tagged: bool = False) -> None:
        library.define(schema, tags=(tag,) if tagged and tag is not None else ())
        name = schema.partition("(")[0]

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return kernel(*args, **kwargs)

        library.impl(name, counted, "CompositeExplicitAutograd")

    def write(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        return out.copy_(x * 2)

    def write_positional(x: torch.Tensor, out: torch.Tensor) -> None:
        out.copy_(x * 2)

    for op in ("tagged", "registered", "train", "backward"):
        define(f"{op}(Tensor x) -> Tensor", lambda x: x * 2)
        library.impl(op, lambda x: torch.empty_like(x), "Meta")
        if op in pairs and op != "registered":
            define(f"{op}.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", write, tagged=True)
    define("registered_out(Tensor x, Tensor(a!) out) -> ()", write_positional)
    ops = torch.ops.cached
    if "registered" in pairs and shim == "on":
        compat_shim.register_out_variant(ops.registered.default, ops.registered_out.default)
    torch.library.register_autograd("cached::train", lambda ctx, grad: ops.backward(grad), lib=library)

    def observe_one(cache: str, graph: str) -> dict[str, Any]:
        torch._dynamo.reset()
        counters.clear()
        calls.clear()
        times = CALLS[cache]

        def program(x: torch.Tensor) -> torch.Tensor:
            for _ in range(times):
                x = getattr(ops, graph)(x)
            return x

        x = torch.ones(3, requires_grad=graph == "train")
        with torch._functorch.config.patch(enable_autograd_cache=cache == "aot"):
            y = torch.compile(program, fullgraph=True)(x)
            if graph == "train":
                y.sum().backward()
        values = [y, x.grad] if graph == "train" else [y]
        found = counters["inductor"] if cache == "fx" else counters["aot_autograd"]
        prefix = "fxgraph" if cache == "fx" else "autograd"
        return {
            "right": all(bool((value == 2**times).all()) for value in values),
            "calls": dict(calls),
            "hits": found[f"{prefix}_cache_hit"],
            "misses": found[f"{prefix}_cache_miss"],
            "lowered": counters["compat_shim"]["lowered"],
            "lowered or loaded": counters["inductor"]["compat_shim: lowered"],
        }

    seen: dict[str, Any] = {f"{cache} {graph}": observe_one(cache, graph) for cache in CACHES for graph in graphs}
    salted["active"] = has_salt()
    compat_shim.deactivate()
    salted["deactivated"] = has_salt()
    restored = vars(codecache.FxGraphHashDetails)["__init__"] is init
    return {**seen, "shim": shim, "native": native, "salted": salted, "restored": restored}


def main(runs: str) -> int:
    import torch

    # What takes the time is done once for all processes: the imports of the first compile.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = next(iter(json.loads(runs).values()))["cache"] + "-of-the-parent"
    library = torch.library.Library("parent", "DEF")
    library.define("op(Tensor x) -> Tensor")
    library.impl("op", lambda x: x * 2, "CompositeExplicitAutograd")
    library.impl("op", lambda x: torch.empty_like(x), "Meta")
    torch.compile(lambda x: torch.ops.parent.op(x))(torch.ones(3))
    for title, run in json.loads(runs).items():
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = run["cache"]
        for process in run["processes"]:
            child = os.fork()
            if child == 0:
                try:
                    observed = observe(run["graphs"], **process)
                except Exception as error:
                    observed = {"error": f"{type(error).__name__}: {error}"}
                print(json.dumps({"run": title, "observed": observed}), flush=True)
                os._exit(0)
            if os.waitpid(child, 0)[1] != 0:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
