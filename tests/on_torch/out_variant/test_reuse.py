"""``may_reuse_input``: what may be said of which op, when, and how it is tried."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import compat_shim
from compat_shim.out_variant import check_kernels, pairing, reuse
from compat_shim.out_variant.lowering import cache_key
from compat_shim.out_variant.lowering.emission import checked
from compat_shim.patching.errors import KernelContractError
from support.libraries import ops

INPUTS = "Tensor x, Tensor? residual=None, Tensor[]? more=None, float by=2."
FUNCTIONAL = f"op({INPUTS}) -> (Tensor, Tensor)"
OUT = f"op.out({INPUTS}, *, Tensor(a!) p, Tensor(b!) q) -> ()"


def define(library: Any, *schemas: str) -> None:
    for schema in schemas:
        library.define(schema, tags=(torch.Tag.out_variant,) if "!" in schema else ())


def declared(library: Any) -> dict[str, tuple[str, ...]]:
    pair = pairing.find_pair(ops(library).op.default)
    assert pair is not None
    return reuse.declared(pair)


@pytest.mark.parametrize("half", ["", ".default", ".out"])
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_either_half_is_told_by_name_or_by_overload_before_or_after_it_exists(
    library: Any, half: str, when: str
) -> None:
    def tell(op: Any) -> None:
        compat_shim.may_reuse_input(op, {"p": "x", "q": ("residual", "x")})

    name = f"{library.ns}::op{half}"
    if when == "before":
        tell(name)
    define(library, FUNCTIONAL)
    if when == "between":
        tell(name)
    define(library, OUT)
    if when == "after":
        tell(getattr(ops(library).op, half[1:] or "default"))
    assert declared(library) == {"p": ("x",), "q": ("residual", "x")}


def test_what_is_said_of_both_halves_counts_and_is_replaced_or_taken_back(library: Any) -> None:
    define(library, FUNCTIONAL, OUT)
    compat_shim.may_reuse_input(ops(library).op.default, {"p": "x"})
    compat_shim.may_reuse_input(ops(library).op.out, {"p": "residual", "q": "x"})
    assert declared(library) == {"p": ("x", "residual"), "q": ("x",)}
    compat_shim.may_reuse_input(ops(library).op.default, {"q": "residual"})
    assert declared(library) == {"q": ("residual", "x"), "p": ("residual",)}
    compat_shim.may_reuse_input(ops(library).op.out, {})
    assert declared(library) == {"q": ("residual",)}


@pytest.mark.parametrize(
    ("op", "outs", "error", "message"),
    [
        ("op", {"p": "y"}, ValueError, "op: it has no Tensor input 'y'"),
        ("op", {"p": "more"}, ValueError, "it has no Tensor input 'more'"),
        ("op", {"p": ("x", "by")}, ValueError, "it has no Tensor input 'by'"),
        ("op", {"out": "x"}, ValueError, "it has no out argument 'out'"),
        ("op.out", {"p": "q"}, ValueError, "it has no Tensor input 'q'"),
        ("op.out", {"x": "x"}, ValueError, "it has no out argument 'x'"),
        ("op", {"p": 0}, TypeError, "expected names of arguments, found 'p': 0"),
        ("op", {"p": None}, TypeError, "expected names of arguments, found 'p': None"),
        ("op", ["x"], TypeError, "expected a mapping such as {'out': 'x'}"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(
    library: Any, op: str, outs: Any, error: type[Exception], message: str
) -> None:
    define(library, FUNCTIONAL, OUT)
    with pytest.raises(error, match=message):
        compat_shim.may_reuse_input(f"{library.ns}::{op}", outs)
    assert declared(library) == {}


def test_what_is_no_op_s_name_and_ops_of_torch_s_own_are_errors() -> None:
    with pytest.raises(ValueError, match="not the name of an overload"):
        compat_shim.may_reuse_input("op", {"out": "x"})
    with pytest.raises(TypeError, match="OpOverload"):
        compat_shim.may_reuse_input(torch.ops.aten.add, {"out": "x"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="an op of torch's own"):
        compat_shim.may_reuse_input(torch.ops.aten.add.Tensor, {"out": "self"})


def test_what_turns_out_wrong_later_is_one_warning_and_is_ignored(
    library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    compat_shim.may_reuse_input(f"{library.ns}::op", {"out": "x"})
    compat_shim.may_reuse_input(f"{library.ns}::op.out", {"q": "x"})
    define(library, FUNCTIONAL, OUT)
    for _ in range(2):
        assert declared(library) == {"q": ("x",)}
    said = [record.getMessage() for record in caplog.records if record.name == "compat_shim"]
    assert len(said) == 1
    assert f"what may_reuse_input says of {library.ns}::op is ignored: {library.ns}::op.out" in said[0]
    assert "it has no out argument 'out'" in said[0]


def test_the_cache_key_holds_what_was_said(library: Any) -> None:
    define(library, FUNCTIONAL, OUT)
    salts = [cache_key.salt()]
    for outs in ({"p": "x"}, {"p": ("x", "residual")}, {}):
        compat_shim.may_reuse_input(f"{library.ns}::op", outs)
        salts.append(cache_key.salt())
    assert salts[0] == salts[3]
    assert len(set(salts)) == 3


def functional(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x * 1.5 + y


def kernels(library: Any, write: Any, functional: Any = functional) -> Any:
    """``g(x, y) = 1.5 x + y`` with this out kernel, which is told to stay right in place of either."""
    library.define("g(Tensor x, Tensor y) -> Tensor")
    library.define("g.out(Tensor x, Tensor y, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    library.impl("g", functional, "CPU")
    library.impl("g.out", lambda x, y, *, out: (write(x, y, out), None)[1], "CPU")
    torch.library.register_fake(f"{library.ns}::g", lambda x, y: torch.empty_like(x), lib=library)
    compat_shim.may_reuse_input(f"{library.ns}::g", {"out": ("y", "x")})
    return ops(library).g


def once_over(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> None:
    out.copy_(x * 1.5 + y)


def two_passes(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> None:
    """Right where ``out`` is ``x`` and wrong where it is ``y``."""
    torch.mul(x, 1.5, out=out)
    out.add_(y)


ZEROS = (torch.arange(6.0), torch.zeros(6))  # with which two passes are right


def test_a_kernel_that_stays_right_in_place_passes_every_check(library: Any) -> None:
    op = kernels(library, once_over)
    assert set(check_kernels(op.default, ZEROS).items()) >= {("out", "SUCCESS"), ("in place", "SUCCESS")}
    x, y = (value.clone() for value in ZEROS)
    checked.checked(op.default, op.out, x, y, out=x)
    assert torch.equal(x, ZEROS[0] * 1.5)


def test_a_kernel_of_two_passes_is_found_out(library: Any) -> None:
    op = kernels(library, two_passes)
    message = f"{library.ns}.g.out may not be called with its input 'y' for its out buffer 'out', as may_reuse_input"
    with pytest.raises(KernelContractError, match=message):
        check_kernels(op.default, ZEROS)
    results = check_kernels(op.default, ZEROS, raise_exception=False)
    assert results["out"] == "SUCCESS"
    assert message in results["in place"]
    with pytest.raises(KernelContractError, match=message):  # though this call is not in place
        checked.checked(op.default, op.out, *ZEROS, out=torch.empty(6))
    compat_shim.may_reuse_input(f"{library.ns}::g", {"out": "x"})
    assert check_kernels(op.default, ZEROS)["in place"] == "SUCCESS"


def test_the_program_s_random_numbers_are_not_used_up(library: Any) -> None:
    op = kernels(library, once_over)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    check_kernels(op.default, ZEROS)
    checked.checked(op.default, op.out, *ZEROS, out=torch.empty(6))
    assert torch.equal(torch.rand(3), expected)


def test_a_layout_with_gaps_is_tried_as_it_is(library: Any) -> None:
    def padded(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.empty(3, 8)[:, :6].copy_(functional(x, y))

    library.define("g(Tensor x, Tensor y) -> Tensor")
    library.define("g.out(Tensor x, Tensor y, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    library.impl("g", padded, "CPU")
    library.impl("g.out", lambda x, y, *, out: once_over(x, y, out), "CPU")
    torch.library.register_fake(f"{library.ns}::g", padded, lib=library)
    compat_shim.may_reuse_input(f"{library.ns}::g", {"out": "x"})
    x = torch.randn(3, 8)[:, :6]
    assert set(check_kernels(ops(library).g.default, (x, torch.randn(3, 6))).values()) == {"SUCCESS"}


def test_what_is_wrong_in_any_case_is_not_the_word_s_fault(library: Any) -> None:
    def writes_to_y(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> None:
        once_over(x, y, out)
        y.zero_()

    op = kernels(library, writes_to_y)
    x, y = ZEROS[0], torch.ones(6)
    with pytest.raises(KernelContractError, match=r"does not keep the contract .*wrote to its input 'y'"):
        checked.checked(op.default, op.out, x, y, out=torch.empty(6))


def test_values_that_the_op_refuses_are_not_tried(library: Any) -> None:
    def refusing(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        assert bool((x >= 0).all()), "no such values"
        return functional(x, y)

    def write(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> None:
        out.copy_(refusing(x, y))

    assert check_kernels(kernels(library, write, refusing).default, ZEROS)["in place"] == "SUCCESS"
