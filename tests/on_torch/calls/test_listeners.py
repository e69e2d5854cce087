"""Whoever listens on the way of a call through the dispatcher hears each op, whenever they begin."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import compat_shim
from support.short_calls import KINDS, Sides, set_calls

OVERLOADS = ("impl.out", "pair_out", "out_out", "functional", "mutable")


def called(sides: Sides) -> set[str]:
    """The names of the overloads that the code calls."""
    return {f"{sides.program.namespace}::{name}" for name in OVERLOADS}


def test_nobody_listens(sides: Sides) -> None:
    assert sides.both().short == set(KINDS)
    assert sides.both().short == set(KINDS)


def test_the_code_has_one_line_a_kernel_and_one_a_function(sides: Sides) -> None:
    code, namespace = sides.codes["short"], sides.program.namespace
    lines = [line.strip() for line in code.splitlines() if re.search(r"compat_shim_(call\b|step)", line)]
    lines = [re.sub(r"\d{3,}\)", "N)", line) for line in lines]
    assert lines == [
        "compat_shim_step = getattr(sys.modules.get('_compat_shim_owner'), 'step', lambda *inputs: lambda op, *_: op)",
        "compat_shim_call = compat_shim_step()",
        f"call_{namespace}_mutable_default = compat_shim_call(torch.ops.{namespace}.mutable.default, 'cpu', N)",
        f"call_{namespace}_impl_out = compat_shim_call(torch.ops.{namespace}.impl.out, 'cpu', N)",
        f"call_{namespace}_pair_out_default = compat_shim_call(torch.ops.{namespace}.pair_out.default, 'cpu', N)",
        f"call_{namespace}_out_out_default = compat_shim_call(torch.ops.{namespace}.out_out.default, 'cpu', N)",
        f"call_{namespace}_functional_default = compat_shim_call(torch.ops.{namespace}.functional.default, 'cpu', N)",
    ]
    assert "compat_shim_step" not in sides.codes["long"]


def test_a_profiler_sees_each_op_with_its_shapes(sides: Sides) -> None:
    with torch.profiler.profile(record_shapes=True) as profiler:
        assert sides.both().short == set()
    with torch.autograd.profiler.profile() as older:
        assert sides.both().short == set()
    assert sides.both().short == set(KINDS)
    events = [event for event in profiler.events() if event.name in {name.partition(".")[0] for name in called(sides)}]
    assert len(events) == 2 * len(OVERLOADS)
    assert all(event.input_shapes[0] == [3, 4] for event in events)
    assert {event.name for event in events} <= {event.name for event in older.function_events}


def test_an_observer_of_execution_traces_sees_each_op(sides: Sides, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    observer = torch.profiler.ExecutionTraceObserver().register_callback(str(path))
    observer.start()
    assert sides.both().short == set()
    observer.stop()
    assert sides.both().short == set(KINDS)
    observer.unregister_callback()
    names = [node["name"] for node in json.loads(path.read_text())["nodes"]]
    assert all(names.count(name.partition(".")[0]) == 2 for name in called(sides))


class Dispatched(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if isinstance(func, torch._ops.OpOverload):
            self.names.append(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mode", [Dispatched, Functions])
def test_a_mode_sees_each_op(sides: Sides, mode: Any) -> None:
    with mode() as listening:
        assert sides.both().short == set()
    assert sides.both().short == set(KINDS)
    assert all(listening.names.count(name) == 2 for name in called(sides))


def test_a_counter_of_operations_sees_each_op(sides: Sides) -> None:
    ops = sides.program.ops
    mapping = {op: lambda *shapes, out_shape=None, **_: 7 for op in (ops.functional, ops.mutable)}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        assert sides.step("short").short == set()
    assert counter.get_total_flops() == 14


@contextlib.contextmanager
def default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("name", ["meta", "cpu"])
@pytest.mark.parametrize("context", [torch.device, default_device])
def test_a_device_by_default_is_not_the_body_s(sides: Sides, context: Callable[..., Any], name: str) -> None:
    with context(name):
        outcome = sides.both(lambda: torch.ones(3, 4, device="cpu"))
    assert outcome.short == set()
    assert len(outcome.seen) == len(KINDS)


def listening_states() -> dict[str, Callable[[], Any]]:
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.Python)
    return {
        "grad mode": torch.enable_grad,
        "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        "a guard that excludes keys": lambda: torch._C._ExcludeDispatchKeyGuard(keys),
        "a guard that includes keys": lambda: torch._C._IncludeDispatchKeyGuard(torch._C.DispatchKey.PythonTLSSnapshot),
        "functionalization": lambda: torch._C._ExcludeDispatchKeyGuard(
            torch._C.DispatchKeySet(torch._C.DispatchKey.Functionalize)
        ),
        "below autograd": torch._C._AutoDispatchBelowAutograd,
        "FakeTensorMode": FakeTensorMode,
    }


@pytest.mark.parametrize("name", listening_states())
def test_in_another_state_of_the_thread_all_goes_the_long_way(sides: Sides, name: str) -> None:
    # Each side in a context of its own: one that guards from when it is made must not be used twice.
    outcomes = {}
    for side in ("long", "short"):
        with listening_states()[name]():
            outcomes[side] = sides.step(side)
    outcomes["short"].same_as(outcomes["long"])
    assert outcomes["short"].short == set()
    assert sides.both().short == set(KINDS)


def test_an_autocast_kernel_is_run(sides: Sides) -> None:
    sides.program.definitions["functional"].register_autocast("cpu", torch.bfloat16) if hasattr(
        torch.library.CustomOpDef if hasattr(torch.library, "CustomOpDef") else object, "register_autocast"
    ) else None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert sides.both().short == set()


def test_vmap(sides: Sides) -> None:
    def under(side: str) -> str:
        def mapped(x: torch.Tensor) -> torch.Tensor:
            sides.step(side, lambda: x)
            return x

        sides.program.seen.clear()
        torch.vmap(mapped)(torch.ones(2, 3, 4))
        return str([(call.kind, call.state) for call in sides.program.seen])

    assert under("short") == under("long")
    assert not any(call.short for call in sides.program.seen)


def test_inference_mode_and_what_was_made_in_it(sides: Sides) -> None:
    with torch.inference_mode():
        made = torch.ones(3, 4)
        assert sides.both().short == set(KINDS)
        assert sides.both(made.clone).short == set(KINDS)
        outside = torch.ones(3, 4)
    # There autograd's kernel is passed by too, and the first call takes nothing else.
    assert "mutable" not in sides.both(lambda: outside).short


def test_another_thread(sides: Sides) -> None:
    found: list[Any] = []

    def run() -> None:
        with torch.no_grad():
            found.append(sides.both().short)
        found.append(sides.both().short)  # grad mode is a thread's own

    thread = threading.Thread(target=run)
    with Dispatched():
        thread.start()
        thread.join()
    assert found == [set(KINDS), set()]


def test_two_threads_at_once(sides: Sides) -> None:
    expected = sides.step("long").results
    wrong: list[Any] = []

    def run() -> None:
        with torch.no_grad():
            for _ in range(100):
                results = sides.call("short", sides.program.input())
                if not all(torch.equal(one, two[0]) for one, two in zip(results, expected)):
                    wrong.append(results)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_deactivated_while_the_code_lives(sides: Sides) -> None:
    compat_shim.deactivate()
    assert sides.both().short == set()
    set_calls("off")
    assert sides.both().short == set()
    set_calls("pairs")
    assert sides.both().short == set(KINDS)  # the code was compiled for all


def test_dynamo_does_not_trace_a_kernel(sides: Sides) -> None:
    """Where Dynamo looks at frames, the kernel runs under the overload's own ``disable``."""
    looked: list[str] = []

    def look(*arguments: Any) -> Any:
        looked.append(arguments[0].f_code.co_name if hasattr(arguments[0], "f_code") else str(arguments[0]))
        raise AssertionError

    from torch._C._dynamo.eval_frame import set_eval_frame

    from compat_shim.calls import step

    before = set_eval_frame(False)  # Dynamo's "run only"
    try:
        quiet = step._dynamo_looks_at_frames()
        way = step.step()
    finally:
        set_eval_frame(before)
    assert quiet
    assert way is step._long_way
    assert step.step() is not step._long_way
