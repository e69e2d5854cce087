"""Pair the ops of a namespace with their out variants, where none of them carries a tag."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from compat_shim.out_variant import marks, names, pairing
from compat_shim.out_variant import schema as schemas


@dataclasses.dataclass(frozen=True)
class NamespaceReport:
    """What :func:`pair_namespace` did.

    Attributes:
        namespace: the one it was asked for.
        paired: the pairs that it registered, ``(functional, out)`` by name.
        already: the pairs that there were before.
        refused: functional op, the op whose name says that it is the out variant, and why it is not.
    """

    namespace: str
    paired: tuple[tuple[str, str], ...]
    already: tuple[tuple[str, str], ...]
    refused: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        lines = [f"{self.namespace}: {len(self.paired)} paired, {len(self.refused)} refused"]
        lines += [f"  paired   {functional} => {out}" for functional, out in self.paired]
        lines += [f"  already  {functional} => {out}" for functional, out in self.already]
        lines += [f"  refused  {functional} => {out}: {why}" for functional, out, why in self.refused]
        return "\n".join(lines)


def pair_namespace(namespace: str) -> NamespaceReport:
    """Register every functional op of a namespace with the out variant that its name suggests.

    For ``ns::op`` these are the overloads of ``ns::op`` and of ``ns::op_out`` that write to
    arguments. One is taken only if its schema matches, as :func:`register_out_variant` has it,
    and if it is the only one that does. It is the caller's word that the kernels keep the out
    contract: each writes its outputs into the buffers that it is given, and does nothing else.
    Ops that are paired are left as they are, and nothing else is changed. Ops that are defined
    later are not seen.

    Args:
        namespace: for example ``"_C"``.

    Returns:
        What was paired and what was refused and why; ``print`` it.

    Raises:
        ValueError: the namespace is one of torch's own (``aten``, ``prim``, ``prims``).
    """
    if namespace in marks.BUILTIN:
        raise ValueError(f"{namespace} holds torch's own ops, which Inductor lowers itself")
    paired, already, refused = [], [], []
    for op in list(_overloads(f"{namespace}::")):
        if not schemas.is_functional(op._schema) or not op._schema.returns:
            continue
        known = pairing.find_pair(op)
        if known is not None:
            already.append((op.name(), known.out.name()))
            continue
        candidates = list(_candidates(op))
        reasons = {out.name(): schemas.mismatches(op._schema, out._schema) for out in candidates}
        fitting = [out for out in candidates if not reasons[out.name()]]
        if len(fitting) == 1:
            pairing.register_out_variant(op, fitting[0])
            paired.append((op.name(), fitting[0].name()))
            continue
        for out in candidates:
            why = "; ".join(reasons[out.name()]) or f"{len(fitting)} overloads fit; register the one that is meant"
            refused.append((op.name(), out.name(), why))
    return NamespaceReport(namespace, tuple(paired), tuple(already), tuple(refused))


def _overloads(prefix: str) -> Iterator[Any]:
    import torch

    for name in sorted(torch._C._dispatch_get_all_op_names()):
        if name.startswith(prefix):
            overload = names.find(name)
            if overload is not None:
                yield overload


def _candidates(op: Any) -> Iterator[Any]:
    base = op._schema.name
    for overload in _overloads(base):
        if overload._schema.name in (base, f"{base}_out") and schemas.out_arguments(overload._schema):
            yield overload
