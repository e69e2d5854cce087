"""Random graphs as Python source: calls in chains, views, writes, loops, control flow, training."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch._inductor.fx_passes import post_grad

from support.graphs.operators import Operator, operators
from support.graphs.outputs import Shape
from support.graphs.signatures import calls

HAS_SCAN = hasattr(post_grad, "decompose_scan_to_while_loop")  # torch 2.8 on
HAS_REGIONS = hasattr(torch.compiler, "nested_compile_region")

SHAPES: list[Shape] = [(4, 6), (4, 6), (6, 6), (1, 5), (3, 0), (), (7,), (2, 3, 4), (2, 3, 4, 5)]
INPUT_STRIDES = ["plain", "plain", "transposed", "channels last", "padded", "offset", "broadcast", "overlapping"]
# Without those that Inductor copies for some tags, by a kernel of its own.
QUICK_STRIDES = ["plain", "plain", "transposed", "padded", "offset"]
SETTINGS: list[dict[str, Any]] = [
    {},
    {},
    {},
    {"memory_planning": True},
    {"allow_buffer_reuse": False},
    {"size_asserts": False},
    {"nan_asserts": False, "inplace_buffers": False},
    {"freezing": True},
    {"triton.cudagraphs": True},
]


@dataclasses.dataclass(frozen=True)
class Program:
    """A graph, its ops and its inputs.

    Attributes:
        source: defines ``graph(x0, x1, ...)``; names the ops, ``torch`` and ``hop`` (``oracle``).
        inputs: the strides of each input; all have ``shape``.
        training: the last input, ``p``, has a gradient.
        dynamic: ``static``, ``dynamic`` or ``mark_dynamic``.
        live: the ops that the result hangs on.
    """

    operators: tuple[Operator, ...]
    source: str
    shape: Shape
    inputs: tuple[str, ...]
    dynamic: str
    training: bool
    live: frozenset[str]
    settings: dict[str, Any]

    def __repr__(self) -> str:
        lines = [f"{self.inputs} of {self.shape}, {self.dynamic}, training={self.training}, {self.settings}"]
        for op in self.operators:
            lines.append(
                f"{op.route}, {op.tag or 'no tag'}, {op.out_key}: {op.name}{op.names[0]}{op.signature.functional()}"
            )
            lines += [f"    may reuse {op.reuses}"] if op.reuses else []
            lines.append(f"    {op.name}{op.names[1]}{op.signature.out()}")
            lines += [f"    {output}" for output in op.outputs]
        return "\n".join([*lines, self.source])


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the graph.

    Attributes:
        keeps: it is contiguous, float32 and of the program's shape.
        writable: an in-place write means the same compiled and in eager.
        needs: the ops that it hangs on. What is empty hangs on none.
    """

    name: str
    shape: Shape
    dtype: torch.dtype
    keeps: bool = False
    writable: bool = False
    needs: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if 0 in self.shape:
            object.__setattr__(self, "needs", frozenset())


class _Builder:
    def __init__(self, draw: st.DrawFn, ops: tuple[Operator, ...], shape: Shape, inputs: int, kernels: bool) -> None:
        self.draw, self.ops, self.shape, self.kernels = draw, ops, shape, kernels
        self.lines: list[str] = []
        self.losses: list[str] = []
        self.globals: list[str] = []  # what Dynamo must find made when it traces
        self.values = [Value(f"x{index}", shape, torch.float32) for index in range(inputs)]
        self.made = 0
        self.size = "x0.shape[0]" if shape else "3"

    def name(self) -> str:
        self.made += 1
        return f"v{self.made}"

    def pick(self) -> Value:
        # Late values are likelier, so that chains are.
        return self.values[-1 - min(self.draw(st.integers(0, len(self.values) - 1)) for _ in range(2))]

    def keeping(self) -> list[Operator]:
        return [op for op in self.ops if op.keeps is not None]

    def start(self) -> Value:
        """A contiguous float32 value of the program's shape."""
        found = [value for value in self.values if value.keeps]
        if found:
            return found[-1]
        self.call(self.keeping()[0], self.values[0])
        return next(value for value in reversed(self.values) if value.keeps)

    def arguments(self, op: Operator, x: str, tensors: list[str], size: str) -> str:
        return self.draw(calls(op.signature, x, tensors, size))

    def call(self, op: Operator, x: Value) -> None:
        text = self.arguments(op, x.name, [value.name for value in self.values], self.size)
        given = set(re.findall(r"\w+", text))
        needs = x.needs.union({op.name}, *(value.needs for value in self.values if value.name in given))
        names = [self.name() for _ in op.outputs]
        self.lines.append(f"{', '.join(names)} = {op.name}({text})")
        for name, output in zip(names, op.outputs):
            writable = not op.aliases and output.strides != "overlapping"
            keeps = output.keeps and x.shape == self.shape
            self.values.append(Value(name, output.shape_for(x.shape), output.dtype, keeps, writable, needs=needs))

    def keep_text(self, op: Operator, x: str, tensors: list[str], size: str) -> str:
        """A call whose result looks like ``x``, as an expression."""
        text = f"{op.name}({self.arguments(op, x, tensors, size)})"
        return text if len(op.outputs) == 1 else f"{text}[{op.keeps}]"

    def chain_of(self, x: str) -> tuple[str, frozenset[str]]:
        """One to three calls in each other, for the body of a region of control flow."""
        used = set()
        size = f"{x}.shape[0]" if self.shape else "3"
        text, tensor = x, x
        for _ in range(self.draw(st.integers(1, 3))):
            op = self.draw(st.sampled_from(self.keeping()))
            used.add(op.name)
            text = self.keep_text(op, text, [tensor], size)
        return text, frozenset(used)

    def statement(self) -> None:
        kinds = ["call"] * 8 + ["view"] * 3 + ["loop"] + (["region"] if HAS_REGIONS else [])
        if self.kernels:
            kinds += ["write", "aten", "cond", "while_loop", "autograd"] + (["scan"] if HAS_SCAN else [])
        kind = self.draw(st.sampled_from(kinds))
        if kind == "call":
            self.call(self.draw(st.sampled_from(self.ops)), self.pick())
        else:
            getattr(self, f"_{kind}")()

    def _view(self) -> None:
        x = self.pick()
        views = [(f"{x.name}.unsqueeze(0)", (1, *x.shape)), (f"{x.name}.transpose(0, -1)", x.shape[::-1])]
        views.append((f"{x.name}.expand(2, *{x.name}.shape)", (2, *x.shape)))
        if x.shape and x.shape[0] > 1:
            views.append((f"{x.name}[1:]", (x.shape[0] - 1, *x.shape[1:])))
            views.append((f"{x.name}[0]", x.shape[1:]))
        if len(x.shape) > 2:
            views = views[:1]
        text, shape = self.draw(st.sampled_from(views))
        name = self.name()
        self.lines.append(f"{name} = {text}")
        writable = x.writable and ".expand" not in text
        self.values.append(Value(name, shape, x.dtype, False, writable, needs=x.needs))

    def _write(self) -> None:
        found = [v for v in self.values if v.writable and v.dtype in (torch.float32, torch.int64, torch.bfloat16)]
        if found:
            x = self.draw(st.sampled_from(found))
            how = self.draw(st.sampled_from(["add_(1)", "mul_(2)", "sub_(3)", "neg_()"]))
            self.lines.append(f"{x.name}.{how}")

    def _aten(self) -> None:
        x = self.pick()
        name = self.name()
        if x.dtype is torch.float32 and len(x.shape) == 2 and x.shape[0] == x.shape[1] and self.draw(st.booleans()):
            self.lines.append(f"{name} = torch.mm({x.name}, {x.name}.t()).remainder(13)")
            self.values.append(Value(name, x.shape, x.dtype, False, True, needs=x.needs))
        elif x.dtype is torch.float32 and x.shape and self.draw(st.booleans()):
            self.lines.append(f"{name} = torch.sort({x.name}, -1)[0]")
            self.values.append(Value(name, x.shape, x.dtype, False, True, needs=x.needs))
        elif "float8" not in str(x.dtype):
            self.lines.append(f"{name} = {x.name} + 1")
            dtype = torch.int64 if x.dtype is torch.bool else x.dtype
            self.values.append(Value(name, x.shape, dtype, False, True, needs=x.needs))

    def _loop(self) -> None:
        start, name = self.start(), self.name()
        op = self.draw(st.sampled_from(self.keeping()))
        text = self.keep_text(op, name, [name, start.name], self.size)
        self.lines += [
            f"{name} = {start.name}",
            f"for i in range({self.draw(st.integers(2, 4))}):",
            f"    {name} = {text}",
        ]
        self.values.append(Value(name, self.shape, torch.float32, True, True, needs=start.needs | {op.name}))

    def _function(self, arguments: str, text: str) -> str:
        name = self.name().replace("v", "function")
        self.lines += [f"def {name}({arguments}):", f"    return {text}"]
        return name

    def _result(self, text: str, needs: frozenset[str], shape: Shape | None = None) -> None:
        name = self.name()
        self.lines.append(f"{name} = {text}")
        whole = self.shape if shape is None else shape
        self.values.append(Value(name, whole, torch.float32, shape is None, needs=needs))

    def _cond(self) -> None:
        start = self.start()
        (yes, used), (no, used_too) = self.chain_of("a"), self.chain_of("a")
        names = [self._function("a", text) for text in (yes, no)]
        self._result(
            f"hop.cond({start.name}.sum() > {self.draw(st.integers(0, 60))}, {names[0]}, {names[1]}, ({start.name},))",
            start.needs | (used & used_too),
        )

    def _while_loop(self) -> None:
        start = self.start()
        text, used = self.chain_of("a")
        body = self._function("i, a", f"i + 1, {text}")
        self._result(
            f"hop.while_loop(lambda i, a: i < 2, {body}, (torch.tensor(0), {start.name}))[1]", start.needs | used
        )

    def _scan(self) -> None:
        start = self.start()
        text, used = self.chain_of("a")
        body = self._function("a, b", f"{text}, b + 1")
        which = self.draw(st.integers(0, 1))
        xs = f"{start.name}.expand(2, *{start.name}.shape)"
        needs = start.needs | (used if not which else frozenset())
        self._result(f"hop.scan({body}, {start.name}, {xs})[{which}]", needs, (2, *self.shape) if which else None)

    def _region(self) -> None:
        start = self.start()
        text, used = self.chain_of("a")
        name = self.name().replace("v", "region")
        self.globals += ["@hop.region", f"def {name}(a):", f"    return {text}"]
        self._result(f"{name}({name}({start.name}))", start.needs | used)

    def _autograd(self) -> None:
        name = self.name().replace("v", "Function")
        (forward, used), (backward, _) = self.chain_of("a"), self.chain_of("grad")
        self.globals += [
            f"class {name}(torch.autograd.Function):",
            "    @staticmethod",
            "    def forward(ctx, a):",
            f"        result = {forward}",
            "        ctx.save_for_backward(result)",
            "        return result",
            "    @staticmethod",
            "    def backward(ctx, grad):",
            f"        grad = {backward}",
            "        return grad + ctx.saved_tensors[0]",
        ]
        # Only this op has an autograd formula; its result goes on without a gradient.
        self.losses.append(self.name())
        self.lines.append(f"{self.losses[-1]} = {name}.apply(p)")
        self._result(f"{self.losses[-1]}.detach() + 1", used)


@st.composite
def programs(draw: st.DrawFn, kernels: bool, more: Sequence[Operator] = ()) -> Program:
    """A program of random ops, and some of ``more``. ``kernels``: with kernels of Inductor's own."""
    shape = draw(st.sampled_from(SHAPES))
    count = draw(st.integers(1, 3))
    ops = tuple(draw(operators(f"f{index}", keeps=index == 0)) for index in range(count))
    if more and draw(st.integers(0, 4)) == 0:
        ops += (draw(st.sampled_from(more)),)
    layouts = INPUT_STRIDES if kernels else QUICK_STRIDES
    strides = tuple(draw(st.sampled_from(layouts)) for _ in range(draw(st.integers(1, 3))))
    builder = _Builder(draw, ops, shape, len(strides), kernels)
    for _ in range(draw(st.integers(1, 6))):
        builder.statement()
    if builder.made == 0:
        builder.start()
    made = builder.values[len(strides) :]
    results = draw(st.lists(st.sampled_from(made), min_size=1, max_size=4, unique_by=lambda value: value.name))
    arguments = [value.name for value in builder.values[: len(strides)]]
    if builder.losses:
        strides += (draw(st.sampled_from(INPUT_STRIDES)),)
        arguments.append("p")
    lines = [*builder.lines, f"return [{', '.join([value.name for value in results] + builder.losses)}]"]
    return Program(
        ops,
        "\n".join([*builder.globals, f"def graph({', '.join(arguments)}):", *(f"    {line}" for line in lines)]),
        shape,
        strides,
        draw(st.sampled_from(["static", "static", "dynamic", "mark_dynamic"])),
        bool(builder.losses),
        frozenset().union(*(value.needs for value in results)),
        draw(st.sampled_from(SETTINGS)),
    )
