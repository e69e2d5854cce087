"""Pairs by name, before and after the ops exist; ops tagged by hand; whole namespaces; functional ops made."""

from __future__ import annotations

import gc
import hashlib
from typing import Any

import pytest
import torch
from checks import compile_and_compare

import compat_shim
from compat_shim.out_variant import functional, lookalikes, marks, names, namespace, pairing, registry, to_out_variant
from compat_shim.out_variant.direct import out_op
from compat_shim.reports.op_explanation import explain_op

FUNCTIONAL = "op(Tensor x, float by=2.) -> Tensor"
OUT = "op_out(Tensor x, Tensor(a!) out, float by=2.) -> ()"


def _ignore(_: Any) -> None: ...


def ops(library: Any) -> Any:
    return getattr(torch.ops, library.ns)


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


def test_a_namespace_is_paired_by_schema_and_reported(library: Any) -> None:
    for schema in (
        "a(Tensor x) -> Tensor",
        "a.out(Tensor x, *, Tensor(a!) out) -> ()",
        "b(Tensor x) -> (Tensor, Tensor)",
        "b_out(Tensor x, Tensor(a!) y, Tensor(b!) z) -> ()",
        "c(Tensor x) -> Tensor",
        "c_out(Tensor y, *, Tensor(a!) out) -> ()",
        "d(Tensor x) -> Tensor",
        "d.out(Tensor x, *, Tensor(a!) out) -> ()",
        "d_out(Tensor x, *, Tensor(a!) out) -> ()",
        "e.int(Tensor x, int n) -> Tensor",
        "e.int_out(Tensor x, int n, *, Tensor(a!) out) -> ()",
        "e.float(Tensor x, float n) -> Tensor",
        "f(Tensor x) -> Tensor",
        "f_outer(Tensor x, *, Tensor(a!) out) -> ()",
        "g_(Tensor(a!) x) -> ()",
        "i(Tensor x) -> Tensor",
        "i_out(Tensor x, Tensor out) -> ()",
        "j(Tensor x) -> Tensor",
        "j.x(Tensor x) -> Tensor",
        "j.a_out(Tensor x, *, Tensor(a!) out) -> ()",
        "j.b_out(Tensor x, *, Tensor(a!) out) -> ()",
    ):
        library.define(schema)
    library.define("h(Tensor x) -> Tensor")
    library.define("h.out(Tensor x, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    report = compat_shim.pair_namespace(library.ns)

    def short(*rows: tuple[str, ...]) -> set[tuple[str, ...]]:
        return {tuple(text.removeprefix(f"{library.ns}::") for text in row) for row in rows}

    assert short(*report.paired) == {
        ("a", "a.out"),
        ("b", "b_out"),
        ("d", "d.out"),  # the packet goes before the flat name
        ("e.int", "e.int_out"),
    }
    assert short(*report.already) == {("h", "h.out")}
    assert short(*(row[:2] for row in report.refused)) == {
        ("c", "c_out"),
        ("e.float", "e.int_out"),
        ("i", "i_out"),
        ("j", "j.a_out"),
        ("j", "j.b_out"),
        ("j.x", "j.a_out"),
        ("j.x", "j.b_out"),
    }
    why = {row[1].partition("::")[2]: row[2] for row in report.refused}
    assert "input 'x' is named 'y'" in why["c_out"]
    assert "write `Tensor(a!) out`" in why["i_out"]
    assert f"{library.ns}::j.b_out, {library.ns}::j.x fit too" in next(
        row[2] for row in report.refused if row[:2] == (f"{library.ns}::j", f"{library.ns}::j.a_out")
    )
    assert f"register_out_variant('{library.ns}::j.x', '{library.ns}::j.a_out') pairs them" in why["j.a_out"]
    assert "4 paired, 7 refused" in str(report)
    assert pairing.find_pair(ops(library).a.default) is not None
    assert pairing.find_pair(ops(library).d.default).source == "namespace"
    assert pairing.find_pair(ops(library).j.default) is None
    again = compat_shim.pair_namespace(library.ns)
    assert again.paired == ()
    assert len(again.already) == 5


def test_torch_s_own_namespaces_are_refused() -> None:
    for name in ("aten", "_c10d_functional", "quantized", "symm_mem"):
        with pytest.raises(ValueError, match="torch's own"):
            compat_shim.pair_namespace(name)


def test_every_namespace_that_torch_defines_is_refused(run_python: Any) -> None:
    code = (
        "import json, torch, torch._inductor.lowering;"
        "print(json.dumps(sorted({name.split('::')[0] for name in torch._C._dispatch_get_all_op_names()})))"
    )
    own = set(run_python(code, env={"COMPAT_SHIM": "off"}).json)
    assert own - namespace.TORCH_NAMESPACES <= {"quantized_decomposed"}


def test_a_namespace_without_ops_says_so() -> None:
    assert "no loaded library defines an op" in str(compat_shim.pair_namespace("no_such_namespace"))


# --- functional_of


def quantize(x: torch.Tensor, scale: float = 1.0, *, bits: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(x, dtype=torch.int8), x.new_empty(x.shape[0], 1)


def define_quantize(library: Any) -> Any:
    library.define("quantize.out(Tensor x, float scale=1., *, int bits=8, Tensor(a!) q, Tensor(b!) s) -> ()")

    def write(x: torch.Tensor, scale: float = 1.0, *, bits: int = 8, q: torch.Tensor, s: torch.Tensor) -> None:
        s.copy_(x.abs().amax(-1, keepdim=True) * scale)
        q.copy_((x / s * (2 ** (bits - 1) - 1)).round())

    library.impl("quantize.out", write, "CompositeExplicitAutograd")
    return ops(library).quantize.out


def test_the_functional_op_of_an_out_op_is_made_and_lowered(library: Any) -> None:
    out = define_quantize(library)
    op = compat_shim.functional_of(out, like=quantize)
    assert str(op._schema) == (f"{library.ns}::quantize(Tensor x, float scale=1., *, int bits=8) -> (Tensor, Tensor)")
    x = torch.randn(4, 8)
    q, s = op(x, 2.0, bits=4)
    assert (q.dtype, q.shape, s.shape) == (torch.int8, (4, 8), (4, 1))
    assert torch.equal(s, x.abs().amax(-1, keepdim=True) * 2)
    code = compile_and_compare(lambda x: op(x, 2.0, bits=4), x)
    assert f"torch.ops.{library.ns}.quantize.out(" in code
    compile_and_compare(lambda x: op(x), x, dynamic=True)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("op_out(Tensor x, Tensor(a!) out, int[2] n=[1, 2]) -> ()", "op(Tensor x, int[2] n=[1, 2]) -> Tensor"),
        ("op.out(*, Tensor(a!) out) -> Tensor(a!)", "op() -> Tensor"),
        ('op.out(Tensor! out, str s="a,(b") -> ()', 'op(str s="a,(b") -> Tensor'),
        (
            'op.out(Device d="cpu", str s="a\\"b, (", complex c=2.0, *, Tensor(a!) out) -> ()',
            'op(Device d="cpu", str s="a\\"b, (", complex c=2.0) -> Tensor',
        ),
        (
            "op.int_out(Tensor?[] xs, *, Tensor? b=None, Tensor(a!) c) -> ()",
            "op.int(Tensor?[] xs, *, Tensor? b=None) -> Tensor",
        ),
    ],
)
def test_the_functional_op_has_the_inputs_of_the_out_op(schema: str, expected: str, library: Any) -> None:
    library.define(schema)
    op = compat_shim.functional_of(
        f"{library.ns}::{schema.partition('(')[0]}", like=lambda *args, **kwargs: torch.empty(3)
    )
    assert str(op._schema) == str(torch._C.parse_schema(f"{library.ns}::{expected}"))
    assert pairing.find_pair(op) is not None


def test_the_defaults_of_a_functional_op_mean_what_the_out_op_s_do(library: Any) -> None:
    library.define('d.out(Tensor x, Device where="cpu", str s="a\\"b", *, Tensor(a!) out) -> ()')

    def write(x: torch.Tensor, where: Any = "cpu", s: str = 'a"b', *, out: torch.Tensor) -> None:
        torch.add(x, len(s), out=out)

    library.impl("d.out", write, "CompositeExplicitAutograd")
    op = compat_shim.functional_of(ops(library).d.out, like=lambda x, *_: torch.empty_like(x))
    x = torch.randn(3)
    assert torch.equal(op(x), x + 3)
    code = compile_and_compare(lambda x: [op(x), op(x, "cpu", "four")], x)
    assert ".d.out(" in code


def test_a_schema_that_cannot_be_written_as_text_is_refused(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    library.define("n.out(Tensor x, complex c=2.0, *, Tensor(a!) out) -> ()")
    monkeypatch.setattr(functional, "_with_default", lambda part, _: part)  # as torch prints it
    with pytest.raises(ValueError, match=r"n\.out: the schema of a functional op cannot be made"):
        compat_shim.functional_of(ops(library).n.out, like=torch.empty_like)
    assert not names.exists(f"{library.ns}::n")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda x: x.clone(), "it returned (Fake)?Tensor$"),
        (lambda x: [x.clone()] * 3, "it returned (Fake)?Tensor, (Fake)?Tensor, (Fake)?Tensor$"),
        (lambda x: (x.clone(), 1), "it returned (Fake)?Tensor, int$"),
    ],
)
def test_a_like_that_does_not_return_what_the_op_does_is_told(made: Any, says: str, library: Any) -> None:
    library.define("two.out(Tensor x, *, Tensor(a!) first, Tensor(b!) second) -> ()")
    op = compat_shim.functional_of(ops(library).two.out, like=made)
    message = f"{library.ns}::two: the like of functional_of must return one Tensor for each of first, second; {says}"
    with pytest.raises(ValueError, match=message):
        op(torch.randn(3))
    with torch._subclasses.FakeTensorMode(), pytest.raises(ValueError, match=message):
        op(torch.randn(3))


def test_the_functional_op_can_be_given_a_name(library: Any) -> None:
    out = define_quantize(library)
    other = "other_" + hashlib.sha256(library.ns.encode()).hexdigest()[:8]
    op = compat_shim.functional_of(out, like=quantize, name=f"{other}::q")
    assert op is getattr(torch.ops, other).q.default
    with pytest.raises(ValueError, match="defined already"):
        compat_shim.functional_of(out, like=quantize, name=f"{other}::q")


def test_an_out_op_that_is_none_or_is_missing_is_refused(library: Any) -> None:
    library.define("op(Tensor x) -> Tensor")
    with pytest.raises(ValueError, match="is not an out op"):
        compat_shim.functional_of(ops(library).op.default, like=torch.empty_like)
    with pytest.raises(ValueError, match="is not defined"):
        compat_shim.functional_of(f"{library.ns}::missing.out", like=torch.empty_like)


def test_an_input_that_requires_grad_reaches_the_out_op_of_a_functional_op() -> None:
    @torch.library.custom_op("by_name::scaled_out", mutates_args={"out"}, tags=torch.Tag.out)
    def scaled_out(x: torch.Tensor, by: float = 2.0, *, out: torch.Tensor) -> torch.Tensor:
        return torch.mul(x, by, out=out)

    op = compat_shim.functional_of("by_name::scaled_out", like=lambda x, by=2.0: x + 0)
    x = torch.randn(3, 4, requires_grad=True)
    with pytest.raises(RuntimeError, match="requires grad"):
        scaled_out(x, out=torch.empty(3, 4))
    expected = x.detach() * 3
    assert torch.equal(op(x, 3.0).detach(), expected)
    assert torch.equal(torch.compile(lambda x: op(x, 3.0), fullgraph=True)(x).detach(), expected)


@pytest.mark.parametrize("name", ["self", "keyset", "functional", "kwargs", "out"])
def test_the_arguments_of_a_functional_op_s_out_op_may_have_any_name(name: str, library: Any) -> None:
    library.define(f"named.out(Tensor x, *, Tensor {name}, Tensor(a!) buffer) -> ()")
    library.impl(
        "named.out", lambda x, **rest: _ignore(rest["buffer"].copy_(x + rest[name])), "CompositeExplicitAutograd"
    )
    op = compat_shim.functional_of(ops(library).named.out, like=lambda x, **rest: torch.empty_like(x))
    x = torch.ones(3)
    assert torch.equal(op(x, **{name: x}), x + 1)
