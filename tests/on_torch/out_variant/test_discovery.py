"""``to_out_variant`` and its family: semantics and messages on every release."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch._library._out_variant as upstream

import compat_shim
import compat_shim.out_variant as public
from compat_shim.out_variant import lookalikes, pairing
from compat_shim.release import installed, within

RELEASE = installed()
assert RELEASE is not None
# Since 2.13 Library.define itself refuses what torch.Tag.out may not be on; out_variant is free.
TAG = torch.Tag.out_variant
NAMES = (
    "to_out_variant",
    "check_out_variant",
    "get_out_arg_names",
    "register_out_variant",
    "lookup_manual_out_variant",
)


@pytest.fixture(params=[public, upstream], ids=["compat_shim.out_variant", "torch._library._out_variant"])
def names(request: pytest.FixtureRequest) -> Any:
    """The two modules that have the names."""
    return request.param


def define(library: Any, *schemas: str, tag: Any = TAG) -> Any:
    """Define a functional op and tagged overloads of it; returns the packet."""
    functional, *outs = schemas
    library.define(functional)
    for schema in outs:
        library.define(schema, tags=(tag,))
    return getattr(getattr(torch.ops, library.ns), functional.partition("(")[0].partition(".")[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_there_publicly_and_where_upstream_has_it(name: str) -> None:
    assert callable(getattr(public, name))
    assert callable(getattr(upstream, name))
    assert name in public.__all__


SCHEMAS = {
    "one output": ("op(Tensor x) -> Tensor", "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)"),
    "two outputs, none returned": (
        "op(Tensor x, float s) -> (Tensor, Tensor)",
        "op.out(Tensor x, float s, *, Tensor(a!) y, Tensor(b!) z) -> ()",
    ),
    "Tensor! without a letter": ("op(Tensor x) -> Tensor", "op.out(Tensor x, *, Tensor! out) -> ()"),
    "an out in the middle": (
        "op(Tensor x, bool fast=True) -> Tensor",
        "op.out(Tensor x, Tensor(a!) out, bool fast=True) -> ()",
    ),
    "another keyword-only argument before the out": (
        "op(Tensor x, *, ScalarType? dtype=None) -> Tensor",
        "op.out(Tensor x, *, ScalarType? dtype=None, Tensor(a!) out) -> Tensor(a!)",
    ),
    "tensors and scalars interleaved": (
        "op(Tensor x, float s, Tensor? y, SymInt[] n, Scalar t=1, Tensor[]? rest=None) -> Tensor",
        "op.out(Tensor x, float s, Tensor? y, SymInt[] n, Scalar t=1, Tensor[]? rest=None, *, Tensor(a!) out)"
        " -> Tensor(a!)",
    ),
    "an optional out": ("op(Tensor x) -> Tensor", "op.out(Tensor x, *, Tensor(a!)? out) -> ()"),
}
LIST = ("op(Tensor x) -> Tensor[]", "op.out(Tensor x, *, Tensor(a!)[] out) -> ()")


@pytest.mark.parametrize("title", SCHEMAS)
def test_a_tagged_overload_with_the_same_inputs_is_found(title: str, names: Any, library: Any) -> None:
    op = define(library, *SCHEMAS[title])

    assert names.to_out_variant(op.default) is op.out
    assert names.check_out_variant(op.default, op.out) is None


@pytest.mark.parametrize("tag", [torch.Tag.out, torch.Tag.out_variant], ids=["out", "out_variant"])
def test_either_tag_is_accepted(tag: torch.Tag, names: Any, library: Any) -> None:
    op = define(library, *SCHEMAS["one output"], tag=tag)

    assert names.to_out_variant(op.default) is op.out


def test_overloads_are_matched_by_schema_and_not_by_name(names: Any, library: Any) -> None:
    library.define("op.Tensor(Tensor x, Tensor y) -> Tensor")
    library.define("op.Scalar(Tensor x, Scalar y) -> Tensor")
    library.define("op.Scalar_out(Tensor x, Tensor y, *, Tensor(a!) out) -> Tensor(a!)", tags=(TAG,))
    library.define("op.Tensor_out(Tensor x, Scalar y, *, Tensor(a!) out) -> Tensor(a!)", tags=(TAG,))
    op = getattr(torch.ops, library.ns).op

    assert names.to_out_variant(op.Tensor) is op.Scalar_out
    assert names.to_out_variant(op.Scalar) is op.Tensor_out


@pytest.mark.parametrize(
    "out",
    [
        "op.out(Tensor y, int n=1, *, Tensor(a!) out) -> ()",
        "op.out(Tensor x, float n=1, *, Tensor(a!) out) -> ()",
        "op.out(Tensor x, int n=2, *, Tensor(a!) out) -> ()",
        "op.out(Tensor x, int n, *, Tensor(a!) out) -> ()",
        "op.out(Tensor x, *, Tensor(a!) out) -> ()",
        "op.out(Tensor x, int n=1, int m=1, *, Tensor(a!) out) -> ()",
        "op.out(Tensor x, int n=1, *, Tensor(a!) y, Tensor(b!) z) -> ()",
    ],
    ids=["name", "type", "default", "no default", "one less", "one more", "number of outs"],
)
def test_an_overload_whose_schema_differs_is_not_found_and_the_check_shows_it(
    out: str, names: Any, library: Any
) -> None:
    op = define(library, "op(Tensor x, int n=1) -> Tensor", out)

    assert names.to_out_variant(op.default) is None
    with pytest.raises(AssertionError, match=r"(?i)common mistakes") as raised:
        names.check_out_variant(op.default, op.out)
    assert str(op.out._schema) in str(raised.value)


def test_an_overload_without_the_tag_is_not_found_and_the_check_names_the_mistakes(names: Any, library: Any) -> None:
    functional, out = SCHEMAS["one output"]
    library.define(functional)
    library.define(out)
    op = getattr(torch.ops, library.ns).op

    assert names.to_out_variant(op.default) is None
    with pytest.raises(AssertionError, match=r"did not find an out variant for test_\w+\.op\.default") as raised:
        names.check_out_variant(op.default, op.out)
    message = str(raised.value)
    for mistake in ("torch.Tag.out", "overload", "input", "not functional"):
        assert mistake in message


UNTAGGED, OTHER_NAME = lookalikes.UNTAGGED, lookalikes.OTHER_NAME
# Schemas besides op(Tensor x, int n=1) -> Tensor, tagged unless marked "-"; the expected overload; the lines that say
# what is the matter with it.
MISTAKES = {
    "no tag": (
        ["-op.out(Tensor x, int n=1, *, Tensor(a!) out) -> ()"],
        "op.out",
        [UNTAGGED, "compat_shim.register_out_variant('NS::op', 'NS::op.out') pairs them"],
    ),
    "a flat name": (
        ["op_out(Tensor x, int n=1, *, Tensor(a!) out) -> ()"],
        "op_out",
        [OTHER_NAME, "compat_shim.register_out_variant('NS::op', 'NS::op_out') pairs them"],
    ),
    "a name of its own": (
        ["fast(Tensor x, int n=1, *, Tensor(a!) out) -> ()"],
        "fast",
        [OTHER_NAME, "compat_shim.register_out_variant('NS::op', 'NS::fast') pairs them"],
    ),
    "other inputs": (
        ["op.out(Tensor y, *, Tensor(a!) out) -> ()"],
        "op.out",
        [
            "input 'x' is named 'y' in the out variant",
            "input 'n' is missing from the out variant",
            lookalikes.AGREE,
        ],
    ),
    "another default": (
        ["op.out(Tensor x, int n=2, *, Tensor(a!) out) -> ()"],
        "op.out",
        ["input 'n' has default 1 and 2 in the out variant"],
    ),
    "another is it": (
        ["op.out(Tensor x, int n=1, *, Tensor(a!) out) -> ()", "-op.other(Tensor x, int n=1, *, Tensor(a!) out) -> ()"],
        "op.other",
        [
            UNTAGGED,
            "NS::op.out is taken (tag)",
            "compat_shim.register_out_variant('NS::op', 'NS::op.other') pairs them",
        ],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_check_says_which_mistake_it_is(mistake: str, names: Any, library: Any) -> None:
    schemas, expected, lines = MISTAKES[mistake]
    library.define("op(Tensor x, int n=1) -> Tensor")
    for schema in schemas:
        library.define(schema.removeprefix("-"), tags=() if schema.startswith("-") else (TAG,))
    packet, _, overload = expected.partition(".")
    out = getattr(getattr(getattr(torch.ops, library.ns), packet), overload or "default")

    with pytest.raises(AssertionError) as raised:
        names.check_out_variant(getattr(torch.ops, library.ns).op.default, out)

    said = str(raised.value).splitlines()
    (place,) = [
        place for place, line in enumerate(said) if re.match(rf"  (not )?taken.*: {re.escape(str(out._schema))}$", line)
    ]
    assert [line.strip() for line in said[place + 1 : place + 1 + len(lines)]] == [
        line.replace("NS::", f"{library.ns}::") for line in lines
    ]


def test_the_check_says_that_a_pair_made_by_hand_is_not_what_torch_looks_for(names: Any, library: Any) -> None:
    library.define("op(Tensor x) -> Tensor")
    library.define("op_out(Tensor x, *, Tensor(a!) out) -> ()")
    ops = getattr(torch.ops, library.ns)
    compat_shim.register_out_variant(ops.op.default, ops.op_out.default)
    with pytest.raises(
        AssertionError, match=r"taken \(registered\): .*\n +to_out_variant looks at tags; lookup_manual"
    ):
        names.check_out_variant(ops.op.default, ops.op_out.default)


def test_the_check_says_what_differs_in_each_overload(library: Any) -> None:
    op = define(library, "op(Tensor x, int n=1) -> Tensor", "op.out(Tensor x, int n=2, *, Tensor(a!) out) -> ()")

    with pytest.raises(AssertionError, match=r"input 'n' has default 1 and 2 in the out variant"):
        public.check_out_variant(op.default, op.out)


def test_the_check_fails_where_another_overload_is_the_out_variant(names: Any, library: Any) -> None:
    functional, out = SCHEMAS["one output"]
    library.define(functional)
    library.define("op.other(Tensor x, *, Tensor(a!) out) -> Tensor(a!)")
    library.define(out, tags=(TAG,))
    op = getattr(torch.ops, library.ns).op

    expected = rf"to_out_variant\({re.escape(str(op.default))}\).*{re.escape(str(op.out))}.*{re.escape(str(op.other))}"
    with pytest.raises(AssertionError, match=expected):
        names.check_out_variant(op.default, op.other)


@pytest.mark.parametrize(
    "schema", ["op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", "op_(Tensor x) -> Tensor", "op(Tensor(a!) x) -> ()"]
)
def test_an_op_that_is_not_functional_is_refused(schema: str, names: Any, library: Any) -> None:
    library.define(schema)
    packet, _, overload = schema.partition("(")[0].partition(".")
    op = getattr(getattr(getattr(torch.ops, library.ns), packet), overload or "default")

    with pytest.raises(RuntimeError, match="not functional") as raised:
        names.to_out_variant(op)
    assert str(op._schema) in str(raised.value)


@pytest.mark.parametrize(
    "out",
    [
        "op.out(Tensor x, *, Tensor(a!) y, Tensor(b!) z) -> (Tensor(b!), Tensor(a!))",
        "op.out(Tensor x, *, Tensor(a!) y, Tensor(b!) z) -> Tensor(a!)",
        "op.out(Tensor x, *, Tensor(a!) y, Tensor(b!) z) -> (Tensor, Tensor)",
    ],
    ids=["other order", "only one", "no alias"],
)
def test_an_out_variant_that_returns_anything_but_its_outs_in_order_is_refused(
    out: str, names: Any, library: Any
) -> None:
    op = define(library, "op(Tensor x) -> (Tensor, Tensor)", out)

    if names is upstream and within(RELEASE.version, "2.13", None):
        # Upstream's own lowering asks it in a compile, and to torch such a tag says nothing.
        assert names.to_out_variant(op.default) is None
        return
    with pytest.raises(RuntimeError, match="invalid returns") as raised:
        names.to_out_variant(op.default)
    assert str(op.out._schema) in str(raised.value)


def test_an_op_that_was_marked_before_it_existed_and_is_no_out_op_is_not_found(names: Any, library: Any) -> None:
    compat_shim.tag_out(f"{library.ns}::op.out")
    library.define("op(Tensor x) -> Tensor")
    library.define("op.out(Tensor x, *, Tensor(a!) out) -> int")
    op = getattr(torch.ops, library.ns).op

    assert names.to_out_variant(op.default) is None
    with pytest.raises(AssertionError, match=r"-> int\n +it returns something other than nothing or its out arguments"):
        names.check_out_variant(op.default, op.out)


def test_an_out_variant_that_takes_a_list_is_found_where_torch_finds_it(names: Any, library: Any) -> None:
    op = define(
        library,
        *LIST,
        "op.other_out(Tensor x, int n, *, Tensor(a!)[] out) -> ()",
    )

    if names is upstream and within(RELEASE.version, "2.13", None):
        assert names.to_out_variant(op.default) is None  # by Tag.out alone, which may not be on such a schema
        return
    assert names.to_out_variant(op.default) is op.out
    assert names.check_out_variant(op.default, op.out) is None
    assert pairing.find_pair(op.default) is None


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("op.out(Tensor x, *, Tensor(a!) first, Tensor(b!) second) -> ()", ["first", "second"]),
        ("op.out(Tensor x, Tensor! output, bool fast=True) -> ()", ["output"]),
        ("op(Tensor x) -> Tensor", []),
    ],
)
def test_the_names_of_the_outs_are_in_the_order_of_the_schema(
    schema: str, expected: list[str], names: Any, library: Any
) -> None:
    library.define(schema)
    packet = getattr(torch.ops, library.ns).op

    assert names.get_out_arg_names(getattr(packet, packet.overloads()[0])) == expected


def test_torch_s_own_ops_have_out_variants_only_where_torch_tags_them(names: Any) -> None:
    from compat_shim.out_variant.discovery import tagged_overloads

    add = torch.ops.aten.add.Tensor
    tagged = bool(tagged_overloads(add))

    assert (names.to_out_variant(add) is torch.ops.aten.add.out) is tagged
    assert (names.to_out_variant(add) is None) is not tagged


COMPARE = """
import importlib, json, sys, torch
try:
    module = importlib.import_module("torch._library._out_variant")
except ModuleNotFoundError:
    module = None
schemas, kept = json.loads(sys.argv[1]), []
native = getattr(torch.Tag, "out", getattr(torch.Tag, "out_variant", None))
for title, (functional, *outs) in schemas.items():
    library = torch.library.Library("compare_" + str(len(kept)), "DEF")
    library.define(functional)
    for out in outs:
        try:
            library.define(out, tags=() if native is None else (native,))
        except ValueError:  # 2.13 on: a schema that the tag may not be on
            pass
    kept.append((title, library))

def answers(find):
    found = {}
    for title, library in kept:
        packet = getattr(torch.ops, library.ns).op
        try:
            found[title] = str(find(packet.default))
        except RuntimeError as error:
            found[title] = "RuntimeError " + ("invalid returns" if "invalid returns" in str(error) else "")
    return found

theirs = None if module is None else answers(module.to_out_variant)
import compat_shim
compat_shim.activate()
from compat_shim.out_variant import to_out_variant
print(json.dumps([theirs, answers(to_out_variant)]))
"""


def test_the_answers_are_those_of_upstream_where_upstream_has_one(run_python: Callable[..., Any]) -> None:
    schemas = {
        **SCHEMAS,
        "a list": LIST,
        "another default": ("op(Tensor x, int n=1) -> Tensor", "op.out(Tensor x, int n=2, *, Tensor(a!) out) -> ()"),
        "no out variant": ("op(Tensor x) -> Tensor",),
        "the second fits": (
            "op(Tensor x) -> Tensor",
            "op.a(Tensor y, *, Tensor(a!) out) -> Tensor(a!)",
            "op.b(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        ),
        "invalid returns": (
            "op(Tensor x) -> (Tensor, Tensor)",
            "op.out(Tensor x, *, Tensor(a!) y, Tensor(b!) z) -> (Tensor(b!), Tensor(a!))",
        ),
    }

    theirs, ours = run_python(COMPARE, json.dumps(schemas), env={"COMPAT_SHIM": "off"}).json

    assert (theirs is not None) is within(RELEASE.version, "2.11", None)
    assert theirs is None or theirs == ours
    # Without a native tag the ops of that program are not tagged, so nothing may be found.
    found = {title for title, answer in ours.items() if answer != "None"}
    assert ("one output" in found) is (theirs is not None)
    assert found.isdisjoint({"another default", "no out variant"})
