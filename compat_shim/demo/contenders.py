"""The contenders: one block compiled by stock torch, by stock torch again and with the shim, in one process."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch._dynamo.utils import counters
from torch._inductor.graph import GraphLowering

import compat_shim
from compat_shim.demo.block import Block, ops_alone
from compat_shim.demo.ops import NAMESPACE
from compat_shim.out_variant.lowering import releases
from compat_shim.out_variant.lowering.generated_code import spelled_out

COUNTER = "compat_shim"
_OUT_CALL = re.compile(rf"torch\.ops\.{NAMESPACE}\.\w+\.out\(")


@dataclasses.dataclass
class Contender:
    """A block compiled by one side, and what its compilation showed.

    Attributes:
        name: as printed.
        shim: whether the shim is active while it compiles.
        step: the compiled block; float32, (rows, width) in and out.
        alone: ``ops_alone``, compiled.
        counted: what the shim counted: ``"lowered"`` and ``"declined: NAME"``.
        code: the Python code that Inductor generated for ``step``.
        error: what compiling or running raised; empty if nothing.
    """

    name: str
    shim: bool
    step: Callable[[torch.Tensor], torch.Tensor]
    alone: Callable[..., Any]
    counted: dict[str, int] = dataclasses.field(default_factory=dict)
    code: str = ""
    error: str = ""

    @property
    def out_calls(self) -> int:
        """Calls of an out variant in the generated code, whoever lowered them."""
        return len(_OUT_CALL.findall(spelled_out(self.code)))


def compile_all(block: Block, x: torch.Tensor, say: Callable[[str], None]) -> list[Contender]:
    """Compile the block by stock torch, twice, and with the shim; all stay callable.

    Args:
        block: on the device of ``x``.
        x: float32, (rows, width).
        say: is told what is compiled now.

    Returns:
        The contenders: stock, the same once more, and the shim. What compiling or running raises is kept in ``error``.
    """
    stock = f"stock torch {torch.__version__.partition('+')[0]}"
    contenders = [_make(stock, block), _make("the same again", block), _make("with the shim", block, shim=True)]
    for number, contender in enumerate(contenders):
        say(f"compiling: {contender.name}" + ("" if number else " (the first takes longest, up to half a minute)"))
        before = dict(counters[COUNTER])
        codes: list[str] = []
        with _compiling(contender), captured_code(codes):
            contender.step(x)
        for event, count in counters[COUNTER].items():
            if count > before.get(event, 0):
                contender.counted[event] = count - before.get(event, 0)
        contender.code = "\n".join(codes)
        if not contender.error:
            with _compiling(contender):
                contender.alone(x, block[0])
    return contenders


def _make(name: str, block: Block, shim: bool = False) -> Contender:
    def step(x: torch.Tensor) -> torch.Tensor:
        return block(x)

    suffix = re.sub(r"\W", "_", name)
    return Contender(
        name,
        shim,
        step=torch.compile(own_code(step, f"step_{suffix}"), fullgraph=True, dynamic=False),
        alone=torch.compile(own_code(ops_alone, f"alone_{suffix}"), fullgraph=True, dynamic=False),
    )


def captured_code(into: list[str]) -> contextlib.AbstractContextManager[Any]:
    """Code that Inductor generates goes into the list too. Does not reset Dynamo, as torch's own way to it does."""
    return mock.patch.object(GraphLowering, "save_output_code", into.append)


def own_code(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    # Dynamo keeps what it compiled by code object, so functions that share one would share that.
    assert isinstance(function, types.FunctionType)
    code = function.__code__.replace(co_name=name)
    return types.FunctionType(code, function.__globals__, name, function.__defaults__, function.__closure__)


@contextlib.contextmanager
def _compiling(contender: Contender) -> Iterator[None]:
    """The contender's side of the shim, an empty Inductor cache, and its errors kept."""
    (compat_shim.activate if contender.shim else compat_shim.deactivate)()
    try:
        with releases.fresh_cache():  # keeps its folder if an error leaves it, so none may
            try:
                yield
            except Exception as error:
                contender.error = describe(error)
    finally:
        compat_shim.activate()


def describe(error: Exception) -> str:
    """An error in one line: its type and the first line of its message."""
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
