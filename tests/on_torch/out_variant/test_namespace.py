"""``pair_namespace``: whole namespaces are paired by schema."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import compat_shim
from compat_shim.out_variant import marks, pairing
from compat_shim.out_variant.namespace import NamespaceReport
from support.libraries import ops


def test_a_namespace_is_paired_by_schema_and_reported(library: Any) -> None:
    for schema in (
        "a(Tensor x) -> Tensor",
        "a.out(Tensor x, *, Tensor(a!) out) -> ()",
        "b(Tensor x) -> (Tensor, Tensor)",
        "b_out(Tensor x, Tensor(a!) y, Tensor(b!) z) -> ()",
        "c(Tensor x) -> Tensor",
        "c_out(Tensor y, *, Tensor(a!) out) -> ()",
        "d(Tensor x) -> Tensor",
        "d.out(Tensor x, *, Tensor(a!) out) -> ()",
        "d_out(Tensor x, *, Tensor(a!) out) -> ()",
        "e.int(Tensor x, int n) -> Tensor",
        "e.int_out(Tensor x, int n, *, Tensor(a!) out) -> ()",
        "e.float(Tensor x, float n) -> Tensor",
        "f(Tensor x) -> Tensor",
        "f_outer(Tensor x, *, Tensor(a!) out) -> ()",
        "g_(Tensor(a!) x) -> ()",
        "i(Tensor x) -> Tensor",
        "i_out(Tensor x, Tensor out) -> ()",
        "j(Tensor x) -> Tensor",
        "j.x(Tensor x) -> Tensor",
        "j.a_out(Tensor x, *, Tensor(a!) out) -> ()",
        "j.b_out(Tensor x, *, Tensor(a!) out) -> ()",
    ):
        library.define(schema)
    library.define("h(Tensor x) -> Tensor")
    library.define("h.out(Tensor x, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    report = compat_shim.pair_namespace(library.ns)

    def short(*rows: tuple[str, ...]) -> set[tuple[str, ...]]:
        return {tuple(text.removeprefix(f"{library.ns}::") for text in row) for row in rows}

    assert short(*report.paired) == {
        ("a", "a.out"),
        ("b", "b_out"),
        ("d", "d.out"),  # the packet goes before the flat name
        ("e.int", "e.int_out"),
    }
    assert short(*report.already) == {("h", "h.out")}
    assert short(*(row[:2] for row in report.refused)) == {
        ("c", "c_out"),
        ("e.float", "e.int_out"),
        ("i", "i_out"),
        ("j", "j.a_out"),
        ("j", "j.b_out"),
        ("j.x", "j.a_out"),
        ("j.x", "j.b_out"),
    }
    why = {row[1].partition("::")[2]: row[2] for row in report.refused}
    assert "input 'x' is named 'y'" in why["c_out"]
    assert "write `Tensor(a!) out`" in why["i_out"]
    assert f"{library.ns}::j.b_out, {library.ns}::j.x fit too" in next(
        row[2] for row in report.refused if row[:2] == (f"{library.ns}::j", f"{library.ns}::j.a_out")
    )
    assert f"register_out_variant('{library.ns}::j.x', '{library.ns}::j.a_out') pairs them" in why["j.a_out"]
    assert "4 paired, 7 refused" in str(report)
    assert pairing.find_pair(ops(library).a.default) is not None
    assert pairing.find_pair(ops(library).d.default).source == "namespace"
    assert pairing.find_pair(ops(library).j.default) is None
    again = compat_shim.pair_namespace(library.ns)
    assert again.paired == ()
    assert len(again.already) == 5


def test_torch_s_own_namespaces_are_refused() -> None:
    for name in ("aten", "_c10d_functional", "quantized", "symm_mem"):
        with pytest.raises(ValueError, match="torch's own"):
            compat_shim.pair_namespace(name)


def test_every_namespace_that_torch_defines_is_refused(run_python: Any) -> None:
    code = (
        "import json, torch, torch._inductor.lowering;"
        "print(json.dumps(sorted({name.split('::')[0] for name in torch._C._dispatch_get_all_op_names()})))"
    )
    own = set(run_python(code, env={"COMPAT_SHIM": "off"}).json)
    assert own - marks.TORCH_NAMESPACES <= {"quantized_decomposed"}


def test_no_op_of_torch_s_own_is_said_to_lack_a_pair(run_python: Any) -> None:
    """Torch 2.15 tags collectives, which are asynchronous."""
    code = (
        "import json, compat_shim, torch, torch._inductor.lowering, torch.distributed._functional_collectives;"
        "from compat_shim.out_variant import lookalikes;"
        "print(json.dumps([loose.op for _, loose in lookalikes.not_taken()]))"
    )
    assert run_python(code).json == []


def test_what_is_no_name_is_an_error() -> None:
    for name in ("", "ns::", "::op"):
        with pytest.raises(ValueError, match="is not the name of a namespace"):
            compat_shim.pair_namespace(name)
    with pytest.raises(TypeError, match="expected the name of a namespace, found 3"):
        compat_shim.pair_namespace(3)  # type: ignore[arg-type]


def test_a_namespace_without_ops_says_so() -> None:
    assert "no loaded library defines an op" in str(compat_shim.pair_namespace("no_such_namespace"))


def report(paired: int, refused: int = 0, limited: int = 0) -> NamespaceReport:
    def rows(count: int, *more: str) -> Any:
        return tuple((f"ns::op{number}", f"ns::op{number}_out", *more) for number in range(count))

    why = "input 'x' is named 'y' in the out variant; " * 4
    return NamespaceReport("ns", rows(paired), rows(1), rows(refused, why), 9, rows(limited, why))


def test_a_notebook_s_last_line_is_one_screen_and_counts_what_it_does_not_name() -> None:
    small = repr(report(2, refused=1)).splitlines()
    assert small[:4] == [
        "ns: 2 paired, 1 refused",
        "  paired       ns::op0 => ns::op0_out",
        "  paired       ns::op1 => ns::op1_out",
        "  already      ns::op0 => ns::op0_out",
    ]
    assert small[4].startswith("  refused      ns::op0 => ns::op0_out: input 'x' is named 'y' in the out variant; ")
    for one in (report(2, 1), report(300, 200, 100), report(0, 300)):
        lines = repr(one).splitlines()
        assert str(one) == repr(one)
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 100
    said = repr(report(300, refused=200)).splitlines()
    assert said[0] == "ns: 300 paired, 200 refused"
    assert said[1].startswith("  paired       300: op0, op1, op2, ")
    assert said[1].endswith(" more")
    assert any(line.startswith("               the first: ns::op0 => ns::op0_out: input 'x'") for line in said)
    assert said[-1] == "(each in full: `.text(all=True)`)"


def test_asked_for_all_a_report_has_a_line_for_each() -> None:
    lines = report(300, refused=200).text(all=True).splitlines()
    assert len(lines) == 1 + 300 + 1 + 200
    assert max(map(len, lines)) > 100
