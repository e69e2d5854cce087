"""``torch.Tag.out``, ``torch.Tag.out_variant`` and ``torch.Tag.inplace`` on every release."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

import compat_shim  # noqa: F401  (what gives older torch the tags)
from compat_shim.out_variant import to_out_variant
from compat_shim.out_variant.tag import out_tags
from compat_shim.patches.tag import TAG_VALUES
from compat_shim.release import installed, within

NAMES = ("out", "out_variant")
RELEASE = installed()
assert RELEASE is not None
SINCE = {"out": "2.13", "out_variant": "2.11", "inplace": "2.13"}
NATIVE = {name: within(RELEASE.version, first, None) for name, first in SINCE.items()}
# One that torch 2.13 accepts under a tag too: a keyword-only out that is returned.
OUT = "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)"


@pytest.fixture(params=NAMES)
def tag(request: pytest.FixtureRequest) -> torch.Tag:
    return getattr(torch.Tag, request.param)


@pytest.mark.parametrize("make", [lambda tag: tag, lambda tag: (tag,), lambda tag: [tag]], ids=["tag", "tuple", "list"])
def test_library_define_takes_the_tag_alone_and_in_a_sequence(
    make: Callable[[torch.Tag], Any], tag: torch.Tag, library: Any
) -> None:
    library.define("op(Tensor x) -> Tensor")
    library.define(OUT, tags=make(tag))
    op = getattr(torch.ops, library.ns).op

    assert tag in op.out.tags
    assert op.out.tags.count(tag) == 1
    assert tag not in op.default.tags


def test_library_define_takes_the_tag_beside_another(tag: torch.Tag, library: Any) -> None:
    library.define(OUT, tags=(torch.Tag.pt2_compliant_tag, tag))

    assert {tag, torch.Tag.pt2_compliant_tag} <= set(getattr(torch.ops, library.ns).op.out.tags)


@pytest.mark.parametrize("make", [lambda tag: tag, lambda tag: (tag,)], ids=["tag", "tuple"])
def test_torch_library_define_takes_the_tag(make: Callable[[torch.Tag], Any], tag: torch.Tag, library: Any) -> None:
    schema = OUT.partition("(")[2]
    torch.library.define(f"{library.ns}::op.out", f"({schema}", lib=library, tags=make(tag))

    assert tag in getattr(torch.ops, library.ns).op.out.tags


@pytest.mark.parametrize("name", SINCE)
def test_the_tag_is_a_member_of_the_enum(name: str) -> None:
    tag = getattr(torch.Tag, name)

    assert isinstance(tag, torch.Tag)
    assert torch.Tag.__members__[name] == tag
    assert int(tag) == int(torch.Tag(int(tag)))
    assert tag.name == name
    assert repr(tag) == f"<Tag.{name}: {int(tag)}>"
    assert str(tag) == f"Tag.{name}"


def test_the_tags_are_three_on_every_release() -> None:
    assert len({getattr(torch.Tag, name) for name in SINCE}) == 3
    assert out_tags() == (torch.Tag.out, torch.Tag.out_variant)


def test_the_value_is_torch_s_own_where_torch_has_one_and_never_changes_elsewhere() -> None:
    for name in SINCE:
        assert (int(getattr(torch.Tag, name)) == TAG_VALUES[name]) is not NATIVE[name]
    # They are compiled into C++ libraries.
    assert TAG_VALUES == {"out_variant": 7304564, "out": 1869968417, "inplace": 1768845420}


def test_the_tag_equals_its_copies_and_no_other_tag(tag: torch.Tag) -> None:
    copies = [copy.copy(tag), copy.deepcopy(tag), torch.Tag(int(tag))]
    copies += [pickle.loads(pickle.dumps(tag, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]

    assert copies == [tag] * len(copies)
    assert {hash(one) for one in copies} == {hash(tag)}
    assert {repr(one) for one in copies} == {repr(tag)}
    others = [member for member in torch.Tag.__members__.values() if int(member) != int(tag)]
    assert len(others) > 5
    assert tag not in others


PROGRAM = """
import json, torch

def members():
    names = {name: int(tag) for name, tag in torch.Tag.__members__.items()}
    return [names, sorted(name for name in dir(torch.Tag) if not name.startswith("__"))]

before = members()
import compat_shim
compat_shim.activate()
active = members()
held = torch.Tag.out
library = torch.library.Library("tag_test", "DEF")
library.define("op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=held)
compat_shim.deactivate()
after = members()
still = held in torch.ops.tag_test.op.out.tags
compat_shim.activate()
print(json.dumps({"before": before, "active": active, "after": after, "again": members(), "still": still}))
"""


def test_deactivate_takes_exactly_the_added_names_away_and_activate_brings_them_back(
    run_python: Callable[..., Any],
) -> None:
    seen = run_python(PROGRAM, env={"COMPAT_SHIM": "off"}).json

    assert seen["before"] == seen["after"]
    assert seen["active"] == seen["again"]
    added = set(seen["active"][0]) - set(seen["before"][0])
    assert added == {name for name in SINCE if not NATIVE[name]}
    assert set(seen["active"][1]) - set(seen["before"][1]) == added
    assert seen["still"]  # an op that was defined keeps its tag


def test_an_op_tagged_in_one_process_is_tagged_alike_in_the_next(run_python: Callable[..., Any]) -> None:
    sent = pickle.dumps([torch.Tag.out, torch.Tag.out_variant]).hex()
    program = (
        "import sys, json, pickle, compat_shim, torch\n"
        "tags = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "print(json.dumps([tags == [torch.Tag.out, torch.Tag.out_variant], *map(repr, tags)]))"
    )

    assert run_python(program, sent).json == [True, repr(torch.Tag.out), repr(torch.Tag.out_variant)]


@pytest.mark.parametrize(
    "out",
    ["op.out(Tensor x, *, Tensor(a!) out) -> ()", "op.out(Tensor x, Tensor(a!) out) -> Tensor(a!)"],
    ids=["returns nothing", "positional out"],
)
def test_tag_out_has_rules_and_tag_out_variant_is_lenient(out: str, library: Any) -> None:
    library.define("op(Tensor x) -> Tensor")
    with pytest.raises(ValueError, match=r"torch\.Tag\.out"):
        library.define(out, tags=torch.Tag.out)
    library.define(out, tags=torch.Tag.out_variant)
    op = getattr(torch.ops, library.ns).op

    assert to_out_variant(op.default) is op.out
