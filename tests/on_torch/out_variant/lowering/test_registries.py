"""Registries of ops as people write them: families of overloads, odd names, odd orders."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

import compat_shim
from compat_shim.out_variant import lookalikes, pairing
from support.checks import compile_and_compare
from support.libraries import FACTORS, TAG, functional, out_variant, packet


def test_an_out_variant_serves_the_overload_that_it_is_named_for(library: Any) -> None:
    add, _ = functional(library, "o.add"), functional(library, "o.sub")
    out_variant(library, "o.add_out", add)
    default, _ = functional(library, "p"), functional(library, "p.fancy")
    out_variant(library, "p.out", default)
    plain, high = functional(library, "m"), functional(library, "m.hi")
    out_variant(library, "m.hi_out", high)
    out_variant(library, "m.out", plain)
    _, fast = functional(library, "tw"), functional(library, "tw.fast")
    out_variant(library, "tw.fast_out", fast)
    o, p, m, tw = (packet(library, name) for name in ("o", "p", "m", "tw"))

    code = compile_and_compare(
        lambda x: [o.add(x), o.sub(x), p(x), p.fancy(x), m(x), m.hi(x), tw(x), tw.fast(x)], torch.randn(4, 5)
    )

    for called in ("o.add_out(", "o.sub.default(", "p.out(", "p.fancy(", "m.out(", "m.hi_out(", "tw.fast_out("):
        assert f".{called}" in code or f".{called.removesuffix('.default(')}" in code
    assert counters["compat_shim"]["lowered"] == 5
    found = lookalikes.candidates(p.fancy)[0]
    assert found.op == f"{library.ns}::p.out"
    assert found.reasons[0] == f"it is the out variant of {library.ns}::p (tag)"
    assert found.reasons[-1] == lookalikes.REMEDY.format(f"{library.ns}::p.fancy", f"{library.ns}::p.out")


def test_an_out_variant_that_one_overload_has_is_given_to_no_other(library: Any) -> None:
    def pair_of(op: Any) -> str | None:
        pair = pairing.find_pair(op)
        return None if pair is None else pair.out.name().partition("::")[2]

    # Tagged: `a` has it by its name.
    a, _ = functional(library, "a"), functional(library, "a.x")
    out_variant(library, "a.out", a)
    # Nothing says that `b.x` is what `b.y_out` was made for, though `b` has its own.
    b, x = functional(library, "b"), functional(library, "b.x")
    out_variant(library, "b.out", b, tags=())
    out_variant(library, "b.y_out", x + 100)
    # The user gives what the namespace had given to `c` to an overload that comes later.
    functional(library, "c")
    out_variant(library, "c.out", high := next(FACTORS), tags=())
    # ... and says whose `d.late_out` is before it comes.
    functional(library, "d")
    out_variant(library, "d.late_out", 100)
    compat_shim.register_out_variant(f"{library.ns}::d.late", f"{library.ns}::d.late_out")
    # What is left of a pair is free for another.
    e = functional(library, "e")
    visitor = torch.library.Library(library.ns, "FRAGMENT")
    out_variant(visitor, "e_out", e, tags=())

    paired = compat_shim.pair_namespace(library.ns).paired

    assert [out.partition("::")[2] for _, out in paired] == ["b.out", "c.out", "e_out"]
    compat_shim.register_out_variant(f"{library.ns}::c.high", f"{library.ns}::c.out")
    library.define("c.high(Tensor x) -> Tensor")
    library.impl("c.high", lambda x: x * high, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::c.high", torch.empty_like, lib=library)
    visitor._destroy()
    out_variant(library, "e.out", e)
    ops = [
        getattr(packet(library, name.partition(".")[0]), name.partition(".")[2] or "default")
        for name in ("a", "a.x", "b", "b.x", "c", "c.high", "d", "e")
    ]
    assert [*map(pair_of, ops)] == ["a.out", None, "b.out", None, None, "c.out", None, "e.out"]
    compile_and_compare(lambda x: [op(x) for op in ops], torch.randn(4))
    assert counters["compat_shim"]["lowered"] == 4


def test_a_pair_is_found_after_torch_ops_has_dropped_the_op_for_another_library_s_end(library: Any) -> None:
    factor = functional(library, "op")
    visitor = torch.library.Library(library.ns, "FRAGMENT")
    functional(visitor, "op.guest")
    before = packet(library, "op")
    assert ".op.out(" not in compile_and_compare(lambda x: before(x), torch.randn(4))  # traced: torch keeps the object
    visitor._destroy()
    out_variant(library, "op.out", factor, tags=())
    op = packet(library, "op")
    assert op is not before
    compat_shim.register_out_variant(op.default, op.out)
    assert ".op.out(" in compile_and_compare(lambda x: op.default(x), torch.randn(4))


def test_defaults_of_the_out_variant_do_not_reach_the_call(library: Any) -> None:
    library.define('q(Tensor x, Tensor? none=None, int group=4, str label="q", *, float by=2., Scalar n=1) -> Tensor')
    library.define(
        'q.out(Tensor x, Tensor? none, SymInt group, str label="q.out", *, float by=3., Scalar n=1.0, Tensor(a!) out)'
        " -> ()",
        tags=(TAG,),
    )

    def value(group: int, label: str, by: float, n: complex) -> float:
        return group * by + len(label) + 100 * isinstance(n, float)  # 1 and 1.0 are equal, and not the same

    def write(
        x: torch.Tensor, none: None, group: int, label: str = "q.out", *, by: float = 3.0, n: complex = 1.0, out: Any
    ) -> None:
        torch.mul(x, value(group, label, by, n), out=out)

    def make(
        x: torch.Tensor, none: None = None, group: int = 4, label: str = "q", *, by: float = 2.0, n: complex = 1
    ) -> Any:
        return x * value(group, label, by, n)

    library.impl("q", make, "CompositeExplicitAutograd")
    library.impl("q.out", write, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::q", lambda x, *_, **__: torch.empty_like(x), lib=library)
    q = packet(library, "q")

    compile_and_compare(
        lambda x: [q(x), q(x, None, 8), q(x, label="abc"), q(x, by=5.0), q(x, None, 2, "a", by=1.0)], torch.randn(4)
    )

    assert counters["compat_shim"]["lowered"] == 5
    assert compat_shim.out_variant.to_out_variant(q.default) is None  # torch's own answer


def test_outs_in_another_order_than_the_returns_of_their_names_need_the_user_s_word(library: Any) -> None:
    library.define("q(Tensor x) -> (Tensor value, Tensor scale)")
    library.define("q.out(Tensor x, *, Tensor(a!) scale, Tensor(b!) value) -> ()", tags=(TAG,))
    library.impl("q", lambda x: (x + 1, x * 2), "CompositeExplicitAutograd")

    def write(x: torch.Tensor, *, scale: torch.Tensor, value: torch.Tensor) -> None:
        torch.add(x, 1, out=value)
        torch.mul(x, 2, out=scale)

    library.impl("q.out", write, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::q", lambda x: (x + 1, x + 1), lib=library)
    q = packet(library, "q")
    x = torch.randn(4)

    assert ".q.out(" not in compile_and_compare(lambda x: q(x), x)
    assert "in another order" in lookalikes.candidates(q.default)[0].reasons[0]
    with pytest.raises(ValueError, match="in another order"):
        compat_shim.register_out_variant(q.default, q.out)
    compat_shim.register_out_variant(q.default, q.out, outs=("value", "scale"))
    assert ".q.out(" in compile_and_compare(lambda x: q(x), x)


def test_an_out_variant_that_is_named_for_another_overload_is_not_taken_when_that_has_a_pair(library: Any) -> None:
    functional(library, "f")
    fast = functional(library, "f.fast")
    out_variant(library, "f.fast_out", fast)
    out_variant(library, "faster", fast, tags=())
    f = packet(library, "f")
    compat_shim.register_out_variant(f.fast, packet(library, "faster").default)

    code = compile_and_compare(lambda x: (f(x), f.fast(x)), torch.randn(4))

    assert ".faster." in code
    assert "fast_out" not in code
    assert f"it is that of {library.ns}::f.fast" in lookalikes.candidates(f.default)[0].reasons[0]


@pytest.mark.parametrize(
    ("tags", "out_tags", "lowered"),
    [
        ("flexible_layout", "", False),
        ("flexible_layout", "needs_fixed_stride_order", False),
        ("flexible_layout", "flexible_layout", True),
        ("needs_fixed_stride_order", "", True),
        ("", "flexible_layout", True),
    ],
)
def test_the_out_variant_s_inputs_have_the_strides_that_its_tag_asks_for(
    tags: str, out_tags: str, lowered: bool, library: Any
) -> None:
    def tag(name: str) -> Any:
        return (getattr(torch.Tag, name),) if name else ()

    def write(x: torch.Tensor, *, out: torch.Tensor) -> None:
        """Reads a contiguous input, without a look at its strides."""
        out.copy_(x.as_strided(x.shape, out.stride()) + 1 if not out_tags else x + 1)

    library.define("f(Tensor x) -> Tensor", tags=tag(tags))
    library.define("f.out(Tensor x, *, Tensor(a!) out) -> ()", tags=(TAG, *tag(out_tags)))
    library.impl("f", lambda x: (x + 1).contiguous(), "CompositeExplicitAutograd")
    library.impl("f.out", write, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::f", lambda x: x.new_empty(x.shape), lib=library)
    f = packet(library, "f")

    # In eager code the input is contiguous; Inductor is free to let the view stand where nothing forbids it.
    code = compile_and_compare(lambda x: f((x * 2).t().contiguous()), torch.randn(3, 4))

    assert (".f.out(" in code) == lowered
    assert counters["compat_shim"]["declined: STRIDES"] == (not lowered)


def test_overloads_and_arguments_may_have_any_name(library: Any) -> None:
    for name in ("q.op", "q.overloads"):  # hidden by attributes of the packet
        functional(library, name)
    plain = functional(library, "q")
    out_variant(library, "q.out", plain)
    keyword = functional(library, "k")
    out_variant(library, "k.lambda", keyword, out="lambda")
    hidden = functional(library, "h")
    out_variant(library, "h.op", hidden)
    debug = functional(library, "d")
    out_variant(library, "d.out", debug, out="__debug__")
    mangled = functional(library, "m")
    out_variant(library, "__m_out", mangled, out="__out", tags=())
    q, k, h, d, m = (packet(library, name) for name in "qkhdm")
    compat_shim.register_out_variant(m.default, packet(library, "__m_out").default)

    code = compile_and_compare(
        lambda x: [q.default(x), k.default(x), h.default(x), d(x), m(x), [k.default(x * n) for n in range(4)]],
        torch.randn(4),
    )

    assert "**{'__debug__': " in code
    assert "'__m_out')" in code
    assert ".q.out(" in code
    assert "'lambda')(" in code
    assert "**{'lambda': " in code
    assert compat_shim.status().pairs
    assert lookalikes.candidates(h.default)[0].reasons == (lookalikes.UNREACHABLE,)


def test_an_overload_that_comes_by_another_way_than_torch_library_is_found(library: Any) -> None:
    factor = functional(library, "late")
    late = packet(library, "late")
    x = torch.randn(4)
    assert ".late.out(" not in compile_and_compare(lambda x: late(x), x)
    lib = torch._C._dispatch_library("FRAGMENT", library.ns, "")
    lib.define("late.out(Tensor x, *, Tensor(a!) out) -> ()", "", (TAG,))

    def write(x: torch.Tensor, *, out: torch.Tensor) -> None:
        torch.mul(x, factor, out=out)

    lib.impl("late.out", "CompositeExplicitAutograd", write)
    compile_and_compare(lambda x: late(x) + 1, x)  # the key may lack it
    assert ".late.out(" in compile_and_compare(lambda x: late(x) + 2, x)


# Not `cls`, `kernel`, `self`, `mode` and `_mutable_op`: with these stock torch 2.6, 2.10 and 2.15 raise too.
NAMES = ("op", "func", "original", "functional", "fn", "x_out", "pair", "called")


def test_a_mutating_op_in_no_pair_may_have_arguments_of_any_name(library: Any) -> None:
    kept = []
    for number, name in enumerate(NAMES):
        called = f"write{number}"
        library.define(f"{called}(Tensor x, *, Tensor(a!) {name}) -> ()")
        library.impl(called, lambda x, **outs: [out.copy_(x + 1) for out in outs.values()] and None, "CPU")
        torch.library.register_fake(f"{library.ns}::{called}", lambda *_, **__: None, lib=library)
        kept.append((packet(library, called), name))

    def graph(x: torch.Tensor) -> list[torch.Tensor]:
        results = []
        for op, name in kept:
            buffer = torch.empty_like(x)
            op(x, **{name: buffer})
            results.append(buffer * 2)
        return results

    compile_and_compare(graph, torch.randn(4))


def test_a_list_of_one_out_keeps_the_fallback(library: Any) -> None:
    library.define("split(Tensor x) -> Tensor[]")
    library.define("split.out(Tensor x, *, Tensor(a!)[] out) -> ()", tags=(TAG,))
    library.impl("split", lambda x: [x + 1], "CompositeExplicitAutograd")
    library.impl("split.out", lambda x, *, out: out[0].copy_(x + 1) and None, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{library.ns}::split", lambda x: [torch.empty_like(x)], lib=library)
    split = packet(library, "split")

    assert ".split.out(" not in compile_and_compare(lambda x: split(x)[0] * 2, torch.randn(4))
