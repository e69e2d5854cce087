"""Which arguments the dispatcher would hand on as they are, and which functions may be called with them."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest
import sympy
import torch
from torch import Tensor

from compat_shim.calls import exact, known, step
from compat_shim.calls.long_way import LongWay
from compat_shim.calls.python_kernel import PythonKernel

# type in the schema, value, whether the kernel is given that very value
VALUES: list[tuple[str, Any, bool]] = [
    ("float s", 1.5, True),
    ("float s", 2, False),
    ("float s=0.0", 0.0, True),
    ("float s=0.0", -0.0, False),
    ("float s", sympy.Float(1.5), False),
    ("int s", 2, True),
    ("int s", True, False),
    ("int s", 2.0, False),
    ("SymInt s", sympy.Integer(2), True),
    ("SymInt s", sympy.Symbol("s0", integer=True), True),
    ("SymInt s", sympy.Symbol("s0"), False),
    ("float s", sympy.Symbol("s0", integer=True), False),
    ("bool s", True, True),
    ("bool s", 1, False),
    ("Scalar s", 1, True),
    ("Scalar s=1", 1.0, False),
    ("Scalar s=1", True, False),
    ("Scalar s", 1j, True),
    ("str s", "a", True),
    ("ScalarType s", torch.float64, True),
    ("ScalarType s", 7, False),
    ("ScalarType[] s", [torch.float64], False),
    ("Device s", torch.device("cpu"), True),
    ("Layout s", torch.strided, False),
    ("MemoryFormat s", torch.contiguous_format, False),
    ("int[] s", [1, 2], True),
    ("int[] s", (1, 2), False),
    ("int[] s", [1.0], False),
    ("int[]? s=None", None, True),
    ("int[2] s=[1, 2]", [1, 2], True),
    ("float? s=None", 1, False),
    ("Tensor s", 1, False),
    ("Tensor? s", None, True),
]


@pytest.mark.parametrize(("argument", "value", "is_exact"), VALUES)
def test_a_value(argument: str, value: Any, is_exact: bool) -> None:
    schema = torch._C.parse_schema(f"f(Tensor x, {argument}) -> Tensor")
    assert exact.arguments_are(schema, {"s": value}) is is_exact


def node(value: Any) -> Any:
    """The input of a call, as Inductor's graph has it."""
    made = torch.fx.Graph().placeholder("x")
    made.meta["val"] = value
    return made


def test_tensors() -> None:
    cpu = torch.device("cpu")
    plain = torch.ones(2, 2)
    bits = torch.ones(2, dtype=torch.complex64)
    assert exact.tensors_are_plain([node(plain), node([plain, None]), node(2)], cpu)
    assert not exact.tensors_are_plain([node(bits.conj())], cpu)
    assert not exact.tensors_are_plain([node(bits.conj().imag)], cpu), "a neg bit"
    assert not exact.tensors_are_plain([node(torch._efficientzerotensor(2))], cpu)
    assert not exact.tensors_are_plain([node(plain.to_sparse())], cpu)
    assert not exact.tensors_are_plain([node([plain, plain.to_sparse()])], cpu)
    assert not exact.tensors_are_plain([node(torch.ones(2, device="meta"))], cpu)
    assert exact.tensors_are_plain([node(plain), node(torch.ones(2, device="meta"))], torch.device("meta"))
    assert exact.device_of([node(plain), node([torch.ones(2, device="meta")])]) == torch.device("meta")
    assert exact.device_of([node(2)]) is None


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def pretending(*args: Any) -> Tensor:
    made: Tensor = args[0] + 1
    return made


pretending.__signature__ = inspect.signature(lambda x: x)  # type: ignore[attr-defined]


def with_keyset(keyset: Any, x: Tensor) -> Tensor:
    return x + 1


@pytest.mark.parametrize(
    ("kernel", "options", "fits"),
    [
        (lambda x: x + 1, {}, True),
        (wrapped(lambda x: x + 1), {}, False),
        (pretending, {}, False),
        (functools.partial(lambda y, x: x + y, 1), {}, True),
        (with_keyset, {"with_keyset": True}, False),
    ],
)
def test_a_function(kernel: Any, options: dict[str, Any], fits: bool) -> None:
    library = torch.library.Library("compat_shim_functions", "FRAGMENT")
    library.define("f(Tensor x) -> Tensor")
    library.impl("f", kernel, "CPU", **options)
    found = known.find(torch.ops.compat_shim_functions.f.default, "cpu")
    assert isinstance(found, PythonKernel) is fits, found
    library._destroy()


def test_an_instrumented_overload_keeps_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    library = torch.library.Library("compat_shim_instrumented", "FRAGMENT")
    library.define("f(Tensor x) -> Tensor")
    library.impl("f", lambda x: x + 1, "CPU")
    op = torch.ops.compat_shim_instrumented.f.default
    with monkeypatch.context() as patch:
        patch.setattr(torch._ops.OpOverload, "__call__", lambda self, *args: self._op(*args))
        assert known.find(op, "cpu") is LongWay.INSTRUMENTED
    library._destroy()


@pytest.mark.parametrize("switch", ["_profiler_enabled", "_is_profiler_enabled"])
def test_either_sign_of_a_profiler_is_seen(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        assert step.step() is not step._long_way
        if switch == "_profiler_enabled":
            monkeypatch.setattr(step, switch, lambda: True)
        else:
            monkeypatch.setattr(step.profiler, switch, True)
        assert step.step() is step._long_way


class Heard(Tensor):
    """With ``__torch_function__``, in a list."""

    heard = 0

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if isinstance(func, torch._ops.OpOverload):
            cls.heard += 1
        return super().__torch_function__(func, types, args, kwargs or {})


def test_a_tensor_in_a_list_is_asked_where_the_dispatcher_asks_it() -> None:
    library = torch.library.Library("compat_shim_lists", "FRAGMENT")
    library.define("f(Tensor[] xs) -> Tensor")
    library.impl("f", lambda xs: xs[0] + 1, "CPU")
    op = torch.ops.compat_shim_lists.f.default
    kernel = known.find(op, "cpu")
    assert isinstance(kernel, PythonKernel)
    with torch.no_grad():
        call = step.step()(op, "cpu", kernel.signature)
        assert call([torch.ones(1)]).tolist() == [2]
        assert Heard.heard == 0
        given = [torch.ones(1), torch.ones(1).as_subclass(Heard)]
        assert op(given).tolist() == [2]
        heard, Heard.heard = Heard.heard, 0
        assert call(given).tolist() == [2]
    assert Heard.heard == heard
    library._destroy()


def test_what_is_written_to_may_not_be_left_out() -> None:
    op = torch.library.custom_op(
        "compat_shim_left_out::f",
        lambda x, out=None: None,
        mutates_args=("out",),
        schema="(Tensor x, Tensor(a!)? out=None) -> ()",
    )
    assert known.find(op._opoverload, "cpu") is LongWay.ALIASES
