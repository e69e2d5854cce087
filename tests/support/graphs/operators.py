"""Random pairs of ops: a signature, outputs and a route of registration."""

from __future__ import annotations

import collections
import dataclasses
import inspect
from typing import Any

import torch
from hypothesis import strategies as st

import compat_shim
from compat_shim.out_variant import schema as schemas
from support.graphs.outputs import Output, digest, make_outputs, outputs, real
from support.graphs.signatures import FLAT, NAMES, Signature, signatures
from support.ops import Ops, by_name, define, functional_kernel, out_kernel, with_signature

TAGS = [
    name
    for name in (
        "needs_fixed_stride_order",
        "needs_exact_strides",
        "needs_contiguous_strides",
        "flexible_layout",
        "nondeterministic_seeded",
        "cudagraph_unsafe",
        "pt2_compliant_tag",
    )
    if hasattr(torch.Tag, name)
]

CUSTOM_OP_HAS_TAGS = "tags" in inspect.signature(torch.library.custom_op).parameters  # torch 2.7 on

LOWERED, DECLINED, EITHER = "lowered", "declined", "either"


@dataclasses.dataclass(frozen=True)
class Operator:
    """A functional op and its out variant.

    Attributes:
        route: ``tag``, ``by hand``, ``custom_op`` (the functional op; its out variant is tagged) or
            ``custom_op by hand`` (both are custom ops, the outs positional).
        names: the overloads' names, with a flat name where the first character is "_".
        tag: of the functional op, or "".
        reuses: place of an out argument → inputs whose memory it may take (``may_reuse_input``).
    """

    name: str
    signature: Signature
    outputs: tuple[Output, ...]
    route: str
    names: tuple[str, str]
    tag: str
    out_key: str
    reuses: tuple[tuple[int, tuple[str, ...]], ...] = ()

    @property
    def keeps(self) -> int | None:
        """Which output looks like a contiguous float32 input."""
        return next((index for index, output in enumerate(self.outputs) if output.keeps), None)

    @property
    def aliases(self) -> bool:
        return any(output.alias for output in self.outputs)

    def expect(self, symbolic: bool) -> str:
        """What must become of a call on an input of more than one row."""
        if self.aliases:
            return DECLINED
        if self.route == "by hand" and self.tag == "flexible_layout":
            return DECLINED  # the out variant, which has no tag, may rely on its inputs' strides
        if any(output.strides == "overlapping" for output in self.outputs):
            return EITHER  # not for one element, or none
        if symbolic and any(output.strides != "plain" for output in self.outputs):
            return EITHER
        return LOWERED

    def kernel(self, x: torch.Tensor, **given: Any) -> Any:
        total = real(x)
        for index, argument in enumerate(self.signature.arguments):
            if argument.name != "x":
                total = total + (index + 1) * digest(given[argument.name])
        return make_outputs(self.outputs, total)

    def register(self, namespace: str, with_out: bool) -> Ops:
        ops = self._register(namespace, with_out)
        if with_out and self.reuses:
            outs = schemas.out_names(ops.out._schema)
            compat_shim.may_reuse_input(ops.out, {outs[place]: inputs for place, inputs in self.reuses})
        return ops

    def _register(self, namespace: str, with_out: bool) -> Ops:
        functional = self.name + self.names[0] + self.signature.functional()
        out = self.name + self.names[1] + self.signature.out() if with_out else None
        tags = (getattr(torch.Tag, self.tag),) if self.tag else ()
        if self.route.startswith("custom_op"):
            return self._register_custom_op(namespace, out, tags)
        return define(
            functional,
            out,
            self.kernel,
            by_hand=self.route == "by hand",
            functional_tags=tags,
            tags=(torch.Tag.out_variant, *tags),
            namespace=namespace,
            out_key=self.out_key,
            in_place=bool(self.reuses),
        )

    def _register_custom_op(self, namespace: str, out: str | None, tags: tuple[torch.Tag, ...]) -> Ops:
        calls: collections.Counter[str] = collections.Counter()
        library = torch.library.Library(namespace, "FRAGMENT")

        def custom_op(name: str, kernel: Any, mutates: tuple[str, ...], schema: str, fake: Any) -> Any:
            # The op exists only once it is made, and its kernel binds arguments by its schema.
            made = torch.library.custom_op(
                f"{namespace}::{name}",
                with_signature(torch._C.parse_schema(name + schema), lambda **given: kernel(made._opoverload)(**given)),
                mutates_args=mutates,
                schema=schema,
                **({"tags": tags} if CUSTOM_OP_HAS_TAGS else {}),
            )
            torch.library.register_fake(made, fake(made._opoverload))
            return made._opoverload

        functional = custom_op(
            self.name,
            lambda op: functional_kernel(op, self.kernel, calls),
            (),
            self.signature.functional(),
            lambda op: by_name(op, self.kernel),
        )
        found = None
        if out is not None and self.route == "custom_op":
            library.define(out, tags=(torch.Tag.out_variant, *tags))
            found = getattr(getattr(getattr(torch.ops, namespace), self.name), self.names[1][1:])
            library.impl(self.name + self.names[1], self._out_kernel(found, functional, calls), self.out_key)
        elif out is not None:
            outs = tuple(f"o{index}" for index in range(len(self.outputs)))
            found = custom_op(
                self.name + self.names[1],
                lambda op: self._out_kernel(op, functional, calls),
                outs,
                self.signature.out(),
                lambda op: lambda *args, **kwargs: None,
            )
            compat_shim.register_out_variant(functional, found)
        return Ops(namespace, library, functional, found, calls)

    def _out_kernel(self, op: Any, functional: Any, calls: collections.Counter[str]) -> Any:
        return out_kernel(op, functional, self.kernel, calls, in_place=bool(self.reuses))


@st.composite
def operators(draw: st.DrawFn, name: str, keeps: bool) -> Operator:
    route = draw(st.sampled_from(["tag", "tag", "tag", "by hand", "custom_op", "custom_op by hand"]))
    names = draw(st.sampled_from(NAMES))
    if route == "by hand" and draw(st.booleans()):
        names = FLAT
    results = draw(outputs(keeps))
    positional_outs = None
    if route.startswith("custom_op"):
        # A custom op's outputs must not share storage, it has one overload, and before torch 2.13
        # no keyword-only tensors.
        results = tuple(dataclasses.replace(output, alias=False) for output in results)
        names = FLAT if route == "custom_op by hand" else ("", names[1])
        positional_outs = True if route == "custom_op by hand" else None
    signature = draw(signatures(len(results), positional_outs))
    if route == "custom_op by hand":
        signature = dataclasses.replace(signature, returned=False)
    if route.startswith("custom_op"):
        signature = _tensors_by_position(signature)
    tag = draw(st.sampled_from(["", "", "", *TAGS]))
    key = draw(st.sampled_from(["CompositeExplicitAutograd", "CPU"]))
    return Operator(name, signature, results, route, names, tag, key, draw(_reuses(signature, len(results))))


@st.composite
def _reuses(draw: st.DrawFn, signature: Signature, outs: int) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """For a third of the ops nothing; else one or more inputs for each of the out arguments."""
    if draw(st.integers(0, 2)) == 0:
        return ()
    inputs = [argument.name for argument in signature.arguments if argument.kind in ("Tensor", "Tensor?")]
    several = st.lists(st.sampled_from(inputs), min_size=1, max_size=3, unique=True)
    return tuple((place, tuple(draw(several))) for place in range(outs))


def _tensors_by_position(signature: Signature) -> Signature:
    """Without keyword-only tensors, which ``custom_op`` refuses on older releases."""
    dropped = {a.name for a in signature.arguments if a.keyword_only and "Tensor" in a.kind and a.name != "x"}
    arguments = tuple(
        dataclasses.replace(a, keyword_only=a.keyword_only and a.name != "x")
        for a in sorted(signature.arguments, key=lambda a: a.name != "x")
        if a.name not in dropped
    )
    x = "Tensor x"
    positional, keyword = (
        tuple(text for text in texts if text != x and text.partition("=")[0].split()[-1] not in dropped)
        for texts in signature.out_arguments
    )
    return dataclasses.replace(signature, arguments=arguments, out_arguments=((x, *positional), keyword))
