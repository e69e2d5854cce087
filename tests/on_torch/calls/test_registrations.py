"""The function that is called is the one that the dispatcher would run now."""

from __future__ import annotations

import contextlib
import gc
import inspect
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch._inductor.codecache import PyCodeCache
from torch._inductor.utils import run_and_get_code

from compat_shim.calls import known, step
from compat_shim.calls.long_way import LongWay
from compat_shim.calls.python_kernel import PythonKernel
from compat_shim.release import within
from support.short_calls import KINDS, Sides, set_calls

FUNCTIONAL = "(Tensor x, float s) -> Tensor"


@pytest.fixture
def own() -> Iterator[Sides]:
    """A program of the test's own, whose registrations it may change."""
    sides = Sides.of()
    set_calls("all")
    with torch.no_grad():
        yield sides
    sides.program.destroy()


def fake(x: Tensor, s: float) -> Tensor:
    return torch.empty_like(x)


def find(op: Any) -> PythonKernel | LongWay:
    return known.find(op, "cpu")


def test_kernels_come_and_go(own: Sides) -> None:
    program = own.program
    assert own.both().short == set(KINDS)

    @program.definitions["functional"].register_kernel("cpu")
    def _(x: Tensor, s: float) -> Tensor:
        return x * s + 100

    outcome = own.both()
    assert outcome.results[3][0].min() >= 100, "the kernel that was registered later is run"

    with program.definitions["functional"].set_kernel_enabled("cpu", enabled=False):
        outcome = own.both()
        assert outcome.results[3][0].min() == 0, "the default kernel is run"
        assert "functional" not in outcome.short
    assert own.both().results[3][0].min() >= 100

    other = torch.library.Library(program.namespace, "FRAGMENT")
    override = {"allow_override": True} if "allow_override" in inspect.signature(other.impl).parameters else {}
    with mock.patch.object(torch.library, "_impls", set()) if not override else contextlib.nullcontext():
        other.impl("impl.out", lambda x, s, *, out: torch.mul(x, -s, out=out), "CPU", **override)
    outcome = own.both()
    assert outcome.results[0][0].max() == 0, "the newest kernel is run"
    assert isinstance(find(program.ops.impl.out), LongWay)
    other._destroy()
    outcome = own.both()
    assert outcome.results[0][0].max() > 0, "and the one before it, when that is gone"
    assert "impl" in outcome.short

    program.library._destroy()
    long, short = own.step("long"), own.step("short")
    assert short.error == long.error != ""


def test_of_two_device_types_the_dispatcher_s_is_run() -> None:
    """Torch's loop leaves the last one in the closure of every kernel: a later kernel for CUDA changes the CPU's."""
    set_calls("all")
    op = torch.library.custom_op(
        "compat_shim_two_devices::f",
        lambda x, s: x * s,
        mutates_args=(),
        schema=FUNCTIONAL,
        device_types=("cpu", "cuda"),
    )
    op.register_fake(fake)
    overload = torch.ops.compat_shim_two_devices.f.default

    def graph(x: Tensor) -> Tensor:
        return overload(x, 5.0)

    with torch.no_grad():
        compiled = torch.compile(graph)
        assert isinstance(find(overload), PythonKernel)
        compiled(torch.ones(1))
        assert compiled(torch.ones(1)).tolist() == overload(torch.ones(1), 5.0).tolist() == [5]
        op.register_kernel("cuda")(lambda x, s: x * s * 100)
        expected = overload(torch.ones(1), 5.0).tolist()
        assert compiled(torch.ones(1)).tolist() == expected
        op.register_kernel("cpu")(lambda x, s: x * s * 7)
        expected = overload(torch.ones(1), 5.0).tolist()
        assert compiled(torch.ones(1)).tolist() == expected


def test_nothing_outlives_its_library() -> None:
    set_calls("all")
    library = torch.library.Library("compat_shim_short_lived", "FRAGMENT")
    library.define("f.out(Tensor x, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)

    def kernel(x: Tensor, *, out: Tensor) -> None:
        torch.add(x, 1, out=out)

    library.impl("f.out", kernel, "CPU")
    op, out = torch.ops.compat_shim_short_lived.f.out, torch.empty(2)
    with torch.no_grad():
        kernel_of_op = find(op)
        assert isinstance(kernel_of_op, PythonKernel)
        call = step.step()(op, "cpu", kernel_of_op.signature)
        call(torch.ones(2), out=out)
    assert call.__code__.co_filename.startswith("<compat_shim")
    assert out.tolist() == [2, 2]
    overload, found = weakref.ref(op), weakref.ref(find(op))
    entries = [entry for entry in known._known if entry[0] == id(op)]
    assert entries
    library._destroy()
    del library, op, call, kernel_of_op
    gc.collect()
    # (The function itself stays: torch's C++ code keeps it.)
    assert overload() is None
    assert found() is None
    assert not any(entry in known._known for entry in entries)


SIGNATURES: dict[str, tuple[str, Any, bool]] = {
    "the schema's": ("(Tensor x, float s=1.5) -> Tensor", lambda x, s=1.5: x * s, True),
    "another default": ("(Tensor x, float s=1.5) -> Tensor", lambda x, s=2.5: x * s, False),
    "a default of another type": ("(Tensor x, float s=1.0) -> Tensor", lambda x, s=1: x * s, False),
    "a default of another sign": ("(Tensor x, float s=0.0) -> Tensor", lambda x, s=-0.0: x * s, False),
    "no default": ("(Tensor x, float s=1.5) -> Tensor", lambda x, s: x * s, False),
    "another name": ("(Tensor x, float s) -> Tensor", lambda y, t: y * t, True),
    "another name, and a default": ("(Tensor x, float s=1.5) -> Tensor", lambda x, t=1.5: x * t, False),
    "*args": ("(Tensor x, float s) -> Tensor", lambda *args: args[0] * args[1], False),
    "one argument more": ("(Tensor x, float s) -> Tensor", lambda x, s, more=None: x * s, False),
    "by name only": ("(Tensor x, *, float s) -> Tensor", lambda x, *, s: x * s, True),
    "by position or by name": ("(Tensor x, *, float s) -> Tensor", lambda x, s: x * s, True),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_kernel_is_called_only_if_its_signature_says_the_same(name: str) -> None:
    schema, kernel, fits = SIGNATURES[name]
    library = torch.library.Library("compat_shim_signature", "FRAGMENT")
    library.define(f"f{schema}")
    library.impl("f", kernel, "CPU")
    try:
        found = find(torch.ops.compat_shim_signature.f.default)
        assert isinstance(found, PythonKernel) if fits else found is LongWay.SIGNATURE
    finally:
        library._destroy()


def test_a_key_above_the_device_s_own_is_seen() -> None:
    for key in ("AutogradCPU", "Autograd", "ADInplaceOrView", "BackendSelect"):
        library = torch.library.Library("compat_shim_above", "FRAGMENT")
        library.define("f(Tensor x) -> Tensor")
        library.impl("f", lambda x: x + 1, "CPU")
        op = torch.ops.compat_shim_above.f.default
        assert isinstance(find(op), PythonKernel)
        library.impl("f", lambda x: x + 2, key)
        assert find(op) is LongWay.ABOVE, key
        library._destroy()


def test_what_was_registered_unseen_goes_the_long_way() -> None:
    library = torch.library.Library("compat_shim_unseen", "FRAGMENT")
    library.define("f(Tensor x) -> Tensor")
    library.m.impl("f", "CPU", lambda x: x + 1)
    assert find(torch.ops.compat_shim_unseen.f.default) is LongWay.NOT_PYTHON
    library._destroy()


@pytest.mark.skipif(not within(torch.__version__, None, "2.8"), reason="torch::deploy has gone")
def test_a_library_under_deploy_still_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "_running_with_deploy", lambda: True)
    with pytest.warns(RuntimeWarning):
        library = torch.library.Library("compat_shim_deploy", "DEF")
    library.define("f(Tensor x) -> Tensor")
    library.impl("f", lambda x: x, "CPU")
    assert not hasattr(torch.ops.compat_shim_deploy, "f")


class Quiet(Tensor):
    """Not seen by what a call asks for."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    seen: ClassVar[list[str]] = []

    @staticmethod
    def __new__(cls, inner: Tensor) -> Any:
        return Tensor._make_wrapper_subclass(cls, inner.shape, strides=inner.stride())  # type: ignore[attr-defined]

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.seen.append(func.name())
        plain = [one.inner if isinstance(one, Quiet) else one for one in args]
        return func(*plain, **(kwargs or {}))


def test_where_no_guard_looks_at_the_inputs_the_step_does() -> None:
    set_calls("all")
    op = torch.library.custom_op("compat_shim_unguarded::f", lambda x, s: x * s, mutates_args=(), schema=FUNCTIONAL)
    op.register_fake(fake)
    overload = torch.ops.compat_shim_unguarded.f.default

    def graph(x: Tensor) -> tuple[Tensor, ...]:
        return (overload(x, 2.0),)

    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.no_grad():
        traced = make_fx(graph)(torch.ones(3))
        compiled, codes = run_and_get_code(lambda: torch._inductor.compile(traced, [torch.ones(3)]))
        compiled(torch.ones(3))
        (code,) = codes
        assert "compat_shim_step(arg0_1)" in code
        call = PyCodeCache.load(code).call
        assert call([torch.ones(3)])[0].tolist() == [2, 2, 2]
        assert call([torch.nn.Parameter(torch.ones(3))])[0].tolist() == [2, 2, 2]
        Quiet.seen.clear()
        assert call([Quiet(torch.ones(3))])[0].tolist() == [2, 2, 2]
        assert "compat_shim_unguarded::f" in Quiet.seen
