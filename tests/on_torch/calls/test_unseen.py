"""What neither a guard nor the fake kernel tells of a tensor, an op or a name."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import compat_shim
from compat_shim.calls import known, step, thread_state, ways
from compat_shim.calls.python_kernel import PythonKernel
from support.short_calls import set_calls


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(ways, "PAYS_FROM", 1)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    set_calls("all")
    yield
    compat_shim.deactivate()
    compat_shim.activate()


@pytest.mark.parametrize("which", ["pairs", "off"])
def test_a_tangent_with_a_lazy_bit(which: str) -> None:
    """No guard looks at what comes from behind. A kernel that copies memory sees the bit."""
    set_calls(which)
    library = torch.library.Library(f"compat_shim_tangent_{which}", "FRAGMENT")
    library.define("f(Tensor x) -> Tensor")
    library.define("f.out(Tensor x, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    seen: list[bool] = []

    def write(x: Tensor, *, out: Tensor) -> None:
        seen.append(x.is_conj())
        torch.view_as_real(out).copy_(torch.view_as_real(x))  # raises where the bit is set

    library.impl("f", lambda x: x.clone(), "CPU")
    library.impl("f.out", write, "CPU")
    f = getattr(torch.ops, library.ns).f
    torch.library.register_fake(f"{library.ns}::f", torch.empty_like, lib=library)
    torch.library.register_autograd(f"{library.ns}::f", lambda ctx, gradient: f(gradient), lib=library)
    compiled = torch.compile(lambda x: f(x), fullgraph=True)
    for _ in range(3):
        x = torch.tensor([1 + 2j]).requires_grad_()
        (compiled(x).conj() * (1 + 2j)).real.sum().backward()
        assert x.grad is not None
        assert x.grad.resolve_conj().tolist() == [1 + 2j]
    assert len(seen) >= 3
    assert not any(seen)


def test_an_op_that_returns_a_tensor_of_inference_mode() -> None:
    """The op that takes it next is called past autograd's kernel, and its body sees another state of the thread."""
    seen: list[tuple[bool, int]] = []

    def make(x: Tensor) -> Tensor:
        with torch.inference_mode():
            return x * 2

    def take(x: Tensor) -> Tensor:
        seen.append((x.is_inference(), torch._C._dispatch_tls_local_exclude_set().raw_repr()))
        return x + 1

    ops = [
        torch.library.custom_op(f"compat_shim_inference::{kernel.__name__}", kernel, mutates_args=())
        for kernel in (make, take)
    ]
    for op in ops:
        op.register_fake(lambda x: torch.empty_like(x))
    states = {}
    with torch.no_grad():
        for which in ("off", "all"):
            set_calls(which)
            torch._dynamo.reset()
            compiled = torch.compile(lambda x: ops[1](ops[0](x)), fullgraph=True)
            results = [compiled(torch.ones(2)).tolist() for _ in range(3)]
            assert results == [[3.0, 3.0]] * 3
            states[which] = seen[-1]
    assert states["all"] == states["off"]
    assert states["all"][0]


def test_a_list_of_tensors_of_inference_mode() -> None:
    """Such a call passes by autograd's kernel, out of that mode, and its body may use autograd."""

    def kernel(xs: list[Tensor], n: int) -> Tensor:
        with torch.enable_grad():
            p = torch.ones(2, requires_grad=True)
            (p * 2).sum().backward()  # raises where autograd's keys are excluded
        return xs[0] + n

    op = torch.library.custom_op(
        "compat_shim_listed::f", kernel, mutates_args=(), schema="(Tensor[] xs, int n) -> Tensor"
    )
    op.register_fake(lambda xs, n: torch.empty_like(xs[0]))
    with torch.inference_mode():
        x = torch.zeros(2)
    seen: dict[str, list[Any]] = {"off": [], "all": []}
    with torch.no_grad():
        for which, found in seen.items():
            set_calls(which)
            torch._dynamo.reset()
            compiled = torch.compile(lambda x: [op([x], 1), op([x], 2)], fullgraph=True)
            for _ in range(3):
                try:
                    found.append([one.tolist() for one in compiled(x)])
                except RuntimeError as error:  # the first step of torch 2.15
                    found.append(str(error).partition("\n")[0])
    assert seen["all"] == seen["off"]
    assert seen["all"][-1] == [[1.0, 1.0], [2.0, 2.0]]


@pytest.mark.parametrize("returned", [3.0, (1,)])
def test_a_mutable_op_that_returns_what_its_schema_does_not_say(returned: Any) -> None:
    def kernel(x: Tensor, out: Tensor) -> Any:
        out.add_(x)
        return returned

    op = torch.library.custom_op(
        f"compat_shim_says_none::f{type(returned).__name__}",
        kernel,
        mutates_args=("out",),
        schema="(Tensor x, Tensor(a!) out) -> ()",
    )

    def graph(x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for _ in range(3):
            op(x, out)
        return out

    found = []
    with torch.no_grad():
        for which in ("off", "all"):
            set_calls(which)
            torch._dynamo.reset()
            compiled = torch.compile(graph, fullgraph=True)
            steps = []
            for _ in range(3):
                try:
                    steps.append(compiled(torch.ones(2)).tolist())
                except RuntimeError as error:  # up to 2.13, and in the first step of 2.15
                    steps.append([type(error), str(error).partition("\n")[0]])
            found.append(steps)
    assert found[0] == found[1]


def test_a_result_without_storage_is_refused_as_by_torch() -> None:
    op = torch.library.custom_op(
        "compat_shim_sparse::f", lambda x: x.to_sparse(), mutates_args=(), schema="(Tensor x) -> Tensor"
    )
    op.register_fake(lambda x: torch.empty_like(x))
    found = []
    with torch.no_grad():
        for which in ("off", "all"):
            set_calls(which)
            torch._dynamo.reset()
            compiled = torch.compile(lambda x: op(op(x)), fullgraph=True)
            with pytest.raises(Exception) as raised:  # noqa: PT011
                compiled(torch.ones(2))
            found.append((raised.type, str(raised.value).partition("\n")[0]))
    assert found[0] == found[1]


def test_two_threads_observe_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_state, "_excluded", {})
    found: list[Any] = []
    barrier = threading.Barrier(6)

    def run() -> None:
        barrier.wait()
        found.append(thread_state.excluded_below("mutable"))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({keys.raw_repr() for keys in found}) == 1


def test_an_op_that_is_defined_anew_with_another_schema() -> None:
    def define(schema: str) -> Any:
        op = torch.library.custom_op(
            "compat_shim_anew::f", lambda x, s: x + (1 if type(s) is float else 2), mutates_args=(), schema=schema
        )
        op.register_fake(lambda x, s: torch.empty_like(x))
        return op

    kept = define("(Tensor x, int s) -> Tensor")
    with torch.no_grad():
        compiled = torch.compile(lambda x: torch.ops.compat_shim_anew.f(x, 2), fullgraph=True)
        assert [compiled(torch.zeros(1)).item() for _ in range(2)] == [2, 2]
        kept = define("(Tensor x, float s) -> Tensor")
        expected = torch.ops.compat_shim_anew.f(torch.zeros(1), 2).item()
        assert compiled(torch.zeros(1)).item() == expected == 1
    del kept


@pytest.mark.skipif(
    "allow_override" not in inspect.signature(torch.library.Library.impl).parameters, reason="not so old"
)
def test_a_kernel_that_came_while_the_shim_was_not_active() -> None:
    library = torch.library.Library("compat_shim_meanwhile", "FRAGMENT")
    library.define("f(Tensor x, *, Tensor(a!) out) -> ()")
    library.impl("f", lambda x, *, out: torch.add(x, 1, out=out) and None, "CPU")
    op = torch.ops.compat_shim_meanwhile.f.default
    assert isinstance(known.find(op, "cpu"), PythonKernel)
    compat_shim.deactivate()
    library.impl("f", lambda x, *, out: torch.add(x, 100, out=out) and None, "CPU", allow_override=True)
    set_calls("all")
    assert not isinstance(known.find(op, "cpu"), PythonKernel)
    library._destroy()


def test_a_class_of_overloads_that_is_instrumented_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        assert step.step() is not step._long_way
        monkeypatch.setattr(torch._ops.OpOverload, "__call__", lambda self, *args: self._op(*args))
        assert step.step() is step._long_way


NAMES = ("len", "type", "tuple", "result", "op", "argument_0", "_op", "_result", "_guard", "lambda", "None_")


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_an_argument_of_any_name(name: str, by_name: bool) -> None:
    star = "*, " if by_name else ""
    if by_name and name == "lambda":
        return  # no Python function takes it
    parameter = name if name != "lambda" else "other"
    scope: dict[str, Any] = {"torch": torch}
    exec(f"def make(x, {star}{parameter}): return x * {parameter}, x + {parameter}", scope)
    op = torch.library.custom_op(
        f"compat_shim_names::f_{name}_{by_name}",
        scope["make"],
        mutates_args=(),
        schema=f"(Tensor x, {star}int {name}) -> (Tensor, Tensor)",
    )
    overload = op._opoverload
    found = known.find(overload, "cpu")
    with torch.no_grad():
        signature = found.signature if isinstance(found, PythonKernel) else 0
        call = step.step()(overload, "cpu", signature)
        results = call(torch.ones(2), **{name: 3}) if by_name else call(torch.ones(2), 3)
    assert [one.tolist() for one in results] == [[3, 3], [4, 4]]
    assert isinstance(found, PythonKernel) is not name.startswith("_")


def test_a_result_that_is_not_what_its_fake_promised() -> None:
    """The next call looks at it."""
    seen: list[bool] = []

    def make(x: Tensor) -> Tensor:
        return (x * 1j).conj()

    def read(x: Tensor) -> Tensor:
        seen.append(x.is_conj())
        return x + 0

    first = torch.library.custom_op("compat_shim_fakes::make", make, mutates_args=(), schema="(Tensor x) -> Tensor")
    second = torch.library.custom_op("compat_shim_fakes::read", read, mutates_args=(), schema="(Tensor x) -> Tensor")
    first.register_fake(torch.empty_like)
    second.register_fake(torch.empty_like)
    x = torch.ones(2, dtype=torch.complex64)
    with torch.no_grad():
        expected = second(first(x))
        compiled = torch.compile(lambda x: second(first(x)), fullgraph=True)
        for _ in range(2):
            assert torch.equal(compiled(x).resolve_conj(), expected.resolve_conj())
    assert seen == [seen[0]] * 3
