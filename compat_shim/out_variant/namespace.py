"""Pair the ops of a namespace with their out variants, where none of them carries a tag."""

from __future__ import annotations

import dataclasses

from compat_shim.out_variant import lookalikes, names, pairing, registry
from compat_shim.out_variant.survey import Survey, survey


@dataclasses.dataclass(frozen=True)
class NamespaceReport:
    """What :func:`pair_namespace` did.

    Attributes:
        namespace: the one it was asked for.
        paired: the pairs that it registered, ``(functional, out)`` by name.
        already: the pairs that there were before.
        refused: functional op, the op whose name says that it is the out variant, and why it is not.
        ops: how many overloads the namespace has.
        limited: of the pairs, those of which calls are not lowered on some devices: functional op, out variant,
            and on which, why, and what to do.
    """

    namespace: str
    paired: tuple[tuple[str, str], ...]
    already: tuple[tuple[str, str], ...]
    refused: tuple[tuple[str, str, str], ...]
    ops: int = 0
    limited: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        if not self.ops:
            return f"{self.namespace}: no loaded library defines an op of this namespace; load it first"
        lines = [f"{self.namespace}: {len(self.paired)} paired, {len(self.refused)} refused"]
        lines += [f"  paired   {functional} => {out}" for functional, out in self.paired]
        lines += [f"  already  {functional} => {out}" for functional, out in self.already]
        lines += [f"  limited  {functional} => {out}: {why}" for functional, out, why in self.limited]
        lines += [f"  refused  {functional} => {out}: {why}" for functional, out, why in self.refused]
        return "\n".join(lines)


def pair_namespace(namespace: str) -> NamespaceReport:
    """Register every functional op of a namespace with the out variant that its name suggests.

    Which these are is said in :mod:`compat_shim.out_variant.survey`. It is the caller's word that the kernels keep
    the out contract: each writes its outputs into the buffers that it is given, and does nothing else. Ops that are
    paired are left as they are, and nothing else is changed. Ops that are defined later are not seen
    (``COMPAT_SHIM_PAIR`` sees them).

    Args:
        namespace: for example ``"_C"``.

    Returns:
        What was paired and what was refused and why; ``print`` it.

    Raises:
        ValueError: the namespace is one of torch's own (``aten``, ``prims``, ``_c10d_functional``, ...).
    """
    found = survey(namespace)
    register(found)
    refused = survey(namespace).refused  # an op may be refused now because another one has its out variant
    already = tuple((functional, out) for functional, out, _ in found.already)
    limited = [(*pair, why) for pair in (*found.pairs, *already) for why in _limits(pair[0])]
    return NamespaceReport(namespace, found.pairs, already, refused, found.overloads, tuple(limited))


def register(found: Survey) -> None:
    """Register the pairs of a survey that are none yet."""
    for functional, out in found.pairs:
        functional_op, out_op = names.find(functional), names.find(out)
        if functional_op is not None and out_op is not None:
            registry.register_from_namespace(functional_op, out_op)


def _limits(functional: str) -> tuple[str, ...]:
    pair = pairing.find_pair_by_name(functional)
    return () if pair is None else lookalikes.limits(pair)
