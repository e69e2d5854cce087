"""``may_reuse_input``: what may be said of which op, when, and how it is tried."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

import compat_shim
from compat_shim.out_variant import check_kernels, comparing, contract, in_place, pairing, reuse
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


def in_place_of(op: Any, *args: torch.Tensor) -> str:
    return check_kernels(op.default, args, raise_exception=False)["in place"]


def test_each_floating_point_input_is_random_not_only_the_one_that_is_written_to(library: Any) -> None:
    """A fresh model's bias and residual are zeros, with which a kernel of two passes is right."""

    def affine(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> None:
        torch.mul(x, 1.5, out=out)
        out.add_(x * y)

    op = kernels(library, affine, lambda x, y: x * 1.5 + x * y)
    compat_shim.may_reuse_input(f"{library.ns}::g", {"out": "x"})
    assert "may not be called with its input 'x'" in in_place_of(op, *ZEROS)
    assert "may not be called with its input 'x'" in in_place_of(op, ZEROS[0], torch.zeros(1).expand(6))


def test_numbers_in_random_order_stay_in_the_layout_and_the_op_s_domain() -> None:
    torch.manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.complex64, torch.complex128):
        whole = torch.arange(24.0).to(dtype).view(4, 6)
        for x in (whole, whole.t(), whole[:, :3], whole[:, :1].expand(4, 5), whole[0, 1]):
            found = comparing.shuffled(x)
            assert (found.shape, found.dtype) == (x.shape, dtype)
            assert not comparing.other_layout(found, x)
            if x.numel() > 1:
                assert sorted(found.to(torch.complex64).real.flatten().tolist()) == sorted(
                    x.to(torch.complex64).real.flatten().tolist()
                )
                assert comparing.difference(found, x)
        equal = comparing.shuffled(torch.zeros(100).to(dtype)).to(torch.complex64)
        assert len(set(equal.tolist())) > 9
        assert 0 <= equal.real.min() <= equal.real.max() <= 1
        assert not dtype.is_complex or equal.imag.abs().max() > 0


def test_what_differs_by_itself_now_and_then_is_not_the_word_s_fault(library: Any) -> None:
    flips = iter([1.0] * 3 + [2.0] + [1.0] * 100)

    def write(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> None:
        out.copy_(functional(x, y) * next(flips))

    assert in_place_of(kernels(library, write), *ZEROS) == in_place.DIFFERS


def test_integers_stay_as_they_are(library: Any) -> None:
    """They may be places, sorted ones."""
    seen = []

    def write(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> None:
        seen.append((x.tolist(), y.tolist()))
        out.copy_(x + y)

    op = kernels(library, write, lambda x, y: x + y)
    x = torch.tensor([0, 3, 7])
    assert in_place_of(op, x, x) == "SUCCESS"
    assert seen.count(seen[0]) == len(seen) > 8


def test_what_was_not_tried_or_not_compared_is_no_success(library: Any) -> None:
    op = kernels(library, two_passes)
    assert in_place_of(op, torch.randn(6, 2)[:, 0], torch.ones(1).expand(6)) == in_place.NO_LAYOUT
    assert in_place_of(op, torch.empty(0), torch.empty(0)) == in_place.NO_LAYOUT


def test_an_op_that_counts_is_not_compared(library: Any) -> None:
    counts = itertools.count()

    def counting(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return functional(x, y) + next(counts)

    def write(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> None:
        out.copy_(counting(x, y))

    assert in_place_of(kernels(library, write, counting), *ZEROS) == in_place.DIFFERS


def test_an_op_that_draws_random_numbers_is_compared_in_place_on_the_same(library: Any) -> None:
    def drop(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> None:
        torch.mul(x, 1.5, out=out)
        out.add_(y).mul_(torch.rand_like(x) > 0.5)

    op = kernels(library, drop, lambda x, y: (x * 1.5 + y) * (torch.rand_like(x) > 0.5))
    assert "may not be called with its input 'y'" in in_place_of(op, torch.arange(6.0), torch.ones(6))
    compat_shim.may_reuse_input(f"{library.ns}::g", {"out": "x"})
    assert in_place_of(op, torch.arange(6.0), torch.ones(6)) == "SUCCESS"


def test_values_that_the_op_was_not_made_for_are_not_the_word_s_fault(library: Any) -> None:
    op = kernels(library, once_over, lambda x, y: functional(x.clamp(0, 1), y))
    assert in_place_of(op, torch.rand(6), torch.zeros(6)) == "SUCCESS"


def test_a_call_in_place_whose_kernel_is_wrong_in_any_case_does_not_blame_the_word(library: Any) -> None:
    op = kernels(library, lambda x, y, out: out.copy_(x), functional)
    compat_shim.may_reuse_input(f"{library.ns}::g", {"out": "y"})
    y = torch.ones(6)
    with pytest.raises(KernelContractError, match="does not keep the contract of an out variant: out buffer 'out'"):
        contract.call_and_compare(pairing.find_pair(op.default), {"x": torch.ones(6), "y": y, "out": y})


def test_several_outs_are_tried_in_place_at_once_too(library: Any) -> None:
    """As the compiler gives them."""

    def write(x: torch.Tensor, y: torch.Tensor, p: torch.Tensor, q: torch.Tensor) -> None:
        if (p is x) != (q is y):
            x, y = x.clone(), y.clone()
        torch.add(x, y, out=p)
        torch.sub(x, y, out=q)

    library.define("g(Tensor x, Tensor y) -> (Tensor, Tensor)")
    library.define("g.out(Tensor x, Tensor y, *, Tensor(a!) p, Tensor(b!) q) -> ()", tags=torch.Tag.out_variant)
    library.impl("g", lambda x, y: (x + y, x - y), "CPU")
    library.impl("g.out", lambda x, y, *, p, q: write(x, y, p, q), "CPU")
    torch.library.register_fake(f"{library.ns}::g", lambda x, y: (x + y, x - y), lib=library)
    compat_shim.may_reuse_input(f"{library.ns}::g", {"p": "x", "q": "y"})
    found = in_place_of(ops(library).g, torch.randn(6), torch.randn(6))
    assert "its input 'x' for its out buffer 'p' and its input 'y' for its out buffer 'q'" in found


def test_a_program_s_calls_are_tried_in_place_until_some_have_fitted(library: Any) -> None:
    op = kernels(library, two_passes)
    compat_shim.may_reuse_input(f"{library.ns}::g", {"out": "y"})
    x, one = torch.arange(6.0), torch.ones(1)
    for _ in range(checked.FIRST_CALLS + 1):
        checked.checked(op.default, op.out, x, one.expand(6), out=torch.empty(6))
    with pytest.raises(KernelContractError, match="its input 'y' for its out buffer 'out'"):
        checked.checked(op.default, op.out, x, torch.ones(6), out=torch.empty(6))
