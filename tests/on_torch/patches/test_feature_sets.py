"""Every set of features that ``COMPAT_SHIM_FEATURES`` can ask for, against eager and against stock torch.

This file is also the program of the processes: ``python test_feature_sets.py '[...]'`` runs one after
the other, each in a fork of an interpreter that has imported the compiler with the shim off.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import cpu_vec_isa
from torch._inductor.utils import run_and_get_code

import compat_shim
from compat_shim.env import FEATURE_IDS
from compat_shim.patches import FEATURES
from compat_shim.patching.engine import brought
from support.cpp_compiler import trust_the_compiler
from support.processes import finding_support


def _askable() -> dict[frozenset[str], str]:
    """The features that come → the shortest list that brings them."""
    found: dict[frozenset[str], str] = {}
    for length in range(len(FEATURE_IDS) + 1):
        for asked_for in itertools.combinations(FEATURE_IDS, length):
            found.setdefault(frozenset(brought(asked_for, FEATURES)), ",".join(asked_for) or "none")
    return found


SETS = _askable()
STOCK = "stock"
# Two processes without the lowering, two with it, over one cache folder.
OVER_ONE_CACHE = ("tag,discovery", "direct", "tag,discovery", "lowering")
_kept: list[Any] = []  # a Library that goes takes its ops along


@pytest.fixture(scope="session")
def seen(
    once: Callable[[str, Callable[[], Any]], Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, Any]]]:
    """``graphs``: what each set made of the graphs; ``cache``: what the processes over one cache saw."""

    def make() -> dict[str, list[dict[str, Any]]]:
        runs = [("graphs", asked_for) for asked_for in (STOCK, *SETS.values())]
        runs += [("cache", asked_for) for asked_for in OVER_ONE_CACHE]
        folder = str(tmp_path_factory.mktemp("cache"))
        finished = subprocess.run(
            [sys.executable, __file__, json.dumps(runs)],
            # Its children are forks, which cannot use CUDA.
            env=finding_support(COMPAT_SHIM="off", TORCHINDUCTOR_CACHE_DIR=folder, CUDA_VISIBLE_DEVICES=""),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert finished.returncode == 0, finished.stdout[-5000:] + finished.stderr[-5000:]
        found: dict[str, list[dict[str, Any]]] = {"graphs": [], "cache": []}
        for line in finished.stdout.splitlines():
            if line.startswith('["seen"'):
                _, what, result = json.loads(line)
                found[what].append(result)
        return found

    return once("test_feature_sets", make)


@pytest.fixture
def stock(seen: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return seen["graphs"][0]["graphs"]


@pytest.mark.parametrize("features", SETS, ids=SETS.values())
def test_a_set_of_features_gives_what_eager_gives_or_what_stock_gives(
    features: frozenset[str], seen: dict[str, list[dict[str, Any]]], stock: dict[str, Any]
) -> None:
    what = seen["graphs"][1 + list(SETS).index(features)]

    assert {name for name, verdict in what["verdicts"].items() if verdict != "DISABLED"} == features
    assert set(what["verdicts"].values()) <= {"APPLIED", "NATIVE", "DISABLED"}
    for name, found in what["graphs"].items():
        where = f"{name}: {found}, stock: {stock[name]}"
        if found.get("error"):
            assert stock[name].get("error"), where
        elif found["compiled"] != found["eager"]:
            assert found["compiled"] == stock[name].get("compiled"), where
            assert "direct" not in features, where
        if "lowering" not in features and not stock[name].get("error"):
            assert found == stock[name], where  # generated code too, since the cache key is torch's own
    if "lowering" in features:
        assert not [name for name, found in what["graphs"].items() if found.get("error")]
        code = "\n".join(what["graphs"]["functional"]["code"])
        assert all(call in code for call in ("sets.f.out(", "sets.g.out(", "sets.h_out.default("))


def test_a_process_never_hits_what_one_with_other_features_has_cached(seen: dict[str, list[dict[str, Any]]]) -> None:
    first, other, first_again, other_again = seen["cache"]

    assert (first["hits"], other["hits"]) == (0, 0)
    assert first_again["hits"] > 0
    assert other_again["hits"] > 0
    assert first["calls"] == first_again["calls"] != other["calls"] == other_again["calls"]
    assert "h" in first["calls"]
    assert "h_out" in other["calls"]
    assert all(what["right"] for what in seen["cache"])


def define(calls: list[str]) -> dict[str, Callable[[Any], Any]]:
    """The graphs, of ops that every process defines as far as its torch lets it."""
    tags = [getattr(torch.Tag, name, None) for name in ("out", "out_variant")]
    out, out_variant = ([tag] if tag is not None else [] for tag in tags)
    library = torch.library.Library("sets", "FRAGMENT")
    _kept.append(library)

    def op(schema: str, kernel: Callable[..., Any], tags: Any = (), fake: bool = False) -> None:
        name = schema.partition("(")[0]
        library.define(schema, tags=tags)

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return kernel(*args, **kwargs)

        library.impl(name, counted, "CPU")
        if fake:
            torch.library.register_fake(f"sets::{name}", lambda x, *others: torch.empty_like(x), lib=library)

    op("f(Tensor x) -> Tensor", lambda x: x * 2, fake=True)
    op("f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", lambda x, *, out: out.copy_(x * 2), tags=out)
    # Torch 2.13 on does not look for Tag.out_variant, and its own lowering would make a wrong call of this.
    op("g(Tensor x, float s, Tensor y) -> Tensor", lambda x, s, y: x * s + y, fake=True)
    op(
        "g.out(Tensor x, float s, Tensor y, *, Tensor(a!) q) -> Tensor(a!)",
        lambda x, s, y, *, q: q.copy_(x * s + y),
        tags=out_variant,
    )
    op("h(Tensor x) -> Tensor", lambda x: x + 1, fake=True)
    op("h_out(Tensor(a!) out, Tensor x) -> ()", lambda out, x: [out.copy_(x + 1)].clear())
    compat_shim.register_out_variant("sets::h", "sets::h_out")
    op("add.out(Tensor x, Tensor y, *, Tensor(a!) out) -> Tensor(a!)", lambda x, y, *, out: out.copy_(x + y), tags=out)
    # An out op by registration alone: its functional op is another's.
    op("k(Tensor x) -> Tensor", lambda x: x + 3, fake=True)
    op("k_out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", lambda x, *, out: out.copy_(x + 3))
    compat_shim.register_out_variant("sets::k", "sets::k_out")
    ops = torch.ops.sets

    def functional(x: Any) -> Any:
        return ops.h(ops.g(ops.f(x), 2.0, x))

    def two_calls(x: Any) -> Any:
        b = torch.empty_like(x)
        ops.add.out(x, x, out=b)
        c = torch.empty_like(x)
        ops.add.out(b, x, out=c)
        return b, c

    def mutated_after(x: Any) -> Any:
        b = torch.empty_like(x)
        r = ops.add.out(x, x, out=b)
        b.add_(x)
        return r, b

    def beside_a_pair(x: Any) -> Any:
        b = torch.empty_like(x)
        r = ops.add.out(x, x, out=b)
        return ops.h(ops.g(x, 2.0, r)), r

    def of_custom_op(x: Any) -> Any:
        b = torch.empty_like(x)
        r = torch.ops.sets_custom.add(x, x, out=b)
        c = torch.empty_like(x)
        s = torch.ops.sets_custom.add(b, r, out=c)
        return r, b, s, c

    def registered(x: Any) -> Any:
        b = torch.empty_like(x)
        ops.k_out(x, out=b)
        return b

    return {
        graph.__name__: graph
        for graph in (functional, two_calls, mutated_after, beside_a_pair, of_custom_op, registered)
    }


def define_custom_op() -> None:
    @torch.library.custom_op("sets_custom::add", mutates_args={"out"}, tags=torch.Tag.out)
    def add(x: torch.Tensor, y: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        return out.copy_(x + y)


def compile_graph(graph: Callable[[Any], Any]) -> dict[str, Any]:
    torch._dynamo.reset()
    x = torch.ones(3)
    try:
        if graph.__name__ == "of_custom_op" and not hasattr(torch.ops.sets_custom, "add"):
            define_custom_op()
        # What stock breaks the graph at must not be an error.
        compiled, codes = run_and_get_code(torch.compile(graph, fullgraph=graph.__name__ != "registered"), x)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    lines = (line.strip() for code in codes for line in code.splitlines())
    return {
        "compiled": [value.tolist() for value in torch.utils._pytree.tree_leaves(compiled)],
        "eager": [value.tolist() for value in torch.utils._pytree.tree_leaves(graph(x))],
        "code": [line for line in lines if re.search(r"torch\.ops\.sets|reuse", line) and not line.startswith("#")],
    }


def observe(what: str, asked_for: str) -> dict[str, Any]:
    if asked_for != STOCK:
        os.environ["COMPAT_SHIM_FEATURES"] = asked_for
        compat_shim.activate()
    calls: list[str] = []
    graphs = define(calls)
    if what == "graphs":
        # Kernels are kept between the processes, graphs are not.
        with torch._inductor.config.patch(fx_graph_cache=False):
            found = {name: compile_graph(graph) for name, graph in graphs.items()}
        return {"graphs": found, "verdicts": {one.id: one.verdict for one in compat_shim.status().features}}
    counters.clear()
    x = torch.ones(3)
    ops = torch.ops.sets
    right = torch.equal(torch.compile(lambda x: ops.h(ops.f(x)), fullgraph=True)(x), torch.full((3,), 3.0))
    hits = counters["inductor"]["fxgraph_cache_hit"] + counters["aot_autograd"]["autograd_cache_hit"]
    return {"right": right, "hits": hits, "calls": calls}


def main(runs: str) -> int:
    # What takes the time is done once for all processes: the imports of the first compile. (With no kernel in
    # C++, whose threads a fork would wait for.)
    library = torch.library.Library("parent", "DEF")
    library.define("op(Tensor x) -> Tensor")
    library.impl("op", lambda x: x * 2, "CPU")
    library.impl("op", lambda x: torch.empty_like(x), "Meta")
    torch.compile(lambda x: torch.ops.parent.op(x))(torch.ones(3))
    trust_the_compiler()
    cpu_vec_isa.pick_vec_isa()  # may try instruction sets in processes
    for what, asked_for in json.loads(runs):
        child = os.fork()
        if child == 0:
            print(json.dumps(["seen", what, observe(what, asked_for)]), flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            print(f"{what} of {asked_for} failed")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
