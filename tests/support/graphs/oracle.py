"""Is a program right? First oracle: eager, bit for bit. Second: torch's own fallback."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch._dynamo.utils import counters
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop
from torch._inductor import config

from support.checks import poisoned_allocations, same
from support.graphs.operators import DECLINED, LOWERED
from support.graphs.program import Program
from support.ops import Ops

_numbers = itertools.count()
_kept: list[Any] = []  # destroying a library of three overloads of one op crashes older releases


def _eager_while_loop(condition: Callable[..., Any], body: Callable[..., Any], carried: tuple[Any, ...]) -> Any:
    while condition(*carried):
        carried = body(*carried)
    return carried


def _eager_scan(step: Callable[..., Any], carry: torch.Tensor, xs: torch.Tensor) -> Any:
    outputs = []
    for x in xs:
        carry, y = step(carry, x)
        outputs.append(y)
    return carry, torch.stack(outputs)


EAGER = SimpleNamespace(
    cond=lambda predicate, yes, no, args: (yes if predicate else no)(*args),
    while_loop=_eager_while_loop,
    scan=_eager_scan,
    region=lambda function: function,
)
TRACED = SimpleNamespace(
    cond=torch.cond,
    while_loop=while_loop,
    scan=scan,
    region=getattr(torch.compiler, "nested_compile_region", None),
)


@dataclasses.dataclass
class Verdict:
    """What became of a program: ``right``, ``stock fails too``, ``failed`` or ``invalid``, and why.

    Attributes:
        in_place: how many out buffers were an input's memory, where it is right.
    """

    kind: str
    why: str = ""
    in_place: int = 0


class Invalid(Exception):
    """Eager cannot run the program either: the generator's fault."""


class Wrong(Exception):
    """A result, or what was lowered, is not as it must be."""


def judge(program: Program) -> Verdict:
    """Compile and run a program; where that is not right, the same without out variants."""
    try:
        in_place = _run(program, with_out=True)
    except Invalid as invalid:
        return Verdict("invalid", str(invalid))
    except Exception as found:
        ours = found
    else:
        return Verdict("right", in_place=in_place)
    try:
        _run(program, with_out=False)
    except Exception as stock:
        return Verdict("stock fails too", _first_line(stock))
    return Verdict("failed", f"{program!r}\n{type(ours).__name__}: {ours}")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def _define(program: Program, ops: dict[str, Ops], hop: Any) -> Callable[..., Any]:
    scope: dict[str, Any] = {"torch": torch, "hop": hop, **{name: op.functional for name, op in ops.items()}}
    exec(compile(program.source, "<program>", "exec"), scope)
    return scope["graph"]


def _inputs(program: Program, more: int) -> list[torch.Tensor]:
    """Inputs of whole numbers; the first dimension is longer by ``more``."""
    generator = torch.Generator().manual_seed(more)
    shape = (program.shape[0] + more, *program.shape[1:]) if program.shape else ()
    inputs = [_input(strides, shape, generator) for strides in program.inputs]
    inputs[-1].requires_grad_(program.training)
    return inputs


def _input(strides: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    def whole(size: tuple[int, ...]) -> torch.Tensor:
        return torch.randint(-8, 9, size, generator=generator).to(torch.float32)

    if not shape:
        return whole((3,))[1]
    if strides == "transposed":
        return whole(shape[::-1]).permute(*reversed(range(len(shape))))
    if strides == "channels last" and len(shape) == 4:
        return whole(shape).contiguous(memory_format=torch.channels_last)
    if strides == "padded":
        return whole((*shape[:-1], shape[-1] + 2))[..., : shape[-1]]
    if strides == "offset":
        return whole((shape[0] + 1, *shape[1:]))[1:]
    if strides == "broadcast":
        return whole((1, *shape[1:])).expand(shape)
    if strides == "overlapping":
        return whole((sum(shape),)).as_strided(shape, (1,) * len(shape))
    return whole(shape)


def _step(graph: Callable[..., Any], inputs: list[torch.Tensor]) -> Any:
    """The results, then the gradients if there are any."""
    results = graph(*inputs)
    differentiable = [value for value in results if value.requires_grad]
    if differentiable:
        torch.stack([value.sum() for value in differentiable]).sum().backward()
    return [value.detach() for value in results], [value.grad for value in inputs]


def _run(program: Program, with_out: bool) -> int:
    """Compile, run and compare; how many out buffers were an input's memory."""
    in_place = 0
    namespace = f"fuzz_{next(_numbers)}"
    ops = {op.name: op.register(namespace, with_out) for op in program.operators}
    _kept.append(ops)
    eager = _define(program, ops, EAGER)
    traced = _define(program, ops, TRACED)
    torch._dynamo.reset()
    counters.clear()
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(poisoned_allocations())
        stack.enter_context(config.patch({"fx_graph_cache": False, **program.settings}))
        stack.enter_context(torch.set_grad_enabled(program.training))
        stack.enter_context(torch._dynamo.config.patch(capture_scalar_outputs=True))  # torch 2.8's scan needs it
        dynamic = {"static": False, "dynamic": True}.get(program.dynamic)
        compiled = torch.compile(traced, fullgraph=True, dynamic=dynamic)
        # A symbolic graph is run at a second size.
        for more in (0,) if program.dynamic == "static" else (0, 3):
            try:
                expected = _step(eager, _inputs(program, more))
            except Exception as error:
                raise Invalid(_first_line(error)) from error
            for op in ops.values():
                op.calls.clear()
            given = _inputs(program, more)
            if program.dynamic == "mark_dynamic" and program.shape and program.shape[0] > 1:
                for value in given:
                    torch._dynamo.maybe_mark_dynamic(value, 0)
            found = _step(compiled, given)
            in_place += sum(op.calls["in place"] for op in ops.values())
            if not same(found, expected):
                raise Wrong(f"at size +{more}\n found {found}\n eager {expected}")
            if with_out:
                _check_lowered(program, ops)
    return in_place


def _check_lowered(program: Program, ops: dict[str, Ops]) -> None:
    for op in program.operators:
        calls = ops[op.name].calls
        expected = op.expect(program.dynamic != "static")
        wrong = "functional" if expected == LOWERED else "out" if expected == DECLINED else None
        right = {LOWERED: "out", DECLINED: "functional"}.get(expected)
        if wrong is not None and calls[wrong]:
            raise Wrong(f"{op.name} must be {expected}: {dict(calls)}, {dict(counters['compat_shim'])}")
        if right is not None and op.name in program.live and not calls[right]:
            raise Wrong(f"{op.name} was not called: {dict(calls)}, {dict(counters['compat_shim'])}")
