"""Pairs registered by hand: what fits, what is refused, and how long they live."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
import torch._library._out_variant as upstream

import compat_shim
from compat_shim.out_variant import pairing, registry
from support.libraries import ops

register = registry.register_out_variant
lookup = registry.lookup_manual_out_variant


def overload(library: Any, schema: str, tags: Any = ()) -> Any:
    """Define an overload and return it."""
    library.define(schema, tags=tags)
    packet, _, name = schema.partition("(")[0].partition(".")
    return getattr(getattr(ops(library), packet), name or "default")


def pairs(library: Any) -> list[tuple[str, str, tuple[str, ...], str]]:
    """The pairs of the library's namespace, as ``all_pairs`` lists them."""
    return [
        (str(pair.functional), str(pair.out), pair.out_names, pair.source)
        for pair in pairing.all_pairs()
        if pair.functional.namespace == library.ns
    ]


GOOD = {
    "one output": ("op(Tensor x) -> Tensor", "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", ("out",)),
    "several outputs": (
        "op(Tensor x) -> (Tensor, Tensor)",
        "op.out(Tensor x, *, Tensor(a!) y, Tensor(b!) z) -> ()",
        ("y", "z"),
    ),
    "a flat name": ("op(Tensor x) -> Tensor", "op_out(Tensor x, *, Tensor(a!) out) -> ()", ("out",)),
    "positional outs": (
        "op(Tensor x, Tensor w, str key) -> (Tensor, Tensor)",
        "op_out(Tensor x, Tensor w, str key, Tensor(a!) q, Tensor(b!) s) -> ()",
        ("q", "s"),
    ),
    "an out in the middle": (
        "op(Tensor x, Tensor? bias=None, bool fast=True) -> Tensor",
        "op_out(Tensor x, Tensor(a!) output, Tensor? bias=None, bool fast=True) -> ()",
        ("output",),
    ),
    "an out before the inputs": (
        "op(Tensor x) -> Tensor",
        "op_out(Tensor! result, Tensor x) -> ()",
        ("result",),
    ),
}


@pytest.mark.parametrize("title", GOOD)
def test_a_pair_that_fits_is_found_once_it_is_registered(title: str, library: Any) -> None:
    functional_schema, out_schema, out_names = GOOD[title]
    functional, out = overload(library, functional_schema), overload(library, out_schema)
    assert lookup(functional) is None
    assert pairing.find_pair(functional) is None
    assert pairs(library) == []

    compat_shim.register_out_variant(functional, out)

    assert lookup(functional) is out
    assert upstream.lookup_manual_out_variant(functional) is out
    pair = pairing.find_pair(functional)
    assert pair is not None
    assert (pair.functional, pair.out, pair.out_names, pair.source) == (functional, out, out_names, "registered")
    assert pairs(library) == [(str(functional), str(out), out_names, "registered")]


def test_the_out_variant_may_be_of_another_namespace(library: Any) -> None:
    other = torch.library.Library(library.ns + "_other", "DEF")
    functional = overload(library, "op(Tensor x) -> Tensor")
    out = overload(other, "write(Tensor x, Tensor(a!) out) -> ()")

    register(functional, out)

    assert lookup(functional) is out
    other._destroy()
    gc.collect()
    assert lookup(functional) is None
    assert pairing.find_pair(functional) is None
    assert pairs(library) == []


def test_a_pair_registered_by_hand_goes_before_one_found_by_tag_and_the_last_one_counts(library: Any) -> None:
    functional = overload(library, "op(Tensor x) -> Tensor")
    tagged = overload(library, "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", torch.Tag.out)
    flat = overload(library, "op_out(Tensor x, Tensor(a!) out) -> ()")
    assert pairing.find_pair(functional).out is tagged

    register(functional, flat)
    assert pairing.find_pair(functional).out is flat

    register(functional, tagged)
    assert pairing.find_pair(functional).out is tagged
    assert [pair[1] for pair in pairs(library)] == [str(tagged)]


@pytest.mark.parametrize(
    ("functional", "out", "message"),
    [
        ("op(Tensor x) -> Tensor", "op_out(Tensor y, Tensor(a!) out) -> ()", "input 'x' is named 'y'"),
        ("op(int n) -> Tensor", "op_out(float n, Tensor(a!) out) -> ()", "input 'n' is a int and a float"),
        (
            "op(ScalarType n) -> Tensor",
            "op_out(int n, *, Tensor(a!) out) -> ()",
            "input 'n' is a ScalarType and a int",
        ),
        ("op(int[] n) -> Tensor", "op_out(Layout n, *, Tensor(a!) out) -> ()", "a List.int. and a Layout"),
        ("op(Tensor x, int n) -> Tensor", "op_out(Tensor x, Tensor(a!) out) -> ()", "input 'n' is missing from"),
        ("op(Tensor x) -> Tensor", "op_out(Tensor x, int n, Tensor(a!) out) -> ()", "has no input 'n'"),
        ("op(Tensor x) -> (Tensor, Tensor)", "op_out(Tensor x, Tensor(a!) out) -> ()", "writes to 1 arguments, but 2"),
        ("op(Tensor x) -> Tensor", "op_out(Tensor x, Tensor out) -> ()", "write `Tensor.a!. out`"),
        ("op(Tensor x) -> Tensor", "op_out(Tensor x, *, Tensor(a!)[] out) -> ()", "not a Tensor"),
        ("op(Tensor x) -> Tensor[]", "op_out(Tensor x, Tensor(a!) out) -> ()", r"returns List\[Tensor\]"),
        ("op(Tensor x) -> (Tensor, int)", "op_out(Tensor x, Tensor(a!) y, Tensor(b!) z) -> ()", "returns int"),
        ("op(Tensor x) -> ()", "op_out(Tensor x) -> ()", "returns nothing"),
        ("op(Tensor(a!) x) -> Tensor", "op_out(Tensor(a!) x) -> ()", "writes to an argument"),
        ("op(Tensor(a) x) -> Tensor(a)", "op_out(Tensor x, Tensor(a!) out) -> ()", "returns an alias"),
        ("op(Tensor x) -> Tensor", "op_out(Tensor x, Tensor(a!) out) -> Tensor", "something other than nothing"),
    ],
)
def test_a_pair_that_does_not_fit_is_refused_with_what_does_not_match(
    functional: str, out: str, message: str, library: Any
) -> None:
    functional_op, out_op = overload(library, functional), overload(library, out)

    with pytest.raises(ValueError, match=message) as raised:
        register(functional_op, out_op)

    assert str(functional_op._schema) in str(raised.value)
    assert str(out_op._schema) in str(raised.value)
    assert lookup(functional_op) is None
    assert pairs(library) == []


def test_what_is_not_an_overload_is_refused(library: Any) -> None:
    functional = overload(library, "op(Tensor x) -> Tensor")

    with pytest.raises(TypeError, match=r"expected an OpOverload such as torch\.ops\.ns\.op\.default"):
        register(ops(library).op, functional)
    with pytest.raises(TypeError, match="expected an OpOverload"):
        register(functional, lambda x, out: None)


def test_pairs_go_away_with_the_library_and_do_not_come_back_with_the_name(library: Any) -> None:
    def define(owner: Any) -> tuple[Any, Any]:
        overload(owner, "tagged(Tensor x) -> Tensor")
        overload(owner, "tagged.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", torch.Tag.out)
        return overload(owner, "op(Tensor x) -> Tensor"), overload(owner, "op_out(Tensor x, Tensor(a!) out) -> ()")

    first = torch.library.Library(library.ns, "FRAGMENT")
    old, old_out = define(first)
    register(old, old_out)
    assert len(pairs(library)) == 2

    first._destroy()
    gc.collect()

    assert pairs(library) == []
    assert lookup(old) is None
    new, _ = define(library)
    assert new is not old
    assert lookup(new) is None
    assert lookup(old) is None
    assert [pair[3] for pair in pairs(library)] == ["tag"]


def test_a_registered_pair_keeps_no_op_alive(library: Any) -> None:
    owner = torch.library.Library(library.ns, "FRAGMENT")
    functional = overload(owner, "op(Tensor x) -> Tensor")
    out = overload(owner, "op_out(Tensor x, Tensor(a!) out) -> ()")
    register(functional, out)
    pairing.find_pair(functional)
    references = weakref.ref(functional), weakref.ref(out)
    gc.collect()
    count = len(registry._registered)

    del functional, out
    owner._destroy()
    gc.collect()

    assert [reference() for reference in references] == [None, None]
    assert len(registry._registered) == count - 1


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "tagged"])
def test_an_op_that_is_still_held_has_no_pair_once_the_out_variant_s_library_is_gone(
    registered: bool, library: Any
) -> None:
    other = torch.library.Library(library.ns, "FRAGMENT")
    functional = overload(library, "op(Tensor x) -> Tensor")
    out = overload(other, "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", () if registered else torch.Tag.out)
    if registered:
        register(functional, out)
    assert pairing.find_pair(functional).out is out

    other._destroy()
    gc.collect()

    # `functional` is what a custom_op, or a graph, may still hold.
    assert pairing.find_pair(functional) is None
    assert pairing.find_pair(ops(library).op.default) is None
    assert pairs(library) == []


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "tagged"])
def test_a_pair_goes_away_with_its_ops_though_torch_ops_still_holds_their_packet(
    registered: bool, library: Any
) -> None:
    owner = torch.library.Library(library.ns, "FRAGMENT")
    functional = overload(owner, "op(Tensor x) -> Tensor")
    out = overload(owner, "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", () if registered else torch.Tag.out)
    packet = ops(library).op
    if registered:
        register(functional, out)
    assert len(pairs(library)) == 1

    owner.m.reset()  # as the end of a C++ library, and on torch 2.6 of one that is collected

    assert packet is ops(library).op
    assert pairing.find_pair(functional) is None
    assert pairs(library) == []
    compat_shim.status()


def test_a_pair_of_torch_s_own_registry_goes_away_with_the_library(library: Any) -> None:
    other = torch.library.Library(library.ns, "FRAGMENT")
    functional = overload(library, "op(Tensor x) -> Tensor")
    out = overload(other, "op_out(Tensor x, Tensor(a!) out) -> ()")
    upstream.register_out_variant(functional, out)
    assert pairing.find_pair(functional).out is out
    assert [pair[3] for pair in pairs(library)] == ["registered"]

    other._destroy()
    gc.collect()

    assert pairing.find_pair(functional) is None
    assert pairs(library) == []


def test_an_overload_that_is_added_later_is_found(library: Any) -> None:
    functional = overload(library, "op(Tensor x) -> Tensor")
    assert pairing.find_pair(functional) is None

    out = overload(library, "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", torch.Tag.out)

    assert pairing.find_pair(functional).out is out
    assert pairs(library) == [(str(functional), str(out), ("out",), "tag")]
