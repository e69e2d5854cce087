"""``functional_of``: the functional op of an out op is made."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch

import compat_shim
from compat_shim.out_variant import functional, names, pairing
from support.checks import compile_and_compare
from support.libraries import ops


def _ignore(_: Any) -> None: ...


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
