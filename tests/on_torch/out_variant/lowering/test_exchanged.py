"""A functional op's kernel that takes the place of another one after the out variant has got its own."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

import compat_shim
from compat_shim.calls import kernel_record
from compat_shim.out_variant import kernels
from compat_shim.out_variant.kernels import Unfit
from support.checks import same

CAN_OVERRIDE = "allow_override" in inspect.signature(torch.library.Library.impl).parameters
COMPOSITE = "CompositeExplicitAutograd"
# Who registers a kernel for what, in order: "f" the functional op, "o" the out variant.
ORDERS: dict[str, Unfit | None] = {
    "f:default o:default": None,
    "o:default f:default": None,
    "f:cpu o:cpu": None,
    "o:cpu f:cpu": None,
    "f:default f:cpu o:default": None,
    "f:default f:cpu o:cpu": None,
    "f:default f:default o:default": None,
    "f:cpu o:cpu f:cuda o:cuda": None,
    "f:default o:default f:cuda o:cuda": None,
    "f:default o:default f:cuda": None,
    "f:cpu o:cpu f:default o:default": None,
    "o:cpu f:cpu f:default": None,
    "f:default o:default f:cpu": Unfit.EXCHANGED,
    "f:default o:cpu f:cpu": Unfit.EXCHANGED,
    "o:cpu f:default f:cpu": Unfit.EXCHANGED,
    "f:cpu o:cpu f:cpu": Unfit.EXCHANGED,
    "f:default o:default f:default": Unfit.EXCHANGED,
    "f:default o:cpu f:default": Unfit.EXCHANGED,
    "f:default o:default f:cpu o:cpu": None,
    "f:default o:default f:cpu o:default": None,
    "f:cpu o:cpu f:cpu o:cpu": None,
    "f:cpu o:cpu f:cpu o:default": Unfit.EXCHANGED,
    "f:cpu o:cpu f:cpu o:cpu f:cpu": Unfit.EXCHANGED,
    "f:cpu f:cpu o:cpu": None,
}


def multiply_by(factor: int, returns: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The kernel of a functional op, and that of an out variant."""

    def make(x: torch.Tensor) -> torch.Tensor:
        return x * factor

    def write(x: torch.Tensor, out: torch.Tensor) -> None:
        torch.mul(x, factor, out=out)

    def write_and_return(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        return torch.mul(x, factor, out=out)

    return make, write_and_return if returns else write


class Ops:
    """``ns::<name>`` and ``ns::<name>_out``."""

    def __init__(self, library: Any, name: str, way: str) -> None:
        self.way, self.library, self.seen = way, library, 0
        self.names = {"f": f"{library.ns}::{name}", "o": f"{library.ns}::{name}_out"}
        self.custom: dict[str, Any] = {}
        if way == "Library":
            library.define(f"{name}(Tensor x) -> Tensor")
            library.define(f"{name}_out(Tensor x, *, Tensor(a!) out) -> ()")
            torch.library.register_fake(self.names["f"], torch.empty_like, lib=library)

    def register(self, who: str, device: str, factor: int = 1) -> None:
        self.seen += 1
        kernel = multiply_by(factor, returns=self.way == "custom_op, Tag.out")[who == "o"]
        name, device_types = self.names[who], None if device == "default" else device
        if self.way == "Library":
            key = COMPOSITE if device == "default" else device.upper()
            options = {"allow_override": True} if CAN_OVERRIDE else {}
            self.library.impl(name, lambda x, **outs: kernel(x, **outs), key, **options)
        elif who in self.custom:
            # Two ways to say one thing, and a list of devices or one.
            if self.seen % 2:
                torch.library.register_kernel(name, device_types, kernel)
            else:
                self.custom[who].register_kernel(device_types and [device_types])(kernel)
        else:
            options = {"mutates_args": {"out"} if who == "o" else (), "device_types": device_types}
            if who == "o" and self.way == "custom_op, Tag.out":
                options["tags"] = torch.Tag.out
            self.custom[who] = torch.library.custom_op(name, kernel, **options)
            if who == "f":
                self.custom[who].register_fake(torch.empty_like)

    def unfit(self, source: str = "namespace") -> Unfit | None:
        return kernels.unfit(self.names["f"], self.names["o"], "cpu", source)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("way", ["Library", "custom_op", "custom_op, Tag.out"])
def test_it_is_an_exchange_if_it_takes_another_kernel_s_place_after_the_out_variant_s(
    way: str, order: str, library: Any
) -> None:
    events = [event.split(":") for event in order.split()]
    if way == "Library" and not CAN_OVERRIDE and len({*map(tuple, events)}) < len(events):
        with pytest.raises(RuntimeError, match="already a kernel registered"):
            [ops.register(*event) for ops in [Ops(library, "op", way)] for event in events]
        return
    ops = Ops(library, "op", way)

    for event in events:
        ops.register(*event)

    expected = ORDERS[order]
    kinds = [kernels.kind(name, "cpu") for name in ops.names.values()]
    if kinds == [kernels.Kind.OWN, kernels.Kind.COMPOSITE]:  # a custom_op's default is none
        expected = Unfit.GENERIC_KERNEL
    assert ops.unfit() is expected
    assert ops.unfit("registered") is None


def test_the_end_of_the_library_that_brought_the_exchange_undoes_it(library: Any) -> None:
    ops = Ops(library, "op", "Library")
    for event in (("f", "default"), ("o", "cpu")):
        ops.register(*event)

    with torch.library._scoped_library(library.ns, "IMPL", "CPU") as other:
        other.impl(getattr(torch.ops, library.ns).op.default, lambda x: x * 7)
        assert ops.unfit() is Unfit.EXCHANGED
    assert ops.unfit() is None

    third = torch.library.Library(library.ns, "IMPL")
    third.impl("op", lambda x: x * 7, "CPU")
    assert ops.unfit() is Unfit.EXCHANGED
    reference = weakref.ref(third)
    del third
    gc.collect()
    assert reference() is None, "the record holds the library"
    assert ops.unfit() is None


def test_a_kernel_that_is_switched_off_has_its_place_taken_by_the_op_s_first(library: Any) -> None:
    ops = Ops(library, "op", "custom_op")
    for event in (("f", "default"), ("f", "cpu"), ("o", "default")):
        ops.register(*event)

    with ops.custom["f"].set_kernel_enabled("cpu", False):
        assert ops.unfit() is Unfit.EXCHANGED
        assert kernels.exchanges(*ops.names.values(), kernels.devices()) == "cpu"
        assert ops.unfit("registered") is None
    assert ops.unfit() is None


def test_an_op_that_is_defined_anew_begins_anew(library: Any) -> None:
    ops = Ops(library, "op", "custom_op")
    for event in (("f", "default"), ("o", "default"), ("f", "cpu")):
        ops.register(*event)
    assert ops.unfit() is Unfit.EXCHANGED

    ops.custom.clear()
    ops.register("f", "default")

    assert ops.unfit() is None


def test_what_torch_refuses_to_register_it_refuses_as_ever_and_it_is_no_exchange(library: Any) -> None:
    ops = Ops(library, "op", "Library")
    for event in (("f", "cpu"), ("o", "cpu")):
        ops.register(*event)

    with pytest.raises(TypeError, match="Input function is required to be a callable"):
        library.impl("op", 1, "CPU")
    with pytest.raises(RuntimeError, match="either a name or an OpOverload"):
        library.impl(1, lambda x: x, "CPU")
    with pytest.raises(RuntimeError, match="could not parse dispatch key"):
        library.impl("op", lambda x: x, "Nope")
    library.impl("not_defined_yet", lambda x: x, dispatch_key="CPU")

    assert ops.unfit() is None


def test_an_exchanged_kernel_is_called_and_every_report_says_why_and_what_to_do(library: Any) -> None:
    from compat_shim.out_variant.lowering import cache_key
    from compat_shim.reports.op_explanation import explain_op

    every = {name: Ops(library, name, "custom_op") for name in ("exchanged", "set_up", "again", "word")}
    namespace = getattr(torch.ops, library.ns)
    for name, ops in every.items():
        ops.register("f", "default", 2)
        if name == "set_up":
            ops.register("f", "cpu", 2)
        ops.register("o", "default", 3)  # other numbers, to be seen
    assert len(compat_shim.pair_namespace(library.ns).paired) == 4
    compat_shim.register_out_variant(namespace.word.default, namespace.word_out.default)
    x = torch.randn(4)

    def graph(x: torch.Tensor) -> list[torch.Tensor]:
        return [getattr(namespace, name)(x) for name in every]

    counters.clear()
    compiled_before = torch.compile(graph, fullgraph=True)
    before = compiled_before(x)
    salts = [cache_key.salt()]
    assert counters["compat_shim"]["lowered"] == 4

    for name in ("exchanged", "again", "word"):
        every[name].register("f", "cpu", 4)
        salts.append(cache_key.salt())
    assert same(compiled_before(x), before)  # compiled code goes on calling what it was compiled with
    every["again"].register("o", "cpu", 5)
    salts.append(cache_key.salt())

    assert len(set(salts)) == len(salts)
    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(graph, fullgraph=True)(x)
    assert counters["compat_shim"] == {"lowered": 3, "declined: EXCHANGED": 1}
    counters.clear()
    # All but the first by the out variant: by an ordinary order, the kernel registered anew, and the user's word.
    assert same(compiled, [x * factor for factor in (4, 3, 5, 3)])
    assert same(compiled[0], namespace.exchanged(x))

    line = f"not on cpu: {Unfit.EXCHANGED.value}; {kernels.REMEDIES['EXCHANGED']}"
    name = f"{library.ns}::exchanged"
    assert explain_op(name).candidates[0].reasons == (line,)
    status = compat_shim.status()
    assert [pair.limits for pair in status.pairs if pair.functional == name] == [(line,)]
    assert line in str(status)
    report = compat_shim.pair_namespace(library.ns)
    assert report.limited == ((name, f"{name}_out", line),)
    assert line in report.text(all=True)
    (call,) = [call for call in compat_shim.explain(graph, x).calls if call.op == name]
    assert f"{call.reason}; {call.change}" == line.partition(": ")[2]


def test_the_record_keeps_what_is_loaded_and_no_more(library: Any) -> None:
    ops = Ops(library, "op", "custom_op")
    for event in [("f", "cpu")] * 5:
        ops.register(*event)
    assert len(kernel_record._kernels[ops.names["f"], "CPU"]) == 1
    for _ in range(5):
        with torch.library._scoped_library(library.ns, "IMPL") as other:
            other.impl("op", lambda x: x, COMPOSITE)
    assert len(kernel_record._kernels[ops.names["f"], COMPOSITE]) == 1
