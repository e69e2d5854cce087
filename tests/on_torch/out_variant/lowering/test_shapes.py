"""Every op shape of the catalogue, compiled and compared with eager."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor.utils import run_and_get_code

from compat_shim.out_variant.lowering.generated_code import spelled_out
from support.cases import CASES, LOWERED, NO_PAIR, Case
from support.checks import copy_of, same
from support.ops import define


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_shape_compiles_to_eager_s_result_and_is_lowered_or_declined_as_said(
    case: Case, catalogue: dict[str, str]
) -> None:
    ops = define(
        case.schema,
        case.out_schema,
        case.kernel,
        fake=case.fake,
        by_hand=case.by_hand,
        out_key=case.out_key,
        reuses=case.reuses,
    )

    def graph(*inputs: object) -> object:
        return case.run(ops.functional, *inputs)

    inputs = case.inputs()
    catalogue[case.name] = "failed"
    eager = graph(*inputs)
    ops.calls.clear()
    counters.clear()
    with torch._dynamo.config.patch(
        capture_scalar_outputs=case.unbacked, capture_dynamic_output_shape_ops=case.unbacked
    ):
        compiled, code = run_and_get_code(
            torch.compile(graph, fullgraph=True, dynamic=case.dynamic or None), *(copy_of(value) for value in inputs)
        )
    shim = +counters["compat_shim"]
    catalogue[case.name] = "wrong"
    assert same(compiled, eager)
    if not case.calls:
        catalogue[case.name] = "removed"
    else:
        catalogue[case.name] = "lowered" if shim["lowered"] else ", ".join(shim) or "no pair"
    if case.expect == LOWERED:
        if case.calls:
            assert shim == {"lowered": case.calls}
        assert (ops.calls["out"], ops.calls["functional"]) == (case.calls, 0)
        packet = f"torch.ops.{ops.out._schema.name.replace('::', '.')}."
        assert sum(spelled_out(text).count(packet) for text in code) == case.calls
    else:
        assert shim == ({} if case.expect == NO_PAIR else {f"declined: {case.expect}": case.calls})
        assert (ops.calls["out"], ops.calls["functional"]) == (0, case.calls)
    ops.destroy()
