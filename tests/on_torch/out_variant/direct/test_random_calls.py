"""Random programs of direct calls of out ops, against eager. ``FUZZ_EXAMPLES`` sets how many."""

from __future__ import annotations

import os
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import compat_shim  # noqa: F401
from support.checks import compile_and_compare, poisoned_allocations

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))


@torch.library.custom_op("direct_fuzz::add", mutates_args={"out"}, tags=torch.Tag.out)
def add(x: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
    return out.copy_(x + y)


@torch.library.custom_op("direct_fuzz::minmax", mutates_args={"low", "high"}, tags=torch.Tag.out)
def minmax(x: Tensor, y: Tensor, *, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    small, large = torch.minimum(x, y), torch.maximum(x, y)
    return low.copy_(small), high.copy_(large)


@torch.library.custom_op("direct_fuzz::add_", mutates_args={"x"}, tags=torch.Tag.inplace)
def add_(x: Tensor, y: Tensor) -> Tensor:
    return x.copy_(x + y)


_library = torch.library.Library("direct_fuzz", "FRAGMENT")
_library.define("quiet(Tensor x, Tensor y, Tensor(a!) out) -> ()")


def _quiet(x: Tensor, y: Tensor, out: Tensor) -> None:
    out.copy_(x - y)


_library.impl("quiet", _quiet, "CPU")

# A step: what it does, where it writes, two values that it reads, whether they may be written to.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "minmax", "add_", "quiet"]),
        st.sampled_from(["new", "old", "view", "row"]),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    min_size=2,
    max_size=7,
)


def program(steps: Any, returned: Any) -> Any:
    """A function of two tensors whose buffers are written before they are read."""

    def run(x: Tensor, y: Tensor) -> Any:
        values = [x, y]  # what may be read or written again: inputs, buffers, views and results

        def target(kind: str, at: int) -> Tensor:
            if kind == "old":
                return values[at % len(values)]
            if kind == "view":
                buffer = torch.empty(2, 4, 4)
                add(x, y, out=buffer[0])
                add(y, y, out=buffer[1])
                values.append(buffer[0])
                return buffer[1]
            if kind == "row":
                add(x[:2], y[2:], out=values[at % len(values)][1:3])
            return torch.empty(4, 4)

        for name, kind, at, left, right in steps:
            a, b = values[left % len(values)], values[right % len(values)]
            if name == "add_":
                values.append(add_(values[at % len(values)], b))
            elif name == "quiet":
                out = target(kind, at)
                torch.ops.direct_fuzz.quiet(a, b, out)
                values.append(out)
            elif name == "minmax":
                values.extend(minmax(a, b, low=torch.empty(4, 4), high=target(kind, at)))
            else:
                values.append(add(a, b, out=target(kind, at)))
        # Products: results of their own, whatever the values share.
        return [torch.mm(values[at % len(values)], values[at % len(values)].t()) for at in returned]

    return run


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(steps=STEPS, returned=st.lists(st.integers(0, 20), min_size=1, max_size=3))
def test_a_program_of_direct_calls_equals_eager(steps: Any, returned: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    with poisoned_allocations():
        compile_and_compare(
            program(steps, returned), *(torch.randint(-4, 5, (4, 4), generator=generator).float() for _ in range(2))
        )
