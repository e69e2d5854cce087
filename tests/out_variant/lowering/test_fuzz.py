"""Random signatures, calls and output layouts, against eager. ``FUZZ_EXAMPLES`` sets how many."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import torch
from checks import poisoned_allocations, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ops import define
from torch._dynamo.utils import counters

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))

# Kind of an argument → its default in a schema and values to pass (tensors are numbered inputs).
KINDS: dict[str, tuple[str | None, list[Any]]] = {
    "Tensor": (None, ["t0", "t1", "t2"]),
    "Tensor?": ("None", ["t0", "t1", None]),
    "Tensor[]": (None, [["t0"], ["t1", "t2"]]),
    "Tensor?[]": (None, [[None, "t0"], ["t2", None, "t1"]]),
    "int": ("3", [1, -2]),
    "SymInt": ("4", [2, 5]),
    "float": ("0.5", [1.5, -2.0]),
    "bool": ("False", [True, False]),
    "str": ('"ab"', ["x", "it's"]),
    "Scalar": ("2", [1, 2.5]),
    "ScalarType?": ("None", [torch.float64, None]),
    "Device?": ("None", [torch.device("cpu"), None]),
    "int[]": (None, [[1], [2, 3]]),
    "SymInt[]": (None, [[4], [2, 3]]),
    "float[]": (None, [[0.5], [1.0, 2.0]]),
    "bool[]": (None, [[True], [False, True]]),
}


@dataclasses.dataclass(frozen=True)
class Argument:
    kind: str
    name: str
    default: bool
    keyword_only: bool
    passed: str  # "position", "keyword" or "left out"
    value: Any

    def declare(self) -> str:
        default = KINDS[self.kind][0]
        return f"{self.kind} {self.name}" + (f"={default}" if self.default and default is not None else "")


LAYOUTS = {
    "plain": lambda t: t.contiguous(),
    "transposed": lambda t: t.t().contiguous().t(),
    "padded": lambda t: torch.cat([t, t], 1)[:, : t.shape[1]],
    "rows": lambda t: t.amax(-1),
    "scalar": lambda t: t.sum(),
    "empty": lambda t: t[:0].contiguous(),
    "int8": lambda t: t.clamp(-9, 9).to(torch.int8),
    "bool": lambda t: t > 0,
    "half": lambda t: t.to(torch.bfloat16),
    "complex": lambda t: torch.complex(t, -t),
}


def digest(value: Any) -> Any:
    """A number or tensor that tells any two values of an argument apart."""
    if value is None:
        return 0.0
    if isinstance(value, torch.Tensor | int | float | torch.SymInt):
        return value * 1.25
    if isinstance(value, (list, tuple)):
        return sum((index + 1) * digest(item) for index, item in enumerate(value)) + len(value)
    return float(sum(map(ord, str(value))) % 17)


@st.composite
def arguments(draw: st.DrawFn) -> list[Argument]:
    found: list[Argument] = []
    position, defaults, left_out = True, False, False
    for index in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(sorted(KINDS)))
        position = position and draw(st.integers(0, 3)) > 0
        has_default = KINDS[kind][0] is not None and (draw(st.booleans()) or (position and defaults))
        if position and defaults and not has_default:
            position = False  # a schema wants defaults after defaults
        defaults = defaults or (has_default and position)
        ways = ["keyword"] if not position or left_out else ["position", "keyword"]
        passed = draw(st.sampled_from([*ways, "left out"] if has_default else ways))
        left_out = left_out or passed != "position"
        value = draw(st.sampled_from(KINDS[kind][1]))
        found.append(Argument(kind, f"a{index}", has_default, not position, passed, value))
    return found


@st.composite
def programs(draw: st.DrawFn) -> tuple[str, str, list[Argument], list[str], list[int], bool]:
    args = draw(arguments())
    outputs = draw(st.lists(st.sampled_from(sorted(LAYOUTS)), min_size=1, max_size=4))
    used = draw(st.lists(st.integers(0, len(outputs) - 1), min_size=1, max_size=3, unique=True))
    positional = ["Tensor x", *(a.declare() for a in args if not a.keyword_only)]
    keyword = [a.declare() for a in args if a.keyword_only]
    outs = [f"Tensor({letter}!) o{i}" for i, letter in zip(range(len(outputs)), "abcd")]
    returns = "Tensor" if len(outputs) == 1 else f"({', '.join(['Tensor'] * len(outputs))})"
    place = draw(st.sampled_from(["keyword", "first", "after x"]))
    out_positional, out_keyword = list(positional), list(keyword)
    if place == "keyword":
        out_keyword = draw(st.sampled_from([[*keyword, *outs], [*outs, *keyword]]))
    else:
        at = 0 if place == "first" else 1
        out_positional[at:at] = outs
    functional = f"f({_signature(positional, keyword)}) -> {returns}"
    out = f"f.out({_signature(out_positional, out_keyword)}) -> ()"
    return functional, out, args, outputs, used, draw(st.booleans())


def _signature(positional: list[str], keyword: list[str]) -> str:
    return ", ".join([*positional, *(["*", *keyword] if keyword else [])])


def _resolve(value: Any, tensors: list[torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_resolve(item, tensors) for item in value]
    if isinstance(value, str) and value in ("t0", "t1", "t2"):
        return tensors[int(value[1])]
    return value


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(programs())
def test_any_signature_call_and_layout_is_lowered_and_equals_eager(program: Any) -> None:
    functional, out, args, layouts, used, dynamic = program

    def kernel(x: torch.Tensor, **given: Any) -> Any:
        total = x + sum((index + 1) * digest(given[arg.name]) for index, arg in enumerate(args))
        results = tuple(LAYOUTS[layout](total + index) for index, layout in enumerate(layouts))
        return results if len(results) > 1 else results[0]

    ops = define(functional, out, kernel)

    def graph(x: torch.Tensor, *tensors: torch.Tensor) -> list[torch.Tensor]:
        values = [(arg, _resolve(arg.value, [*tensors])) for arg in args]
        results = ops.functional(
            x,
            *(value for arg, value in values if arg.passed == "position"),
            **{arg.name: value for arg, value in values if arg.passed == "keyword"},
        )
        results = results if isinstance(results, tuple) else (results,)
        return [results[index] for index in used]

    inputs = [torch.randn(4, 6) for _ in range(4)]
    eager = graph(*inputs)
    torch._dynamo.reset()
    counters.clear()
    ops.calls.clear()
    with poisoned_allocations():
        compiled = torch.compile(graph, fullgraph=True, dynamic=dynamic)(*inputs)
    assert same(compiled, eager)
    assert counters["compat_shim"] == {"lowered": 1}
    assert ops.calls == {"out": 1}
