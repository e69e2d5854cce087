"""Why a call has no pair: what fits is named, with what pairs it, and that can be run as it is printed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

import compat_shim  # noqa: F401  (what is printed uses it)
from compat_shim.out_variant import lookalikes, namespace, pairing, survey
from compat_shim.reports import no_pair

OUT = "(Tensor x, *, Tensor(a!) out) -> ()"


def define(library: Any, *schemas: str) -> Any:
    """Define ``op(Tensor x) -> Tensor`` and these; one that ends with "tagged" is."""
    for schema in ("op(Tensor x) -> Tensor", *schemas):
        tagged = schema.endswith(" tagged")
        library.define(schema.removesuffix(" tagged"), tags=torch.Tag.out_variant if tagged else ())
    return getattr(torch.ops, library.ns)


@pytest.mark.parametrize(
    ("schema", "twin", "but"),
    [
        (f"op.out{OUT}", "op.out", "it is not tagged"),
        (f"op_out{OUT}", "op_out", "it is not tagged"),
        (f"op_out{OUT} tagged", "op_out", lookalikes.OTHER_NAME),
    ],
)
def test_what_fits_is_named_and_the_line_and_the_flag_pair_it(schema: str, twin: str, but: str, library: Any) -> None:
    op = define(library, schema).op.default
    ns = library.ns
    decline, reason, change = no_pair.why(op)
    assert (decline, reason) == ("UNPAIRED", f"{ns}::{twin} fits, but {but}")
    found = re.fullmatch(
        r"(.*) pairs them; so does `python -m compat_shim run --pair (\S+) -- COMMAND`, or (\S+) in place of \2", change
    )
    assert found is not None
    assert found[3] == ns
    namespace.register(survey.survey(found[2]))  # what `run --pair` does
    pair = pairing.find_pair(op)
    assert pair is not None
    assert (pair.out.name(), pair.source) == (f"{ns}::{twin}", "namespace")
    exec(found[1])
    pair = pairing.find_pair(op)
    assert pair is not None
    assert (pair.out.name(), pair.source) == (f"{ns}::{twin}", "registered")


def test_where_names_do_not_tell_there_is_a_line_and_no_flag(library: Any) -> None:
    op = define(library, f"op.a{OUT}", f"op.b{OUT}").op.default
    _, reason, change = no_pair.why(op)
    assert reason.startswith(f"{library.ns}::op.a fits, but it is not tagged; {library.ns}::op.b fit too")
    assert change == f"compat_shim.register_out_variant('{library.ns}::op', '{library.ns}::op.a') pairs them"


def test_an_out_variant_that_is_another_overload_s_is_told_so(library: Any) -> None:
    ops = define(library, "op.more(Tensor x) -> Tensor", f"op.out{OUT} tagged")
    decline, reason, _ = no_pair.why(ops.op.more)
    assert decline == "UNPAIRED"
    assert reason == f"{library.ns}::op.out fits, but it is the out variant of {library.ns}::op (tag)"


def test_what_does_not_fit_is_named_with_what_it_lacks(library: Any) -> None:
    out = "(Tensor y, int k, *, Tensor(a!) out) -> ()"
    op = define(library, f"op.far{out}", "op.near(Tensor x, int k, *, Tensor(a!) out) -> () tagged").op.default
    near = f"it has no out variant; {library.ns}::op.near is none: the functional op has no input 'k'"
    assert no_pair.why(op) == ("NO_PAIR", near, lookalikes.AGREE)


def test_an_overload_that_python_cannot_reach_is_told_so(library: Any) -> None:
    op = define(library, f"op.op{OUT}").op.default
    reason = f"it has no out variant; {library.ns}::op.op is none: {lookalikes.UNREACHABLE}"
    assert no_pair.why(op) == ("NO_PAIR", reason, "")


def test_an_op_that_nothing_looks_like_is_told_what_an_out_variant_is(library: Any) -> None:
    decline, reason, change = no_pair.why(define(library).op.default)
    name = f"{library.ns}::op"
    assert decline == "NO_PAIR"
    assert reason == f"it has no out variant: no overload of {name} and none of {name}_out writes to an argument"
    assert f"define {name}.out" in change


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("f(Tensor x, *, Tensor(a!) out) -> Tensor(a!) tagged", "it is an out op, called directly"),
        ("f(Tensor x, Tensor(a!) cache, Tensor(b!) y) -> ()", "it writes to 'cache', 'y'"),
        ("f_(Tensor x) -> Tensor", "its name ends in '_'"),
    ],
)
def test_an_op_that_is_not_functional_is_told_so(schema: str, reason: str, library: Any) -> None:
    op = getattr(define(library, schema), schema.partition("(")[0]).default
    assert no_pair.why(op) == ("NOT_FUNCTIONAL", f"{reason}: no functional op, and nothing to lower", "")


def test_nobody_is_told_to_pair_an_op_of_torch_s_own() -> None:
    op = torch.ops.quantized.add_scalar.default
    assert no_pair.why(op)[2] == "nothing: it is an op of torch's own"
