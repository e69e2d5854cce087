"""Pairs by name, before and after the ops exist, and ops tagged by hand."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch

import compat_shim
from compat_shim.out_variant import lookalikes, marks, pairing, registry, to_out_variant
from compat_shim.out_variant.direct import out_op
from compat_shim.reports.op_explanation import explain_op
from support.checks import compile_and_compare
from support.libraries import ops

FUNCTIONAL = "op(Tensor x, float by=2.) -> Tensor"
OUT = "op_out(Tensor x, Tensor(a!) out, float by=2.) -> ()"


def implement(library: Any) -> None:
    """Kernels for ``op`` and ``op_out`` of a library that defines both."""

    def write(x: torch.Tensor, out: torch.Tensor, by: float = 2.0) -> None:
        torch.mul(x, by, out=out)

    library.impl("op", lambda x, by=2.0: x * by, "CompositeExplicitAutograd")
    library.impl("op_out", write, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::op", lambda x, by=2.0: torch.empty_like(x), lib=library)


def salt() -> str:
    from compat_shim.out_variant.lowering import cache_key

    return cache_key.salt()


def test_a_pair_of_names_waits_for_its_ops(library: Any, caplog: pytest.LogCaptureFixture) -> None:
    compat_shim.register_out_variant(f"{library.ns}::op.default", f"{library.ns}::op_out")
    gc.collect()  # or the pairs of an earlier test's library may go away in between
    before = salt()
    library.define(FUNCTIONAL)
    assert pairing.find_pair(ops(library).op.default) is None
    assert salt() == before
    library.define(OUT)
    implement(library)
    pair = pairing.find_pair(ops(library).op.default)
    assert pair is not None
    assert pair.out is ops(library).op_out.default
    assert salt() != before
    code = compile_and_compare(lambda x: ops(library).op(x, 3.0), torch.randn(4, 5))
    assert f"torch.ops.{library.ns}.op_out.default(" in code
    assert not [record for record in caplog.records if record.name == "compat_shim"]


def test_the_cache_key_holds_a_pair_that_waited_before_anything_asks_for_it(library: Any) -> None:
    compat_shim.register_out_variant(f"{library.ns}::op", f"{library.ns}::op_out")
    before = salt()
    library.define(FUNCTIONAL)
    library.define(OUT)
    assert salt() != before
    assert [pair.out.name() for pair in pairing.all_pairs() if pair.functional.namespace == library.ns] == [
        f"{library.ns}::op_out"
    ]


def test_the_cache_key_sees_an_op_that_was_defined_anew_without_its_tag() -> None:
    def define(namespace: str, tags: Any) -> Any:
        library = torch.library.Library(namespace, "FRAGMENT")
        library.define("f(Tensor x) -> Tensor")
        library.define("f.out(Tensor x, *, Tensor(a!) out) -> ()", tags=tags)
        return library

    def listed() -> bool:
        return "anew::f" in pairing.tagged_ops()

    library = define("anew", torch.Tag.out_variant)
    assert listed()
    library._destroy()
    library = define("anew", ())  # the names of all ops are what they were
    assert not listed()
    library._destroy()
    library = define("anew", torch.Tag.out_variant)
    assert listed()
    library._destroy()
    assert not listed()


def test_names_of_ops_that_exist_are_as_good_as_the_ops(library: Any) -> None:
    library.define(FUNCTIONAL)
    library.define(OUT)
    compat_shim.register_out_variant(f"{library.ns}::op", ops(library).op_out.default)
    assert registry.lookup_manual_out_variant(ops(library).op.default) is ops(library).op_out.default
    with pytest.raises(ValueError, match="no argument is annotated as written"):
        compat_shim.register_out_variant(f"{library.ns}::op", f"{library.ns}::op")


def test_a_pair_that_waited_and_does_not_fit_is_ignored_with_a_warning(
    library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    compat_shim.register_out_variant(f"{library.ns}::op", f"{library.ns}::op_out")
    library.define(FUNCTIONAL)
    library.define("op_out(Tensor y, float by=2., *, Tensor(a!) out) -> ()")
    assert pairing.find_pair(ops(library).op.default) is None
    assert pairing.find_pair(ops(library).op.default) is None
    (record,) = caplog.records
    assert "input 'x' is named 'y'" in record.getMessage()


@pytest.mark.parametrize("name", ["op", "ns::", "::op", "ns::op.a.b", ""])
def test_what_is_no_name_of_an_overload_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of an overload"):
        compat_shim.register_out_variant(name, "ns::op_out")


def test_outs_say_which_out_argument_takes_which_output(library: Any) -> None:
    library.define("op(Tensor x) -> (Tensor, Tensor)")
    library.define("op.out(Tensor x, *, Tensor(a!) second, Tensor(b!) first) -> ()")

    def write(x: torch.Tensor, *, second: torch.Tensor, first: torch.Tensor) -> None:
        first.copy_(x)
        second.copy_(-x)

    library.impl("op", lambda x: (x.clone(), -x), "CompositeExplicitAutograd")
    library.impl("op.out", write, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::op", lambda x: (torch.empty_like(x), torch.empty_like(x)), lib=library)
    op = ops(library).op
    with pytest.raises(ValueError, match="are not the arguments that it writes to"):
        compat_shim.register_out_variant(op.default, op.out, outs=("first",))
    compat_shim.register_out_variant(op.default, op.out, outs=("first", "second"))
    code = compile_and_compare(lambda x: op(x), torch.randn(4, 5))
    assert f"torch.ops.{library.ns}.op.out(" in code


def test_an_op_tagged_by_hand_is_paired_by_its_schema(library: Any) -> None:
    compat_shim.tag_out(f"{library.ns}::op.out")
    library.define(FUNCTIONAL)
    library.define("op.out(Tensor x, float by=2., *, Tensor(a!) out) -> ()")
    op = ops(library).op
    assert to_out_variant(op.default) is op.out
    assert [pair.out for pair in pairing.all_pairs() if pair.functional is op.default] == [op.out]
    assert torch.Tag.out_variant not in op.out.tags


def test_an_op_tagged_after_its_functional_op_was_looked_up_is_found(library: Any) -> None:
    library.define(FUNCTIONAL)
    library.define("op.out(Tensor x, float by=2., *, Tensor(a!) out) -> ()")
    op = ops(library).op
    assert pairing.find_pair(op.default) is None
    compat_shim.tag_out(op.out)
    assert pairing.find_pair(op.default) is not None


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("bad(Tensor x) -> Tensor", "writes to no argument"),
        ("bad(Tensor x, *, Tensor(a!)[] out) -> ()", "writes to a List"),
        ("bad(Tensor x, *, Tensor(a!) out) -> Tensor", "returns something other"),
    ],
)
def test_an_op_that_is_no_out_op_is_not_tagged(schema: str, says: str, library: Any) -> None:
    library.define(schema)
    with pytest.raises(ValueError, match=says):
        compat_shim.tag_out(ops(library).bad.default)
    assert f"{library.ns}::bad" not in marks.marked_names()
    with pytest.raises(TypeError, match="expected an OpOverload"):
        compat_shim.tag_out(ops(library).bad)


@pytest.mark.parametrize("name", ["aten::add.out", "aten::no_such.out", "prims::no_such.out"])
def test_an_op_of_torch_s_own_is_not_tagged(name: str) -> None:
    with pytest.raises(ValueError, match="an op of torch's own"):
        compat_shim.tag_out(name)
    assert name not in marks.marked_names()


@pytest.mark.parametrize("returned", ["int", "Tensor"])
def test_an_op_that_was_tagged_before_it_existed_and_is_no_out_op_is_left_to_torch(returned: str, library: Any) -> None:
    compat_shim.tag_out(f"{library.ns}::op.out")
    library.define(FUNCTIONAL)
    library.define(f"op.out(Tensor x, float by=2., *, Tensor(a!) out) -> {returned}")
    library.impl("op", lambda x, by=2.0: x * by, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::op", lambda x, by=2.0: torch.empty_like(x), lib=library)
    op = ops(library).op
    assert not out_op.is_out_op(op.out)
    code = compile_and_compare(lambda x: op(x), torch.randn(4))
    assert ".op.out(" not in code
    reason = "it returns something other than nothing or its out arguments in order"
    assert reason in str(explain_op(f"{library.ns}::op"))
    said = {row.functional: row.reasons for row in compat_shim.status().candidates}
    assert said[f"{library.ns}::op"] == (reason, lookalikes.AGREE)


def test_an_untagged_op_that_returns_its_out_can_be_called_directly_once_it_is_tagged_or_registered(
    library: Any,
) -> None:
    library.define("tagged.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)")
    library.define("paired(Tensor x) -> Tensor")
    library.define("paired_out(Tensor x, Tensor(a!) out) -> Tensor(a!)")
    library.impl("tagged.out", lambda x, *, out: out.copy_(x), "CompositeExplicitAutograd")
    library.impl("paired_out", lambda x, out: out.copy_(-x), "CompositeExplicitAutograd")
    tagged, paired = ops(library).tagged.out, ops(library).paired_out.default
    assert not out_op.may_be_called_directly(tagged)
    assert not out_op.may_be_called_directly(paired)
    compat_shim.tag_out(tagged)
    compat_shim.register_out_variant(f"{library.ns}::paired", paired)

    def graph(x: torch.Tensor) -> Any:
        b = tagged(x, out=torch.empty_like(x))
        return b, paired(b, torch.empty_like(x))

    compile_and_compare(graph, torch.randn(4, 5))
