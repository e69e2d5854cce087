"""Whatever the body of a kernel does, a call is what it is through the dispatcher. The body runs once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from support.short_calls import KINDS, Sides

# What a kernel returns besides the right thing: kind → name → body. The dispatcher passes on, converts or refuses it.
PAIRED = ("impl", "pair", "out", "mutable")


class Sub(Tensor):
    """Without a mark of its own."""


class Quiet(Tensor):
    __torch_function__ = torch._C._disabled_torch_function_impl


def given_out(x: Tensor, s: float, out: Tensor) -> Tensor:
    return torch.mul(x, s, out=out)


WRITING: dict[str, Callable[[Tensor, float, Tensor], Any]] = {
    "the out tensor": given_out,
    "nothing": lambda x, s, out: [given_out(x, s, out), None][1],
    "another tensor": lambda x, s, out: [given_out(x, s, out), x + 1][1],
    "the input": lambda x, s, out: [given_out(x, s, out), x][1],
    "a view of the out tensor": lambda x, s, out: given_out(x, s, out).view(-1),
    "a tuple of it": lambda x, s, out: (given_out(x, s, out),),
    "a list of it": lambda x, s, out: [given_out(x, s, out)],
    "two": lambda x, s, out: (given_out(x, s, out), x),
    "a number": lambda x, s, out: [given_out(x, s, out), 3][1],
    "a word": lambda x, s, out: [given_out(x, s, out), "three"][1],
    "an object": lambda x, s, out: [given_out(x, s, out), object][1],
    "a Parameter": lambda x, s, out: [given_out(x, s, out), nn.Parameter(x.clone())][1],
}
MAKING: dict[str, Callable[[Tensor, float], Any]] = {
    "a tensor": lambda x, s: x * s,
    "the input": lambda x, s: x,
    "a view of the input": lambda x, s: x.view(3, 4),
    "nothing": lambda x, s: None,
    "a tuple of it": lambda x, s: (x * s,),
    "a list of it": lambda x, s: [x * s],
    "a number": lambda x, s: 3,
    "a word": lambda x, s: "three",
    "a Parameter": lambda x, s: nn.Parameter(x * s),
    "a Parameter without gradient": lambda x, s: nn.Parameter(x * s, requires_grad=False),
    "a subclass": lambda x, s: (x * s).as_subclass(Sub),
    "a quiet subclass": lambda x, s: (x * s).as_subclass(Quiet),
    "a tensor of another shape": lambda x, s: (x * s)[:2],
}


def counted(sides: Sides, kind: str, body: Callable[..., Any]) -> list[int]:
    count = [0]

    def kernel(*arguments: Any) -> Any:
        count[0] += 1
        return body(*arguments)

    sides.program.bodies[kind] = kernel
    return count


@pytest.mark.parametrize("kind", PAIRED)
@pytest.mark.parametrize("name", WRITING)
def test_what_a_kernel_that_writes_returns(sides: Sides, kind: str, name: str) -> None:
    count = counted(sides, kind, WRITING[name])
    assert kind in sides.both().short
    assert count == [2], "once on each side"


@pytest.mark.parametrize("name", MAKING)
def test_what_a_kernel_that_makes_returns(sides: Sides, name: str) -> None:
    count = counted(sides, "functional", MAKING[name])
    assert "functional" in sides.both().short
    assert count == [2], "once on each side"


def raising(*_: Any) -> None:
    raise ValueError("of the kernel's own")


def with_grad(x: Tensor, s: float, out: Tensor | None = None) -> Any:
    with torch.enable_grad():
        weight = nn.Parameter(torch.ones(3, 4))
        result = x * s * weight
        if out is None:
            return result
        out.copy_(result)
        return None


def leaving_grad_on(x: Tensor, s: float, out: Tensor | None = None) -> Any:
    torch._C._set_grad_enabled(True)
    return x * s if out is None else [given_out(x, s, out), None][1]


BODIES: dict[str, Callable[..., Any]] = {
    "raises": raising,
    "works with gradients": with_grad,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BODIES)
def test_what_a_body_does(sides: Sides, kind: str, name: str) -> None:
    counted(sides, kind, BODIES[name])
    assert kind in sides.both().short
    sides.program.bodies.clear()
    assert sides.both().short == set(KINDS), "nothing is left behind"


def test_grad_mode_turned_on_in_a_step_counts_from_the_next(sides: Sides) -> None:
    counted(sides, "mutable", leaving_grad_on)
    assert "mutable" in sides.step("short").short
    assert sides.step("short").short == set()
    torch._C._set_grad_enabled(False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_calls_compiled_code_of_its_own_op(sides: Sides, kind: str) -> None:
    """The wrapper is entered again in the midst of a call, by the same thread."""
    depth = [0]
    body = sides.program.bodies

    def recursive(x: Tensor, s: float, out: Tensor | None = None) -> Any:
        if depth[0] < 2:
            depth[0] += 1
            side = "short" if sides.program.seen[-1].short else "long"
            sides.call(side, x)
            depth[0] -= 1
        if out is None:
            return x * s
        given_out(x, s, out)
        return None if kind in ("mutable", "pair") else out

    body[kind] = recursive
    long, short = sides.step("long"), sides.step("short")
    # In the body autograd's keys are excluded: what is compiled there goes the long way, as it would in stock.
    assert [(call.kind, call.state, call.grad) for call in short.seen] == [
        (call.kind, call.state, call.grad) for call in long.seen
    ] or kind == "impl"
    assert [torch.equal(one[0], two[0]) for one, two in zip(short.results, long.results)] == [True] * 6
    body.clear()
    assert sides.both().short == set(KINDS)


def test_a_body_that_works_in_another_thread(sides: Sides) -> None:
    states: list[Any] = []

    def spawning(x: Tensor, s: float, out: Tensor) -> None:
        def run() -> None:
            states.append((torch._C._dispatch_tls_local_exclude_set().raw_repr(), torch.is_grad_enabled()))
            torch.mul(x, s, out=out)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    sides.program.bodies["mutable"] = spawning
    assert "mutable" in sides.both().short
    assert states[0] == states[1]


def test_parameters_and_subclasses_as_inputs(sides: Sides) -> None:
    plain = torch.arange(12.0).view(3, 4)
    assert sides.both(lambda: nn.Parameter(plain.clone())).short == set(KINDS)
    assert sides.both(lambda: nn.Parameter(plain.clone(), requires_grad=False)).short == set(KINDS)
    # Of a class with __torch_function__ is an argument of the first call alone; the others' are made by it.
    assert "mutable" not in sides.both(lambda: plain.clone().as_subclass(Sub)).short
