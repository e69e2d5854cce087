"""The out-op API of torch 2.13, by its public names: the same file on every release.

Nothing here knows the shim: the ops in ``out_api.py`` import it, as a user's module does.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence  # noqa: UP035 - torch 2.6 takes no other

import pytest
import torch
from torch import Tensor

from support.out_api import add, add_, inputs, split

# --- defining


def test_the_schema_is_inferred_with_the_outs_as_returns() -> None:
    assert str(torch.ops.out_api.add.default._schema) == (
        "out_api::add(Tensor x, Tensor y, *, Tensor(a2!) out) -> Tensor(a2!)"
    )
    assert str(torch.ops.out_api.split.default._schema) == (
        "out_api::split(Tensor x, float at=0., *, Tensor(a2!) low, Tensor(a3!) high) -> (Tensor(a2!), Tensor(a3!))"
    )
    assert str(torch.ops.out_api.add_.default._schema) == "out_api::add_(Tensor(a0!) x, Tensor y) -> Tensor(a0!)"


def test_the_op_carries_its_tags() -> None:
    assert torch.Tag.out in torch.ops.out_api.add.default.tags
    assert torch.Tag.out in torch.ops.out_api.split.default.tags
    assert torch.Tag.inplace in torch.ops.out_api.add_.default.tags
    assert torch.Tag.pt2_compliant_tag in torch.ops.out_api.add.default.tags


def test_infer_schema_takes_tags() -> None:
    def both(x: Tensor, *, scale: float = 1.0, out: Tensor) -> Tensor:
        raise NotImplementedError

    expected = "(Tensor x, *, float scale=1.0, Tensor(a2!) out) -> Tensor(a2!)"
    for tags in (torch.Tag.out, (torch.Tag.out,), [torch.Tag.out, torch.Tag.pt2_compliant_tag]):
        assert torch.library.infer_schema(both, mutates_args={"out"}, tags=tags) == expected
    named = torch.library.infer_schema(both, mutates_args=("out",), op_name="both", tags=torch.Tag.out)
    assert named == f"both{expected}"
    for tags in ((), None):
        untagged = torch.library.infer_schema(both, mutates_args={"out"}, tags=tags)
        assert untagged == expected.replace("-> Tensor(a2!)", "-> Tensor")


def _positional(x: Tensor, out: Tensor) -> Tensor: ...
def _nothing(x: Tensor, *, out: Tensor) -> None: ...
def _tuple_of_one(x: Tensor, *, out: Tensor) -> tuple[Tensor]: ...
def _too_few(x: Tensor, *, a: Tensor, b: Tensor) -> Tensor: ...
def _optional(x: Tensor, *, out: Optional[Tensor]) -> Tensor: ...  # noqa: UP045
def _second(x: Tensor, y: Tensor) -> Tensor: ...


@pytest.mark.parametrize(
    ("function", "mutates", "tag", "says"),
    [
        (_positional, {"out"}, "out", "keyword-only"),
        (_nothing, {"out"}, "out", "return annotation"),
        (_tuple_of_one, {"out"}, "out", "return annotation"),
        (_too_few, {"a", "b"}, "out", "return annotation"),
        (_optional, {"out"}, "out", "only supports mutable keyword-only Tensor"),
        (_second, (), "out", "at least one mutable"),
        (_second, {"y"}, "inplace", "first positional argument"),
        (_nothing, {"x"}, "inplace", "return annotation"),
    ],
)
def test_infer_schema_refuses_a_signature_that_breaks_the_rules_of_its_tag(
    function: Any, mutates: Any, tag: str, says: str
) -> None:
    with pytest.raises(ValueError, match=rf"torch\.Tag\.{tag} .*{says}"):
        torch.library.infer_schema(function, mutates_args=mutates, tags=getattr(torch.Tag, tag))


def test_the_two_tags_exclude_each_other() -> None:
    with pytest.raises(AssertionError, match="mutually exclusive"):
        torch.library.infer_schema(_second, mutates_args={"x"}, tags=(torch.Tag.out, torch.Tag.inplace))


OUT_RULES = {
    "nothing is written": "op.out(Tensor x, *, Tensor out) -> Tensor",
    "positional": "op.out(Tensor x, Tensor(a!) out) -> Tensor(a!)",
    "returns nothing": "op.out(Tensor x, *, Tensor(a!) out) -> ()",
    "a list": "op.out(Tensor x, *, Tensor(a!)[] out) -> Tensor(a!)[]",
    "an optional": "op.out(Tensor x, *, Tensor(a!)? out) -> Tensor(a!)",
    "returns another": "op.out(Tensor x, *, Tensor(a!) out) -> Tensor",
    "returns a view": "op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a)",
    "too few": "op.out(Tensor x, *, Tensor(a!) a, Tensor(b!) b) -> Tensor(a!)",
    "swapped": "op.out(Tensor x, *, Tensor(a!) a, Tensor(b!) b) -> (Tensor(b!), Tensor(a!))",
}
INPLACE_RULES = {
    "no argument": "op_() -> Tensor",
    "keyword-only": "op_(*, Tensor(a!) x) -> Tensor(a!)",
    "nothing is written": "op_(Tensor x) -> Tensor",
    "a list": "op_(Tensor(a!)[] x) -> Tensor(a!)[]",
    "returns nothing": "op_(Tensor(a!) x) -> ()",
    "returns another": "op_(Tensor(a!) x, Tensor y) -> Tensor",
    "returns a view": "op_(Tensor(a!) x) -> Tensor(a)",
    "writes two": "op_(Tensor(a!) x, Tensor(b!) y) -> Tensor(a!)",
}


@pytest.mark.parametrize("rule", OUT_RULES)
def test_define_refuses_a_schema_that_breaks_a_rule_of_tag_out(rule: str, library: Any) -> None:
    with pytest.raises(ValueError, match=r"torch\.Tag\.out"):
        library.define(OUT_RULES[rule], tags=torch.Tag.out)
    with pytest.raises(ValueError, match=r"torch\.Tag\.out"):
        library.define(OUT_RULES[rule], tags=(torch.Tag.pt2_compliant_tag, torch.Tag.out))
    library.define(OUT_RULES[rule], tags=(torch.Tag.pt2_compliant_tag,))


@pytest.mark.parametrize("rule", INPLACE_RULES)
def test_define_refuses_a_schema_that_breaks_a_rule_of_tag_inplace(rule: str, library: Any) -> None:
    with pytest.raises(ValueError, match=r"torch\.Tag\.inplace"):
        library.define(INPLACE_RULES[rule], tags=torch.Tag.inplace)
    library.define(INPLACE_RULES[rule])


def test_define_takes_a_schema_that_keeps_the_rules(library: Any) -> None:
    library.define("one.out(Tensor x, *, int n=1, Tensor(a!) y) -> Tensor(a!)", tags=torch.Tag.out)
    library.define("two.out(*, Tensor(a!) a, Tensor(b!) b) -> (Tensor(a!), Tensor(b!))", tags=torch.Tag.out)
    library.define("three_(Tensor(a!) x, Tensor y) -> Tensor(a!)", tags=torch.Tag.inplace)


def test_mutates_args_must_agree_with_a_schema_that_is_given() -> None:
    with pytest.raises(ValueError, match="mutates_args"):
        torch.library.custom_op(
            "out_api::disagrees",
            lambda x, *, out: out,
            mutates_args={"x"},
            schema="(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
            tags=torch.Tag.out,
        )


def test_a_schema_that_is_given_is_taken() -> None:
    op = torch.library.custom_op(
        "out_api::given",
        lambda x, *, out: out.copy_(x),
        mutates_args={"out"},
        schema="(Tensor x, *, Tensor(z!) out) -> Tensor(z!)",
        tags=torch.Tag.out,
    )
    x, out = inputs()
    assert op(x, out=out) is out
    assert torch.equal(out, x)


def test_another_tag_makes_an_ordinary_op() -> None:
    @torch.library.custom_op("out_api::core", mutates_args=(), tags=(torch.Tag.core, torch.Tag.nondeterministic_seeded))
    def core(x: Tensor) -> Tensor:
        return x + 1

    assert {torch.Tag.core, torch.Tag.nondeterministic_seeded} <= set(torch.ops.out_api.core.default.tags)
    assert torch.equal(core(torch.zeros(3)), torch.ones(3))


# --- calling in eager mode


def test_a_call_returns_the_out_tensors_themselves() -> None:
    x, y = inputs()
    out, high = torch.empty_like(x), torch.empty_like(x)
    assert add(x, y, out=out) is out
    assert torch.equal(out, x + y)
    found = split(x, 0.5, low=out, high=high)
    assert isinstance(found, tuple)
    assert found[0] is out
    assert found[1] is high
    assert torch.ops.out_api.add(x, y, out=out) is out
    assert add_(x, y) is x


def test_a_kernel_that_returns_something_else_is_an_error() -> None:
    @torch.library.custom_op("out_api::copy", mutates_args={"out"}, tags=torch.Tag.out)
    def copy(x: Tensor, *, out: Tensor) -> Tensor:
        return out.copy_(x).clone()

    @torch.library.custom_op("out_api::swapped", mutates_args={"a", "b"}, tags=torch.Tag.out)
    def swapped(x: Tensor, *, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return b, a

    @torch.library.custom_op("out_api::copy_", mutates_args={"x"}, tags=torch.Tag.inplace)
    def copy_(x: Tensor) -> Tensor:
        return x.clone()

    x, y = inputs()
    with pytest.raises(RuntimeError, match=r"tagged with torch\.Tag\.out must return its mutable keyword-only"):
        copy(x, out=y)
    with pytest.raises(RuntimeError, match=r"tagged with torch\.Tag\.out must return its mutable keyword-only"):
        swapped(x, a=x, b=y)
    with pytest.raises(RuntimeError, match=r"tagged with torch\.Tag\.inplace must return its first argument"):
        copy_(x)


def test_a_call_bumps_the_versions_of_the_out_tensors_alone() -> None:
    x, y = inputs()
    out = torch.empty_like(x)
    before = [tensor._version for tensor in (x, y, out)]
    split(x, low=out, high=y)
    assert [tensor._version > was for tensor, was in zip((x, y, out), before)] == [False, True, True]


def test_a_device_s_kernel_can_be_added_and_switched_off() -> None:
    @torch.library.custom_op("out_api::where_am_i", mutates_args={"out"}, tags=torch.Tag.out)
    def where_am_i(x: Tensor, *, out: Tensor) -> Tensor:
        return out.fill_(1)

    @where_am_i.register_kernel("cpu")
    def on_cpu(x: Tensor, *, out: Tensor) -> Tensor:
        return out.fill_(2)

    x, out = inputs()
    assert where_am_i(x, out=out)[0, 0] == 2
    with where_am_i.set_kernel_enabled("cpu", enabled=False):
        assert where_am_i(x, out=out)[0, 0] == 1
    assert where_am_i(x, out=out)[0, 0] == 2


def test_autograd_is_refused() -> None:
    message = r"Cannot register autograd formula for operator tagged with torch\.Tag\.out.*do not support autograd"
    with pytest.raises(RuntimeError, match=message):
        add.register_autograd(lambda ctx, grad: grad)
    with pytest.raises(RuntimeError, match=message):
        torch.library.register_autograd("out_api::add", lambda ctx, grad: grad)
    with pytest.raises(RuntimeError, match="non-functional"):
        add_.register_autograd(lambda ctx, grad: grad)


@torch.library.custom_op("out_api::total", mutates_args={"out"}, tags=torch.Tag.out)
def total(xs: Sequence[Tensor], *, bias: Optional[Tensor] = None, out: Tensor) -> Tensor:  # noqa: UP045
    out.copy_(sum(xs))
    return out if bias is None else out.add_(bias)


def test_a_call_with_an_argument_that_requires_grad_is_refused() -> None:
    x, out = inputs()
    learnt = x.clone().requires_grad_()
    message = (
        r"^add\(\): functions with out=\.\.\. arguments don't support automatic differentiation,"
        r" but one of the arguments requires grad\."
    )
    with pytest.raises(RuntimeError, match=message):
        add(learnt, x, out=out)
    with pytest.raises(RuntimeError, match=message):
        add(x, x, out=learnt)
    with pytest.raises(RuntimeError, match="requires grad"):
        total([x, x], bias=learnt, out=out)
    with pytest.raises(RuntimeError, match="requires grad"):
        total([x, learnt], out=out)
    with torch.no_grad():
        assert add(learnt, x, out=out) is out
        assert total([x, learnt], bias=learnt, out=out) is out
    assert out.grad_fn is None
    assert torch.equal(out, 3 * x)


def test_the_fake_kernel_returns_the_out_tensors() -> None:
    with torch._subclasses.FakeTensorMode():
        x, out, high = torch.empty(4, 5), torch.empty(4, 5), torch.empty(4, 5)
        assert add(x, x, out=out) is out
        found = split(x, low=out, high=high)
        assert found[0] is out
        assert found[1] is high
        assert add_(x, out) is x


def test_a_tagged_op_of_a_library_has_a_fake_kernel_too(library: Any) -> None:
    library.define("op.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=torch.Tag.out)
    with torch._subclasses.FakeTensorMode():
        x, out = torch.empty(4), torch.empty(4)
        assert getattr(torch.ops, library.ns).op.out(x, out=out) is out


def test_a_fake_kernel_that_is_registered_is_used_with_a_warning() -> None:
    @torch.library.custom_op("out_api::with_fake", mutates_args={"out"}, tags=torch.Tag.out)
    def with_fake(x: Tensor, *, out: Tensor) -> Tensor:
        return out.copy_(x)

    calls = []
    with pytest.warns(UserWarning, match="unnecessary"):
        with_fake.register_fake(lambda x, *, out: calls.append(1) or out)
    with torch._subclasses.FakeTensorMode():
        x = torch.empty(4)
        with_fake(x, out=torch.empty(4))
    assert calls


# torch 2.13's own custom_op fails for these as keyword-only arguments, and any FakeTensorMode for the first.
TORCH_S_OWN = {"self", "keyset", "op"} if hasattr(torch.library, "_validate_out_schema") else set()
NAMES = ("self", "keyset", "args", "kwargs", "functional", "out", "device_type", "op", "ctx", "x", "function")


@pytest.mark.parametrize("name", NAMES)
def test_an_op_s_arguments_may_have_any_name(name: str) -> None:
    spare = "spare" if name != "spare" else "other"
    source = (
        f"def by_keyword({spare}: Tensor, *, {name}: Tensor) -> Tensor: return {name}.copy_({spare})\n"
        f"def positional({name}: Tensor, *, {spare}: Tensor) -> Tensor: return {spare}.copy_({name})\n"
        f"def in_place({name}: Tensor, {spare}: float) -> Tensor: return {name}.add_({spare})\n"
    )
    made: dict[str, Any] = {}
    exec(compile(source, "<named>", "exec", dont_inherit=True), {"Tensor": Tensor}, made)
    by_keyword = torch.library.custom_op(
        f"out_api::by_keyword_{name}", made["by_keyword"], mutates_args={name}, tags=torch.Tag.out
    )
    positional = torch.library.custom_op(
        f"out_api::positional_{name}", made["positional"], mutates_args={spare}, tags=torch.Tag.out
    )
    in_place = torch.library.custom_op(
        f"out_api::in_place_{name}", made["in_place"], mutates_args={name}, tags=torch.Tag.inplace
    )

    def call(x: Tensor, y: Tensor, but: Any) -> None:
        if name not in but:
            assert by_keyword._opoverload(x, **{name: y}) is y
        assert positional._opoverload(**{name: x, spare: y}) is y
        assert in_place._opoverload(**{name: x, spare: 1.0}) is x

    x, y = inputs()
    call(x, y, TORCH_S_OWN)
    assert torch.equal(x, y + 1)
    with torch._subclasses.FakeTensorMode():
        call(torch.empty(2), torch.empty(2), {*TORCH_S_OWN, "self"})
