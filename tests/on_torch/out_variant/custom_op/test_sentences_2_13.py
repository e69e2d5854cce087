"""What torch 2.13 says where ``torch.Tag.out`` and ``torch.Tag.inplace`` are used wrongly.

Code and tests look for these sentences, so ours begin with them. From torch 2.13 on most are torch's
own: there this file tells whether the sentences are.
"""

# ruff: noqa: E501 - a sentence stands in one line

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, Optional

import pytest
import torch
from torch import Tensor

import compat_shim.out_variant as public
from support.out_api import add, add_, inputs

OUT, INPLACE = torch.Tag.out, torch.Tag.inplace

DEFINE = {
    "op.out(Tensor x, *, Tensor out) -> Tensor": "Schema tagged with torch.Tag.out must have at least one mutable argument. Got: {}",
    "op.out(Tensor x, Tensor(a!) out) -> Tensor(a!)": "Schema tagged with torch.Tag.out requires all mutable arguments to be keyword-only (after the *). Found mutable positional args: ['out']. Got: {}",
    "op.out(Tensor x, *, Tensor(a!)? out) -> Tensor(a!)": "Schema tagged with torch.Tag.out only supports Tensor mutable arguments. Found unsupported mutable args: ['out']. Got: {}",
    "op.out(Tensor x, *, Tensor(a!)[] out) -> Tensor(a!)[]": "Schema tagged with torch.Tag.out only supports Tensor mutable arguments. Found unsupported mutable args: ['out']. Got: {}",
    "op.out(Tensor x, *, Tensor(a!) out) -> ()": "Schema tagged with torch.Tag.out must return all mutable arguments (got 1 mutable args but 0 returns). Got: {}",
    "op.out(Tensor x, *, Tensor(a!) out) -> Tensor": "Return 0 of schema tagged with torch.Tag.out must alias mutable arg 'out'. Got: {}",
    "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a)": "Return 0 of schema tagged with torch.Tag.out must be a mutable alias (e.g., Tensor(a!), not Tensor(a)) of arg 'out'. Got: {}",
    "op.out(*, Tensor(a!) a, Tensor(b!) b) -> (Tensor(a!), Tensor(a!))": "Return 1 of schema tagged with torch.Tag.out must alias mutable arg 'b' (return aliases {{'a'}} but arg aliases {{'b'}}). Got: {}",
    "op_(*, Tensor(a!) x) -> Tensor(a!)": "Schema tagged with torch.Tag.inplace must have at least one positional argument. Got: {}",
    "op_(Tensor x) -> Tensor": "Schema tagged with torch.Tag.inplace requires the first positional argument to be mutable (e.g., Tensor(a!)). Got: {}",
    "op_(Tensor(a!)[] x) -> ()": "Schema tagged with torch.Tag.inplace requires the first positional argument to be a Tensor. Got type 'List[Tensor]' for arg 'x'. Got: {}",
    "op_(Tensor(a!) x) -> ()": "Schema tagged with torch.Tag.inplace must return exactly one value (the first argument). Got 0 returns. Got: {}",
    "op_(Tensor(a!) x) -> int": "Schema tagged with torch.Tag.inplace must return the first mutable argument (return must be a Tensor, got type 'int'). Got: {}",
    "op_(Tensor(a!) x) -> Tensor": "Schema tagged with torch.Tag.inplace must return the first mutable argument (return must alias the first argument). Got: {}",
    "op_(Tensor(a!) x) -> Tensor(a)": "Schema tagged with torch.Tag.inplace must return the first mutable argument (return must be a mutable alias, e.g., Tensor(a!)). Got: {}",
    "op_(Tensor(a!) x, Tensor(b!) y) -> Tensor(b!)": "Schema tagged with torch.Tag.inplace must return the first mutable argument (return aliases {{'b'}} but first arg aliases {{'a'}}). Got: {}",
    "op_(Tensor(a!) x, Tensor(b!) y) -> Tensor(a!)": "Schema tagged with torch.Tag.inplace must only mutate the first positional argument. Found additional mutable args: ['y']. Got: {}",
}  # fmt: skip


@pytest.mark.parametrize("schema", DEFINE)
def test_library_define(schema: str, library: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(DEFINE[schema].format(torch._C.parse_schema(schema)))) as raised:
        library.define(schema, tags=INPLACE if schema.startswith("op_(") else OUT)
    assert str(raised.value).startswith(DEFINE[schema].format(torch._C.parse_schema(schema)))


def positional(x: Tensor, out: Tensor) -> Tensor: ...
def optional(x: Tensor, *, out: Optional[Tensor]) -> Tensor: ...  # noqa: UP045
def reads(x: Tensor, y: Tensor) -> Tensor: ...
def nothing(x: Tensor, *, out: Tensor) -> None: ...
def unknown(x: Tensor, *, out: Tensor) -> dict: ...  # type: ignore[type-arg]
def unsaid(x: Tensor, *, out: Tensor): ...  # type: ignore[no-untyped-def]
def too_few(x: Tensor, *, a: Tensor, b: Tensor) -> Tensor: ...
def tuple_of_one(x: Tensor, *, out: Tensor) -> tuple[Tensor]: ...
def no_positional(*, x: Tensor) -> Tensor: ...
def a_number(n: int, x: Tensor) -> Tensor: ...
def two(x: Tensor, y: Tensor) -> Tensor: ...
def in_place_nothing(x: Tensor) -> None: ...


RETURNS = "torch.Tag.out requires the return annotation to match the mutable keyword-only Tensor arguments {}."
INFER = [
    (positional, ("out",), OUT, "torch.Tag.out requires mutable arguments to be keyword-only."),
    (positional, "unknown", OUT, "torch.Tag.out requires mutable arguments to be keyword-only."),
    (optional, ("out",), OUT, "torch.Tag.out only supports mutable keyword-only Tensor arguments."),
    (reads, (), OUT, "torch.Tag.out requires at least one mutable keyword-only Tensor argument."),
    (nothing, ("out",), OUT, RETURNS.format("('out',)")),
    (unknown, ("out",), OUT, RETURNS.format("('out',)")),
    (unsaid, ("out",), OUT, RETURNS.format("('out',)")),
    (tuple_of_one, ("out",), OUT, RETURNS.format("('out',)")),
    (too_few, ("a", "b"), OUT, RETURNS.format("('a', 'b')")),
    (no_positional, ("x",), INPLACE, "torch.Tag.inplace requires a positional Tensor argument."),
    (a_number, ("x",), INPLACE, "torch.Tag.inplace requires the first positional argument to be a Tensor."),
    *(
        (
            two,
            mutates,
            INPLACE,
            "torch.Tag.inplace requires mutates_args to contain exactly the first positional argument,"
            f" got {mutates if mutates == 'unknown' else tuple(mutates)}.",
        )
        for mutates in (("y",), ["x", "y"], (), "unknown")
    ),
    (
        in_place_nothing,
        "unknown",
        INPLACE,
        "torch.Tag.inplace requires mutates_args to contain exactly the first positional argument, got unknown.",
    ),
    (in_place_nothing, ("x",), INPLACE, "torch.Tag.inplace requires the return annotation to be torch.Tensor."),
]


@pytest.mark.parametrize(("function", "mutates", "tag", "says"), INFER)
def test_infer_schema(function: Callable[..., Any], mutates: Any, tag: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"infer_schema(func): {says} Got func with signature (")) as raised:
        torch.library.infer_schema(function, mutates_args=mutates, tags=tag)
    assert str(raised.value).startswith(f"infer_schema(func): {says} Got func with signature (")


def test_infer_schema_of_both_tags() -> None:
    with pytest.raises(AssertionError, match=r"^torch\.Tag\.inplace and torch\.Tag\.out are mutually exclusive"):
        torch.library.infer_schema(two, mutates_args=("x",), tags=(INPLACE, OUT))


def test_custom_op() -> None:
    def define(name: str, function: Callable[..., Any], mutates: Any, tag: Any, schema: str) -> None:
        torch.library.custom_op(f"sentences::{name}", function, mutates_args=mutates, tags=tag, schema=schema)

    schema = "(Tensor x, *, Tensor(a!) out) -> Tensor(a!)"
    with pytest.raises(ValueError, match="Attempted") as raised:
        define("disagrees", nothing, ("x",), OUT, schema)
    assert str(raised.value).startswith(
        f"Attempted to create a custom op with `mutates_args=('x',)` and `schema={schema}. The schema suggests that the"
        " op mutates {'out'}which is different from what was provided to us in `mutates_args`. Please make these"
        " consistent."
    )
    schema = "(Tensor(a!) x, *, Tensor y) -> Tensor(a!)"
    with pytest.raises(NotImplementedError, match="kwarg-only") as unwritten:
        define("keyword_", two, ("x",), INPLACE, schema)
    assert str(unwritten.value).startswith(
        "custom_op with kwarg-only Tensor args. Please make your tensors not kwarg-only. Got: keyword_" + schema
    )


def make(function: Callable[..., Any], mutates: str, tag: Any) -> Any:
    return torch.library.custom_op(f"sentences::{function.__name__}", function, mutates_args={mutates}, tags=tag)


def test_a_call_of_an_op_that_returns_something_else() -> None:
    def copied(x: Tensor, *, out: Tensor) -> Tensor:
        return out.clone()

    def copied_(x: Tensor) -> Tensor:
        return x.clone()

    x, out = inputs()
    by = "with implementation in <module .*>"
    rule = r"An operator tagged with torch\.Tag\.out must return its mutable keyword-only arguments\."
    with pytest.raises(RuntimeError, match=rf"^copied \({by}\): {rule}"):
        make(copied, "out", OUT)(x, out=out)
    rule = r"An operator tagged with torch\.Tag\.inplace must return its first argument\."
    with pytest.raises(RuntimeError, match=rf"^copied_ \({by}\): {rule}"):
        make(copied_, "x", INPLACE)(x)


def test_a_call_with_an_argument_that_requires_grad() -> None:
    x, out = inputs()
    with pytest.raises(RuntimeError, match="grad") as raised:
        add(x.requires_grad_(), x, out=out)
    assert str(raised.value).startswith(
        "add(): functions with out=... arguments don't support automatic differentiation, but one of the arguments"
        " requires grad."
    )


def test_register_autograd() -> None:
    out, in_place = torch.ops.out_api.add.default, torch.ops.out_api.add_.default
    refused = "Cannot register autograd formula for operator tagged with torch.Tag.out: {}. Out variants do not support autograd."
    functional = "Cannot register autograd formula for non-functional operator {} with schema {}. Please create a functional operator and register an autograd formula for that."
    for register, op, sentence in (
        (add.register_autograd, None, refused.format(add)),
        (torch.library.register_autograd, add, refused.format(add)),
        (torch.library.register_autograd, "out_api::add", refused.format(add)),
        (torch.library.register_autograd, out, refused.format(add)),
        (add_.register_autograd, None, functional.format(add_, in_place._schema)),
    ):
        with pytest.raises(RuntimeError, match="autograd") as raised:
            register(*([] if op is None else [op]), lambda ctx, grad: grad)
        assert str(raised.value).startswith(sentence)


def test_register_autograd_of_an_op_of_a_library(library: Any) -> None:
    library.define("op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=OUT)
    with pytest.raises(RuntimeError, match="autograd") as raised:
        torch.library.register_autograd(f"{library.ns}::op.out", lambda ctx, grad: grad)
    assert str(raised.value).startswith(
        f"Cannot register autograd formula for operator tagged with torch.Tag.out: {library.ns}.op.out. Out variants do"
        " not support autograd."
    )


def test_register_fake() -> None:
    def with_fake(x: Tensor, *, out: Tensor) -> Tensor:
        return out.copy_(x)

    def with_fake_(x: Tensor) -> Tensor:
        return x.add_(1)

    for op, tag in ((make(with_fake, "out", OUT), "out"), (make(with_fake_, "x", INPLACE), "inplace")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            op.register_fake(lambda x, out=None: out)
        (warning,) = caught
        assert str(warning.message).startswith(
            f"The fake registration for {op} is unnecessary. Custom ops tagged with torch.Tag.{tag} already get an"
            " autogenerated fake kernel. The provided fake impl will be used instead."
        )
        assert warning.filename == __file__


def test_discovery(library: Any) -> None:
    for schema in (
        "op(Tensor x) -> Tensor",
        "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
        "op.other(Tensor x, *, Tensor(a!) out) -> ()",
        "bad(Tensor x) -> (Tensor, Tensor)",
        "bad.out(Tensor x, *, Tensor(a!) y, Tensor(b!) z) -> (Tensor(b!), Tensor(a!))",
        "lone(Tensor x) -> Tensor",
    ):
        tagged = schema.partition("(")[0].endswith(".out")
        library.define(schema, tags=torch.Tag.out_variant if tagged else ())
    ops = getattr(torch.ops, library.ns)
    for module in (public, torch._library._out_variant):
        with pytest.raises(RuntimeError, match="functional") as raised:
            module.to_out_variant(ops.op.out)
        assert str(raised.value).startswith(
            f"Failed to find out variant for op '{ops.op.out}' as its schema is not functional. \n  {ops.op.out._schema}"
        )
        with pytest.raises(AssertionError, match="find") as unfound:
            module.check_out_variant(ops.lone.default, ops.op.out)
        assert str(unfound.value).startswith(
            f"We did not find an out variant for {ops.lone.default}. Some common mistakes include:\n"
            "  1. The out variant is missing the torch.Tag.out"
        )
        with pytest.raises(AssertionError, match="expected") as other:
            module.check_out_variant(ops.op.default, ops.op.other)
        assert str(other.value).startswith(
            f"to_out_variant({ops.op.default}) returned {ops.op.out}, but expected {ops.op.other}. The out variant name"
            " does not match the functional op."
        )
    with pytest.raises(RuntimeError, match="invalid") as invalid:
        public.to_out_variant(ops.bad.default)
    assert str(invalid.value).startswith(
        f"Out variant {ops.bad.out} has invalid returns. Expected either no returns or returns that alias the mutable"
        f" args, got: {ops.bad.out._schema}"
    )
