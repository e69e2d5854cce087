"""Which out variant belongs to which functional overload: the decision alone, without an op or a compile."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch

from compat_shim.out_variant import families
from compat_shim.out_variant import schema as schemas

# Name of the overload, then its inputs where they are not `Tensor x`. "" is the default overload.
CASES = {
    "two functional overloads, the out is named for one": (["add", "sub"], ["add_out"], {"add": "add_out"}),
    "the default overload has the plain out": (["", "fancy"], ["out"], {"": "out"}),
    "the order of the outs does not matter": (["", "hi"], ["hi_out", "out"], {"": "out", "hi": "hi_out"}),
    "the default has none where the out is the other's": (["", "fast"], ["fast_out"], {"fast": "fast_out"}),
    "alone at both ends, whatever the names": (["dim"], ["out"], {"dim": "out"}),
    "alone by their inputs": (
        ["Tensor Tensor x, Tensor y", "Scalar Tensor x, Scalar y"],
        ["out Tensor x, Tensor y", "Scalar_out Tensor x, Scalar y"],
        {"Tensor": "out", "Scalar": "Scalar_out"},
    ),
    "no elimination": (["", "x"], ["out", "y_out"], {"": "out"}),
    "without case": (["tensor", "int"], ["Tensor_out", "INT_OUT"], {"tensor": "Tensor_out", "int": "INT_OUT"}),
    "dim_X and X_out": (["dim_IntList", "n"], ["IntList_out", "n_out"], {"dim_IntList": "IntList_out", "n": "n_out"}),
    "X and X_out beats dim_X": (["X", "dim_X"], ["X_out"], {"X": "X_out"}),
    "out without a default overload and two claimants": (["a", "b"], ["out"], {}),
    "out without a default overload, one of two is claimed": (
        ["a", "b"],
        ["out", "b_out"],
        {"b": "b_out", "a": "out"},
    ),
    "nothing tells": (["", "x"], ["a_out", "b_out"], {}),
    "one functional overload and two outs, one named for it": ([""], ["other", "out"], {"": "out"}),
    "equal defaults go before names": (
        ["a Tensor x, int n=1", "b Tensor x, int n=2"],
        ["a_out Tensor x, int n=2", "b_out Tensor x, int n=1"],
        {"a": "b_out", "b": "a_out"},
    ),
    "a default does not keep a pair apart": (["q Tensor x, int n=4"], ["out Tensor x, SymInt n"], {"q": "out"}),
    "a label's default does not": (['q Tensor x, str l="q"'], ['q_out Tensor x, str l="q.out"'], {"q": "q_out"}),
    "a default that equals the other and is not it": (["q Tensor x, float a=-0."], ["out Tensor x, float a=0."], {}),
    "SymInt is int": (["q Tensor x, SymInt[] n"], ["out Tensor x, int[] n"], {"q": "out"}),
    "ScalarType is not int": (["q Tensor x, ScalarType? t"], ["out Tensor x, int? t"], {}),
    "alone at both ends, though it is named for an overload that it does not fit": (
        ["", "hi Tensor x, int k"],
        ["hi_out"],
        {"": "hi_out"},
    ),
    "one that is named for another does not keep the right one away": (
        ["", "hi Tensor x, int k"],
        ["hi_out", "out"],
        {"": "out"},
    ),
    "out is anybody's where the default overload has other inputs": (
        [" Tensor x, int k", "dim"],
        ["out"],
        {"dim": "out"},
    ),
    "Layout is not int": (["q Tensor x, Layout t"], ["out Tensor x, int t"], {}),
}


def parsed(overloads: Sequence[str], out: bool, base: str = "ns::op") -> list[torch._C.FunctionSchema]:
    found = []
    for overload in overloads:
        name, _, inputs = overload.partition(" ")
        called = f"{base}.{name}" if name else base
        written = ", *, Tensor(a!) out" if out else ""
        found.append(torch._C.parse_schema(f"{called}({inputs or 'Tensor x'}{written}) -> {'()' if out else 'Tensor'}"))
    return found


def decided(functionals: Sequence[str], outs: Sequence[str], base: str = "ns::op") -> dict[str, str]:
    mine, theirs = parsed(functionals, False), parsed(outs, True, base)
    decision = families.decide(mine, theirs)
    return {mine[f].overload_name: theirs[o].overload_name for f, o in decision.pairs.items()}


@pytest.mark.parametrize("title", CASES)
def test_a_family_is_decided_as_its_author_means(title: str) -> None:
    functionals, outs, expected = CASES[title]
    for _ in range(6):
        assert decided(functionals, outs) == expected
        functionals, outs = random.sample(functionals, len(functionals)), random.sample(outs, len(outs))


def test_a_flat_name_reads_like_an_overload() -> None:
    assert decided(["", "fast"], ["", "fast"], "ns::op_out") == {"": "", "fast": "fast"}
    assert decided(["", "fast"], ["out", "fast_out"], "ns::op_out") == {"": "out", "fast": "fast_out"}


def test_what_has_a_pair_leaves_and_frees_nothing_by_it() -> None:
    mine, theirs = parsed(["", "x"], False), parsed(["x_out"], True)
    assert families.decide(mine, theirs, taken={1}).pairs == {}
    decision = families.decide(mine, theirs)
    assert decision.pairs == {1: 0}
    assert decision.rivals(0, 0) == ([], [1])


WORDS = ("", "Tensor", "Scalar", "int", "dim_int", "fast", "out", "lambda", "op", "x_out")
INPUTS = ("Tensor x", "Tensor x, int n=1", "Tensor x, int n=2", "Tensor x, SymInt n", "Tensor x, Tensor? y=None")


def convention(functional: str) -> str:
    return f"{functional}_out" if functional else "out"


@pytest.mark.parametrize("seed", range(4))
def test_random_families_never_give_an_out_away_from_the_overload_that_it_is_named_for(seed: int) -> None:
    draw = random.Random(seed)
    paired = 0
    for _ in range(3000):
        names = draw.sample(WORDS, draw.randint(1, 4))
        functionals = [f"{name} {draw.choice(INPUTS)}" for name in names]
        out_names = draw.sample([*map(convention, WORDS), "other", "a_out"], draw.randint(0, 4))
        outs = [f"{name} {draw.choice(INPUTS)}" for name in out_names if name not in names]
        found = decided(functionals, outs)
        paired += len(found)
        assert len(set(found.values())) == len(found)
        shuffled = draw.sample(functionals, len(functionals)), draw.sample(outs, len(outs))
        assert decided(*shuffled) == found

        mine = {schema.overload_name: schema for schema in parsed(functionals, False)}
        theirs = {schema.overload_name: schema for schema in parsed(outs, True)}
        for functional, out in found.items():
            assert not schemas.mismatches(mine[functional], theirs[out])
            for other in mine.keys() - {functional}:
                fits = not schemas.mismatches(mine[other], theirs[out])
                if fits and convention(other) == out:
                    # Only equal defaults, here and not there, go before a name.
                    assert not schemas.default_mismatches(mine[functional], theirs[out])
                    assert schemas.default_mismatches(mine[other], theirs[out]) or other in found
    assert paired > 1000
