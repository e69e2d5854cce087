"""The two contenders: one block compiled by stock torch and with the shim, in one process."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch._dynamo.utils import counters
from torch._inductor.utils import run_and_get_code

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


def compile_both(block: Block, x: torch.Tensor) -> tuple[Contender, Contender]:
    """Compile the block by stock torch and with the shim; both stay callable.

    Args:
        block: on the device of ``x``.
        x: float32, (rows, width).

    Returns:
        The contenders, stock first. What stock torch raises is kept in its ``error``, and so is
        what compiling with the shim raises.
    """
    stock = _make(f"stock torch {torch.__version__.partition('+')[0]}", False, block)
    shimmed = _make("with the shim", True, block)

    def first_calls() -> None:
        for contender in (stock, shimmed):
            before = dict(counters[COUNTER])
            with _compiling(contender):
                contender.step(x)
            contender.counted = {
                event: count - before.get(event, 0)
                for event, count in counters[COUNTER].items()
                if count > before.get(event, 0)
            }

    # One capture for both: it resets Dynamo when it starts, which drops what was compiled before.
    _, codes = run_and_get_code(first_calls)
    # Equal codes are captured once, and a contender that failed early has none.
    if len(codes) > 1 or not (stock.error or shimmed.error):
        stock.code, shimmed.code = codes[0], codes[-1]
    elif codes:
        (stock if shimmed.error else shimmed).code = codes[0]
    for contender in (stock, shimmed):
        if not contender.error:
            with _compiling(contender):
                contender.alone(x, block[0])
    return stock, shimmed


def _make(name: str, shim: bool, block: Block) -> Contender:
    def step(x: torch.Tensor) -> torch.Tensor:
        return block(x)

    return Contender(
        name,
        shim,
        step=torch.compile(own_code(step, f"step_{shim}"), fullgraph=True, dynamic=False),
        alone=torch.compile(own_code(ops_alone, f"alone_{shim}"), fullgraph=True, dynamic=False),
    )


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
