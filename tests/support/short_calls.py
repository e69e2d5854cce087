"""One graph of custom ops of every kind, compiled to go the short way and the long one, and who looks on.

The generated wrappers are called without Dynamo's guards around them: what changes between two steps meets the checks
of the step, and not a compile anew.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._inductor import config
from torch._inductor.codecache import PyCodeCache
from torch._inductor.utils import run_and_get_code

import compat_shim
from compat_shim.calls import ways

_numbers = itertools.count()
KINDS = ("impl", "pair", "out", "functional", "mutable")
Body = Callable[..., Any]


def set_calls(which: str) -> None:
    """Activate anew with ``COMPAT_SHIM_CALLS``."""
    compat_shim.deactivate()
    with mock.patch.dict(os.environ, {"COMPAT_SHIM_CALLS": which}):
        compat_shim.activate()


@dataclasses.dataclass
class Call:
    """What the body of a kernel saw.

    Attributes:
        short: whether compiled code called it itself.
        state: the dispatch keys that are included and excluded.
        grad: the grad mode.
        device: of a tensor that it made; for a GPU also its number and the stream.
        versions: of what it writes to.
    """

    kind: str
    short: bool
    state: tuple[int, int]
    grad: bool
    device: str
    versions: tuple[int, ...]


class Program:
    """The ops, the graph, and its code. ``bodies`` says what the kernel of a kind does besides its work."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.namespace = f"compat_shim_calls_test_{next(_numbers)}"
        self.seen: list[Call] = []
        self.bodies: dict[str, Body] = {}
        self.library = torch.library.Library(self.namespace, "FRAGMENT")
        self.definitions: dict[str, Any] = {}
        self._define()
        self.ops = getattr(torch.ops, self.namespace)

    def _look(self, kind: str, written: tuple[Tensor, ...]) -> None:
        caller = sys._getframe(2).f_code.co_filename
        include, exclude = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
        self.seen.append(
            Call(
                kind,
                caller.startswith("<compat_shim: "),
                (include.raw_repr(), exclude.raw_repr()),
                torch.is_grad_enabled(),
                f"{torch.empty(1).device} {_gpu()}",
                tuple(0 if tensor.is_inference() else tensor._version for tensor in written),
            )
        )

    def _define(self) -> None:
        namespace, look, bodies = self.namespace, self._look, self.bodies

        def make(kind: str) -> Body:
            def kernel(x: Tensor, s: float) -> Any:
                look(kind, ())
                return bodies[kind](x, s) if kind in bodies else x * s

            return kernel

        def write(kind: str) -> Body:
            def kernel(x: Tensor, s: float, out: Tensor) -> Any:
                look(kind, (out,))
                if kind in bodies:
                    return bodies[kind](x, s, out)
                torch.mul(x, s, out=out)
                return None

            return kernel

        def write_by_name(kind: str) -> Body:
            def kernel(x: Tensor, s: float, *, out: Tensor) -> Any:
                look(kind, (out,))
                return bodies[kind](x, s, out) if kind in bodies else torch.mul(x, s, out=out)

            return kernel

        self.library.define("impl(Tensor x, float s) -> Tensor")
        self.library.define("impl.out(Tensor x, float s, *, Tensor(a!) out) -> Tensor(a!)", tags=torch.Tag.out_variant)
        key = torch.device(self.device).type.upper()
        self.library.impl("impl", make("impl_functional"), key)
        self.library.impl("impl.out", write_by_name("impl"), key)
        fake = lambda x, s: torch.empty_like(x)  # noqa: E731
        torch.library.register_fake(f"{namespace}::impl", fake, lib=self.library)
        functional, written = "(Tensor x, float s) -> Tensor", "(Tensor x, float s, Tensor(a!) out) -> ()"
        named = "(Tensor x, float s, *, Tensor(a!) out) -> Tensor(a!)"
        for name in ("pair", "out", "functional"):
            op = torch.library.custom_op(
                f"{namespace}::{name}",
                make(name + "_functional" * (name != "functional")),
                mutates_args=(),
                schema=functional,
            )
            op.register_fake(fake)
            self.definitions[name] = op
        for name, kind in (("pair_out", "pair"), ("mutable", "mutable")):
            self.definitions[name] = torch.library.custom_op(
                f"{namespace}::{name}", write(kind), mutates_args=("out",), schema=written
            )
        self.definitions["out_out"] = torch.library.custom_op(
            f"{namespace}::out_out", write_by_name("out"), mutates_args=("out",), schema=named, tags=(torch.Tag.out,)
        )
        ops = getattr(torch.ops, namespace)
        compat_shim.register_out_variant(ops.pair.default, ops.pair_out.default)
        compat_shim.register_out_variant(ops.out.default, ops.out_out.default)

    def graph(self, x: Tensor) -> tuple[Tensor, ...]:
        ops = self.ops
        y = torch.empty_like(x)
        ops.mutable(x, 1.5, y)
        return ops.impl(y, 2.0), ops.pair(y, 3.0), ops.out(y, 4.0), ops.functional(y, 5.0), y

    def code(self, which: str, compile: Callable[[Body], Body] = torch.compile) -> str:
        """The graph's code under ``COMPAT_SHIM_CALLS``."""
        set_calls(which)
        torch._dynamo.reset()

        def graph(x: Tensor) -> tuple[Tensor, ...]:
            return self.graph(x)

        with torch.no_grad(), config.patch(fx_graph_cache=False):
            _, (code,) = run_and_get_code(compile(graph), self.input())
        return code

    def input(self) -> Tensor:
        return torch.arange(12.0, device=self.device).view(3, 4)

    def destroy(self) -> None:
        self.library._destroy()


def _gpu() -> tuple[int, ...]:
    if not torch.cuda.is_initialized():
        return ()
    return torch.cuda.current_device(), torch.cuda.current_stream().cuda_stream


@dataclasses.dataclass
class Outcome:
    """What a step did: what it returned and what the versions of that are, or what it raised; what the bodies saw."""

    results: Any
    error: str
    seen: list[Call]

    @property
    def short(self) -> set[str]:
        return {call.kind for call in self.seen if call.short}

    def same_as(self, other: Outcome) -> None:
        """Asserts that nothing differs but the way."""
        assert self.error == other.error
        mine, theirs = ([dataclasses.replace(call, short=False) for call in one.seen] for one in (self, other))
        assert mine == theirs
        assert (self.results is None) == (other.results is None)
        for one, two in zip(self.results or (), other.results or ()):
            assert (one[0] is None) == (two[0] is None)
            assert one[1:] == two[1:]
            assert one[0] is None or torch.equal(one[0], two[0])


def described(value: Any) -> tuple[Any, ...]:
    """A result, its type, version and what else of it can be seen."""
    if not isinstance(value, Tensor):
        return None, value
    version = None if value.is_inference() else value._version
    plain = value.detach().as_subclass(Tensor)
    return plain.clone(), type(value), version, value.requires_grad, value.is_inference(), value.device, value.shape


class Sides:
    """The program's code, for the short way and for the long one."""

    def __init__(self, program: Program, short: str, long: str) -> None:
        self.program = program
        self.codes = {"short": short, "long": long}
        self._calls = {name: PyCodeCache.load(code).call for name, code in self.codes.items()}

    @classmethod
    def of(cls, device: str = "cpu") -> Sides:
        """A program on a device, compiled for each side: graphs of one call of an op go the short way too."""
        with mock.patch.object(ways, "PAYS_FROM", 1):
            program = Program(device)
            return cls(program, program.code("all"), program.code("off"))

    def step(self, side: str, make: Callable[[], Tensor] | None = None) -> Outcome:
        """One step of the wrapper. Other steps of other sides have left nothing behind."""
        x = (make or self.program.input)()
        self.program.seen.clear()
        results, error = None, ""
        try:
            results = [described(value) for value in (*self.call(side, x), x)]
        except Exception as caught:
            error = f"{type(caught).__name__}: {caught}"
        return Outcome(results, error, list(self.program.seen))

    def call(self, side: str, x: Tensor) -> tuple[Tensor, ...]:
        """The wrapper itself."""
        results: tuple[Tensor, ...] = self._calls[side]([x])
        return results

    def both(self, make: Callable[[], Tensor] | None = None) -> Outcome:
        """A step of each side; they must not differ. Returns that of the short side."""
        long, short = self.step("long", make), self.step("short", make)
        short.same_as(long)
        assert not long.short
        return short
