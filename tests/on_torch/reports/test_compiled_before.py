"""``explain`` says that a function was compiled before its pairs were there, and never that it was when it was not."""

from __future__ import annotations

import weakref
from types import CodeType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch._dynamo import convert_frame
from torch._dynamo.eval_frame import _debug_get_cache_entry_list

import compat_shim
from compat_shim import screen
from compat_shim.out_variant.lowering import first_met
from compat_shim.reports.compiled_before import Compiled
from support.call_sites import declined, lowered


class Model(torch.nn.Module):
    def __init__(self, op: Any) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: torch.Tensor) -> Any:
        return self.op(x) + 1


def test_a_module_that_was_compiled_before_its_pair_came_is_told_until_it_is_compiled_anew(library: Any) -> None:
    library.define("f(Tensor x) -> Tensor")
    library.impl("f", lambda x: x * 2, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::f", torch.empty_like, lib=library)
    model, x = Model(getattr(torch.ops, library.ns).f), torch.randn(4)
    compiled = torch.compile(model)
    compiled(x)
    library.define("f.out(Tensor x, *, Tensor(a!) out) -> ()", tags=torch.Tag.out_variant)
    library.impl("f.out", lambda x, out: [torch.mul(x, 2, out=out)].clear(), "CompositeExplicitAutograd")

    explanation = compat_shim.explain(compiled, x)

    assert [call.lowered for call in explanation.calls] == [True]
    said = explanation.compiled_before
    assert said.endswith("that code stays as it is: call torch._dynamo.reset()")
    assert f"forward ({screen.file(__file__, 40)}:{Model.forward.__code__.co_firstlineno}) was compiled before" in said
    assert f"before any compile met the pair {library.ns}::f => {library.ns}::f.out;" in said
    assert len(_debug_get_cache_entry_list(Model.forward.__code__)) == 1  # explain has added none
    torch._dynamo.reset()
    compiled(x)
    assert Compiled(model).older_than(explanation.calls) == ""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[CodeType]:
    """Code that Dynamo has made, in order, where nothing else has been compiled and no pair was met."""
    codes = [reference.__code__.replace() for _ in range(4)]
    tracker = SimpleNamespace(seen=[])
    monkeypatch.setattr(convert_frame, "output_codes", tracker)
    monkeypatch.setattr(first_met, "_met", {})
    return codes


def reference(code: CodeType) -> weakref.ref[CodeType]:
    return weakref.ref(code, lambda _: None)  # one of its own, as Dynamo makes


def meet(name: str) -> None:
    named = SimpleNamespace(name=lambda: name), SimpleNamespace(name=lambda: f"{name}_out")
    first_met.meet([SimpleNamespace(functional=named[0], out=named[1])])  # type: ignore[list-item]


def older(codes: list[CodeType], name: str) -> list[int]:
    return [place for place, code in enumerate(codes) if first_met.is_older(code, name, f"{name}_out")]


def test_code_is_older_than_a_pair_if_it_was_made_before_a_compile_first_met_it(made: list[CodeType]) -> None:
    seen = convert_frame.output_codes.seen
    meet("first")
    seen += map(reference, made[:2])
    meet("second")
    meet("first")  # again
    seen += map(reference, made[2:])
    meet("third")
    assert (older(made, "first"), older(made, "second"), older(made, "third")) == ([], [0, 1], [0, 1, 2, 3])
    assert older(made, "not met") == []
    assert older([reference.__code__], "third") == []  # equal to each of them, and none of them


def test_nothing_is_older_once_dynamo_has_been_reset(made: list[CodeType]) -> None:
    convert_frame.output_codes.seen += map(reference, made[:2])
    meet("second")
    convert_frame.output_codes.seen[:] = map(reference, made)
    assert older(made, "second") == []


def test_where_dynamo_has_no_such_list_nothing_is_said(monkeypatch: pytest.MonkeyPatch, made: list[CodeType]) -> None:
    monkeypatch.delattr(convert_frame, "output_codes")
    meet("first")
    assert older(made, "first") == []


def test_only_pairs_of_calls_that_are_lowered_count_and_several_are_counted(
    monkeypatch: pytest.MonkeyPatch, made: list[CodeType]
) -> None:
    compiled = Compiled(older)
    compiled._compiled = [made[0]]
    convert_frame.output_codes.seen += map(reference, made)
    for name in ("ns::f", "ns::g", "ns::h"):
        monkeypatch.setitem(first_met._met, (name, f"{name}.out"), convert_frame.output_codes.seen[0])
    assert compiled.older_than([declined("ns::f", "OVERLAP")]) == ""
    calls = [lowered(f"ns::{name}") for name in "ffgh"]
    assert "met the pair ns::f => ns::f.out (and 2 more); that" in compiled.older_than(calls)


def test_what_another_backend_compiled_is_not_told_where_torch_knows_the_backend() -> None:
    def fn(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    torch.compile(fn, backend="eager")(torch.ones(3))
    (entry,) = _debug_get_cache_entry_list(fn.__code__)
    assert Compiled(fn)._compiled == ([] if hasattr(entry, "backend") else [entry.code])


def test_what_is_no_function_method_or_module_is_not_looked_at() -> None:
    assert Compiled(torch.relu).older_than([lowered("ns::f")]) == ""


def test_of_an_object_that_is_called_nothing_is_said() -> None:
    """Dynamo keeps what it compiles of all of them with one code object."""

    class Called:
        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    one = torch.compile(Called())
    one(torch.ones(3))
    assert Compiled(one._torchdynamo_orig_callable)._compiled == []
