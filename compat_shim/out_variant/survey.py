"""What the ops of a namespace could be paired with by their names, and what is in the way. It changes nothing."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from compat_shim.out_variant import copies, kernels, lookalikes, marks, names, pairing
from compat_shim.out_variant import schema as schemas

OWN = "{} holds torch's own ops, which are not paired by namespace; pair one of them by register_out_variant"


@dataclasses.dataclass(frozen=True)
class Survey:
    """The ops of a namespace, or one op.

    Attributes:
        of: the namespace or op, as it was asked for.
        overloads: how many overloads there are, functional, in place, out variants and all.
        functional: how many of them return Tensors and write to no argument.
        pairs: functional op and out variant that belong together by their names and schemas, and are not paired.
        already: the pairs that there are, and how they were made: ``"tag"``, ``"namespace"`` or ``"registered"``.
        refused: functional op, the op whose name says that it is the out variant, and why it is not.
        in_place: functional op and its twin ``op_`` that writes to an input: no out variant.
    """

    of: str
    overloads: int
    functional: int
    pairs: tuple[tuple[str, str], ...]
    already: tuple[tuple[str, str, str], ...]
    refused: tuple[tuple[str, str, str], ...]
    in_place: tuple[tuple[str, str], ...]


def survey(of: str) -> Survey:
    """Look at every op of a namespace, or at one op.

    For ``ns::op`` the overloads of ``ns::op`` that write to arguments may be out variants, and for a functional
    overload that none of these fits, those of ``ns::op_out``. Which of them belong together is decided as for
    tagged overloads (:mod:`compat_shim.out_variant.families`).

    Args:
        of: ``"ns"``, or ``"ns::op"``, or ``"ns::op.overload"``: then that overload alone.

    Raises:
        ValueError: the namespace is one of torch's own (``aten``, ``prims``, ``_c10d_functional``, ...).
    """
    namespace, base, overload = names.split(of)
    if namespace in marks.TORCH_NAMESPACES:
        raise ValueError(OWN.format(namespace))
    every = overloads_of(namespace)
    bases = sorted({names.op_of(name) for name in every})
    if base:
        bases = [one for one in bases if one == f"{namespace}::{base}"]
        every = [name for name in every if names.op_of(name) in bases]
    if overload:
        every = [name for name in every if name == names.name_of(of)]
    found = _Found()
    for one in bases:
        _look_at(one, found)

    def asked_for(row: tuple[str, ...]) -> bool:
        return not overload or row[0] in every

    functional = [schema for one in bases for schema in names.schemas_of(one) if schemas.is_functional(schema)]
    return Survey(
        of,
        len(every),
        sum(not overload or names.of_schema(schema) in every for schema in functional),
        tuple(filter(asked_for, found.pairs)),
        tuple(filter(asked_for, found.already)),
        tuple(filter(asked_for, found.refused)),
        tuple(_in_place(bases)),
    )


def overloads_of(namespace: str) -> list[str]:
    """The names of all overloads of a namespace that loaded libraries define."""
    return [name for name in torch._C._dispatch_get_all_op_names() if name.startswith(f"{namespace}::")]


@dataclasses.dataclass
class _Found:
    """As in :class:`Survey`, while it is being made."""

    pairs: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    already: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    refused: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)


def _look_at(base: str, found: _Found) -> None:
    already = list(_already(base))
    found.already += already
    known = {functional: out for functional, out, _ in already}
    # Decided as a whole: what has its pair by tag is still a rival of the rest.
    open_to = pairing.family_of(base, names.writing(base)).without({*known, *known.values()})
    pairs = list(_pairs(open_to))
    # The packet goes before the flat name.
    fitted = {names.of_schema(open_to.functionals[mine]) for mine, _ in open_to.decision.edges}
    flat = pairing.family_of(base, names.writing(f"{base}_out"), taken={*known, *fitted})
    pairs += _pairs(flat)
    found.pairs += pairs
    done = {*known, *(functional for functional, _ in pairs)}
    for schema in open_to.functionals:
        name = names.of_schema(schema)
        if name in done or not schema.returns:
            continue
        for out, reasons in lookalikes.refusals(schema, (open_to, flat)):
            found.refused.append((name, out, "; ".join(reasons)))


def _already(base: str) -> Iterator[tuple[str, str, str]]:
    """The pairs that the op's overloads are in."""
    for schema in names.schemas_of(base):
        pair = pairing.find_pair_by_name(names.of_schema(schema)) if schemas.is_functional(schema) else None
        if pair is not None:
            yield pair.functional.name(), pair.out.name(), pair.source


def _pairs(family: pairing.Family) -> Iterator[tuple[str, str]]:
    for mine, theirs in family.decision.pairs.items():
        functional, out = names.of_schema(family.functionals[mine]), names.of_schema(family.outs[theirs])
        if names.find(functional) is not None and names.find(out) is not None:
            yield functional, out


def _in_place(bases: Iterable[str]) -> Iterator[tuple[str, str]]:
    for base in bases:
        if base.endswith("_") or not any(map(schemas.is_functional, names.schemas_of(base))):
            continue
        if any(schema.is_mutable for schema in names.schemas_of(f"{base}_")):
            yield base, f"{base}_"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """What a call of a pair's out variant runs on a device.

    Attributes:
        device: the type.
        kind: ``"own"``, ``"composite"``, ``"default"`` (a custom_op's for every device), or ``"-"`` for none.
        declined: why calls are not lowered there; empty if they are.
        note: what is to be known of the kernel.
    """

    device: str
    kind: str
    declined: str
    note: str

    def __str__(self) -> str:
        if self.declined:
            return f"{self.device}: not lowered: {self.declined}"
        return f"{self.device}: {self.kind}{f' ({self.note})' if self.note else ''}"


def where(functional: str, out: str) -> tuple[Kernel, ...]:
    """What calls of a pair, by name, would run.

    Devices that this torch was not built for are named, too, where the ops have kernels of their own for them.
    """
    devices = dict.fromkeys([*kernels.devices(), "cpu", "cuda", "xpu", "mps"])
    found = []
    for device in devices:
        kinds = kernels.kind(functional, device), kernels.kind(out, device)
        if kernels.Kind.OWN not in kinds and (device != "cpu" or kinds == (kernels.Kind.NONE,) * 2):
            continue
        unfit = kernels.unfit(functional, out, device, "namespace")
        note = "" if unfit else copies.note(functional, out, device)
        found.append(Kernel(device, kinds[1].value, "" if unfit is None else unfit.value, note))
    return tuple(found)


def namespaces() -> list[str]:
    """The namespaces of loaded ops, torch's own aside."""
    return sorted({name.partition("::")[0] for name in torch._C._dispatch_get_all_op_names()} - marks.TORCH_NAMESPACES)


def near(namespace: str) -> list[str]:
    """The namespaces of loaded ops that are spelled almost so, the likeliest first."""
    loaded = namespaces()
    by_case = [one for one in loaded if one.lower() == namespace.lower()]
    within = [one for one in loaded if namespace.lower() in one.lower()] if len(namespace) > 2 else []
    close: list[Any] = difflib.get_close_matches(namespace, loaded, n=3, cutoff=0.6)
    return list(dict.fromkeys([*by_case, *close, *within]))[:3]
