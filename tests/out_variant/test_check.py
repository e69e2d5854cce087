"""``check_kernels`` by hand, and ``COMPAT_SHIM_CHECK=1`` in compiled code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from contract import ARGUMENTS, BREAKS, define, keeps

from compat_shim.out_variant import check, check_kernels
from compat_shim.patching.errors import KernelContractError


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


COMPILED = """
import os, sys
sys.path.insert(0, {folder!r})
import torch, compat_shim
from torch._dynamo.utils import counters
from compat_shim.patching.errors import KernelContractError
from contract import BREAKS, keeps, right, define

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
"""


def test_the_first_calls_in_compiled_code_are_compared_when_asked_for(run_python: Any) -> None:
    script = COMPILED.format(folder=str(Path(__file__).parent))
    assert run_python(script).stdout.splitlines() == ["5 0"]
    checked = run_python(script, env={"COMPAT_SHIM_CHECK": "1"}).stdout.splitlines()
    assert checked == ["5 3", *(f"{name} caught True" for name in BREAKS)]


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
    for _ in range(check.FIRST_CALLS + 1):
        out = torch.empty(3)
        # As compiled code and the FX wrapper call it.
        check.checked(op.default, op.out, **{input_name: x, out_name: out})
        assert torch.equal(out, x + 1)
    assert set(check_kernels(op.default, (), {input_name: x}).values()) == {"SUCCESS"}
