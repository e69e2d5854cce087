"""``check_kernels`` by hand, and ``COMPAT_SHIM_CHECK=1`` in compiled code."""

from __future__ import annotations

import itertools
import logging
import random
from typing import Any

import pytest
import torch

from compat_shim.out_variant import check_kernels
from compat_shim.out_variant.lowering.emission import checked
from compat_shim.patching.errors import KernelContractError
from support.contract import ARGUMENTS, BREAKS, define, keeps
from support.processes import SUPPORT


def test_kernels_that_keep_the_contract_pass_every_check(library: Any) -> None:
    op = define(library, keeps)
    assert check_kernels(op, ARGUMENTS) == {"pair": "SUCCESS", "fake": "SUCCESS", "out": "SUCCESS"}


@pytest.mark.parametrize("breaks", BREAKS)
def test_a_kernel_that_breaks_the_contract_fails_with_the_op_and_what_differs(library: Any, breaks: str) -> None:
    kernel, message = BREAKS[breaks]
    op = define(library, kernel)
    with pytest.raises(KernelContractError, match=f"{library.ns}.f.out .*{message}"):
        check_kernels(op, (ARGUMENTS[0].clone(),))
    results = check_kernels(op, (ARGUMENTS[0].clone(),), raise_exception=False)
    assert (results["pair"], results["fake"]) == ("SUCCESS", "SUCCESS")
    assert "does not keep the contract" in results["out"]


def test_a_fake_kernel_that_foretells_another_layout_fails(library: Any) -> None:
    op = define(
        library, keeps, fake=lambda x, scale=2.0: (x.t().contiguous().t(), torch.empty_like(x, dtype=torch.int8))
    )
    with pytest.raises(KernelContractError, match=r"the fake kernel says strides \(1, 2\) for output 'y'"):
        check_kernels(op, ARGUMENTS)


def test_an_op_without_an_out_variant_fails(library: Any) -> None:
    library.define("alone(Tensor x) -> Tensor")
    with pytest.raises(KernelContractError, match="no out variant is found"):
        check_kernels(getattr(torch.ops, library.ns).alone.default, ARGUMENTS[:1])


def test_random_kernels_are_compared_with_the_same_random_numbers(library: Any) -> None:
    library.define("noise(Tensor x) -> Tensor")
    library.define("noise.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=torch.Tag.out_variant)
    library.impl("noise", torch.rand_like, "CPU")
    library.impl("noise.out", lambda x, *, out: out.uniform_(), "CPU")
    torch.library.register_fake(f"{library.ns}::noise", torch.empty_like, lib=library)
    check_kernels(getattr(torch.ops, library.ns).noise.default, ARGUMENTS[:1])


def define_one(library: Any, functional: Any, out: Any, fake: Any = torch.empty_like) -> Any:
    """``g(x) -> Tensor`` and its out variant."""
    library.define("g(Tensor x) -> Tensor")
    library.define("g.out(Tensor x, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    library.impl("g", functional, "CPU")
    library.impl("g.out", lambda x, *, out, write=out: (write(x, out=out), None)[1], "CPU")
    torch.library.register_fake(f"{library.ns}::g", fake, lib=library)
    return getattr(torch.ops, library.ns).g


X = torch.arange(12.0).view(2, 6)


def promised(*size: int) -> Any:
    return lambda x: x.new_empty(size)


def halves(x: torch.Tensor) -> torch.Tensor:
    return x[:, :1] / 2


def broken(x: torch.Tensor, *, out: torch.Tensor) -> None:
    raise ValueError("no such kernel")


# What the fake kernel promises, what the functional op returns, what the out kernel does, who is blamed.
DISAGREEMENTS = {
    "the out kernel broadcasts": (
        promised(2, 6),
        halves,
        lambda x, *, out: out.copy_(x[:, :1] / 2),
        "the out kernel agrees with the functional kernel: the fake kernel is wrong",
    ),
    "the out kernel resizes": (
        promised(2, 8),
        lambda x: x / 2,
        lambda x, *, out: torch.div(x, 2, out=out),
        "the out kernel agrees with the functional kernel: the fake kernel is wrong",
    ),
    "the functional kernel returns too little": (
        promised(2, 6),
        halves,
        lambda x, *, out: out.copy_(x / 2),
        "the out kernel agrees with the fake kernel: the functional kernel is wrong",
    ),
    "the functional kernel returns another layout": (
        promised(2, 6),
        lambda x: (x / 2).t().contiguous().t(),
        lambda x, *, out: out.copy_(x / 2),
        "the out kernel takes either: the fake or the functional kernel is wrong",
    ),
    "none agrees": (
        promised(2, 8),
        lambda x: x / 2,
        broken,
        "the out kernel agrees with neither",
    ),
}


@pytest.mark.parametrize("case", DISAGREEMENTS)
@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_what_the_fake_promised_is_compared_and_the_wrong_kernel_named(case: str, library: Any) -> None:
    fake, functional, out, culprit = DISAGREEMENTS[case]
    op = define_one(library, functional, out, fake)
    # In compiled code a buffer has the layout that the fake kernel promised.
    with pytest.raises(KernelContractError, match=r"g.default: the fake kernel says .* for output 'out'") as error:
        checked.checked(op.default, op.out, X, out=fake(X))
    assert culprit in str(error.value)
    results = check_kernels(op.default, (X,), raise_exception=False)
    assert culprit in results["fake"]


def test_the_stride_of_one_element_is_no_disagreement(library: Any) -> None:
    column = lambda x: x[:, :1].contiguous()  # noqa: E731
    op = define_one(library, column, lambda x, *, out: out.copy_(x[:, :1]), column)
    checked.checked(op.default, op.out, X, out=torch.empty_strided((2, 1), (1, 5)))
    with pytest.raises(KernelContractError, match=r"says strides \(9, 5\) for output 'out'.* returned \(1, 1\)"):
        checked.checked(op.default, op.out, X, out=torch.empty_strided((2, 1), (9, 5)))


@pytest.mark.parametrize("draw", ["its own generator", "random", "state"])
def test_an_op_that_differs_from_itself_is_not_compared(
    draw: str, library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    generator, counter = torch.Generator(), itertools.count()
    numbers = {
        "its own generator": lambda: torch.rand(6, generator=generator),
        "random": lambda: random.random(),
        "state": lambda: next(counter),
    }[draw]
    op = define_one(library, lambda x: x + numbers(), lambda x, *, out: out.copy_(x + numbers()))
    with caplog.at_level(logging.WARNING, "compat_shim"):
        for _ in range(2):
            checked.checked(op.default, op.out, X, out=torch.empty_like(X))
    said = f"{library.ns}.g.default: not deterministic, not compared"
    assert [said in record.getMessage() for record in caplog.records] == [True]
    assert said in check_kernels(op.default, (X,))["out"]


def test_an_op_that_differs_from_itself_still_keeps_the_rest_of_the_contract(library: Any) -> None:
    counter = itertools.count()
    op = define_one(library, lambda x: x + next(counter), lambda x, *, out: out.resize_(3))
    with pytest.raises(KernelContractError, match="moved or resized its out buffer 'out'"):
        check_kernels(op.default, (X,))


# float4_e2m1fn_x2 is there from torch 2.8 on.
@pytest.mark.parametrize("name", [n for n in ("float4_e2m1fn_x2", "bits8", "bits16") if hasattr(torch, n)])
def test_dtypes_without_arithmetic_are_compared_by_their_bytes(name: str, library: Any) -> None:
    dtype = getattr(torch, name)
    width = torch.int16 if name == "bits16" else torch.uint8
    shift = [0]

    def functional(x: torch.Tensor) -> torch.Tensor:
        return (x.view(width) + 1).view(dtype)

    def out_kernel(x: torch.Tensor, *, out: torch.Tensor) -> None:
        out.view(width).copy_(x.view(width) + 1 + shift[0])

    op = define_one(library, functional, out_kernel)
    x = torch.arange(48, dtype=torch.uint8).view(width).view(dtype)
    assert set(check_kernels(op.default, (x,)).values()) == {"SUCCESS"}
    shift[0] = 1
    with pytest.raises(KernelContractError, match="out buffer 'out' differs from what"):
        check_kernels(op.default, (x,))


def test_what_a_kernel_raises_is_returned_when_asked_for(library: Any) -> None:
    def fails(x: torch.Tensor) -> torch.Tensor:
        raise ValueError("no such kernel")

    right = lambda x, *, out: out.copy_(x)  # noqa: E731
    op = define_one(library, torch.clone, broken, fake=fails).default
    results = check_kernels(op, (X,), raise_exception=False)
    assert results.pop("pair") == "SUCCESS"
    assert list(results) == ["fake", "out"]
    assert all("ValueError: no such kernel" in text for text in results.values())
    with pytest.raises(ValueError, match="no such kernel"):
        check_kernels(op, (X,))
    library.define("h(Tensor x) -> Tensor")
    library.define("h.out(Tensor x, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    library.impl("h", fails, "CPU")
    library.impl("h.out", right, "CPU")
    results = check_kernels(getattr(torch.ops, library.ns).h.default, (X,), raise_exception=False)
    assert results == {"pair": "SUCCESS", "functional": "ValueError: no such kernel"}


def test_a_packet_is_an_error_that_names_the_overload(library: Any) -> None:
    op = define_one(library, torch.clone, broken)
    for raise_exception in (True, False):
        with pytest.raises(TypeError, match=rf"pass torch\.ops\.{library.ns}\.g\.default$"):
            check_kernels(op, (X,), raise_exception=raise_exception)
    with pytest.raises(TypeError, match="an OpOverload"):
        check_kernels(torch.clone, (X,))


COMPILED = """
import os, sys
sys.path.insert(0, {folder!r})
import torch, compat_shim
from torch._dynamo.utils import counters
from compat_shim.patching.errors import KernelContractError
from support.contract import BREAKS, keeps, right, define

library = torch.library.Library("checked", "FRAGMENT")
calls = []
def counted(kernel):
    def call(*args):
        calls.append(kernel.__name__)
        return kernel(*args)
    return call

good = define(library, counted(keeps), "good", functional=counted(right))
x = torch.arange(6.0).view(2, 3)
compiled = torch.compile(lambda x: good(x, 3.0), fullgraph=True)
for _ in range(5):
    y, q = compiled(x)
    assert torch.equal(y, x * 3) and q.dtype is torch.int8
assert counters["compat_shim"] == {{"lowered": 1}}, counters
print(calls.count("keeps"), calls.count("right"))
if os.environ.get("COMPAT_SHIM_CHECK") != "1":
    sys.exit()
for name, (kernel, message) in BREAKS.items():
    op = define(library, kernel, name)
    try:
        torch.compile(lambda x: op(x, 3.0), fullgraph=True)(x.clone())
        print(name, "not caught")
    except KernelContractError as error:
        print(name, "caught", f"checked.{{name}}.out does not keep" in str(error))
wide = lambda x, scale: (x.new_empty(2, 4), x.new_empty(2, 3, dtype=torch.int8))
narrow = lambda kernel: lambda x, *rest: kernel(x[:, :1], *rest)
op = define(library, narrow(keeps), "wide", functional=narrow(right), fake=wide)
try:
    torch.compile(lambda x: op(x, 3.0), fullgraph=True)(x.clone())
    print("not caught")
except KernelContractError as error:
    print(error)
"""


@pytest.mark.processes
def test_the_first_calls_in_compiled_code_are_compared_when_asked_for(run_python: Any) -> None:
    script = COMPILED.format(folder=str(SUPPORT.parent))
    assert run_python(script).stdout.splitlines() == ["5 0"]
    checked = run_python(script, env={"COMPAT_SHIM_CHECK": "1"}).stdout.splitlines()
    assert checked[:-1] == ["5 3", *(f"{name} caught True" for name in BREAKS)]
    # Silent but for this: both kernels make one column, which the out kernel broadcasts into the buffers.
    assert "checked.wide.default: the fake kernel says shape torch.Size([2, 4]) for output 'y'" in checked[-1]
    assert checked[-1].endswith("the out kernel agrees with the functional kernel: the fake kernel is wrong")


@pytest.mark.parametrize("out_name", ["out", "functional", "args", "self"])
@pytest.mark.parametrize("input_name", ["functional", "self", "keyset", "kwargs"])
def test_a_call_is_compared_whatever_the_op_s_arguments_are_named(out_name: str, input_name: str, library: Any) -> None:
    if out_name == input_name:
        input_name = "x"
    library.define(f"g(Tensor {input_name}) -> Tensor")
    library.define(f"g.out(Tensor {input_name}, *, Tensor(a!) {out_name}) -> Tensor(a!)", tags=torch.Tag.out_variant)
    library.impl("g", lambda x: x + 1, "CPU")
    library.impl("g.out", lambda x, **outs: outs[out_name].copy_(x + 1), "CPU")
    torch.library.register_fake(f"{library.ns}::g", torch.empty_like, lib=library)
    op = getattr(torch.ops, library.ns).g
    x = torch.arange(3.0)
    for _ in range(checked.FIRST_CALLS + 1):
        out = torch.empty(3)
        # As compiled code and the FX wrapper call it.
        checked.checked(op.default, op.out, **{input_name: x, out_name: out})
        assert torch.equal(out, x + 1)
    assert set(check_kernels(op.default, (), {input_name: x}).values()) == {"SUCCESS"}
