"""Pair the ops of a namespace with their out variants, where none of them carries a tag."""

from __future__ import annotations

import dataclasses

from compat_shim import screen
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

    Its ``str()`` and ``repr()`` are one screen; ``print(report.text(all=True))`` shows each pair and each refusal.
    """

    namespace: str
    paired: tuple[tuple[str, str], ...]
    already: tuple[tuple[str, str], ...]
    refused: tuple[tuple[str, str, str], ...]
    ops: int = 0
    limited: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__  # what a notebook shows of a cell's last line

    def text(self, all: bool = False) -> str:
        """What was done, for people.

        Args:
            all: each pair and each refusal in a line; by default they are counted, and as many are named as fit a
                screen (40 lines of 100 columns).
        """
        if not self.ops:
            return f"{self.namespace}: no loaded library defines an op of this namespace; load it first"
        head = f"{self.namespace}: {len(self.paired)} paired, {len(self.refused)} refused"
        rows = [
            (kind, f"{row[0]} => {row[1]}{''.join(f': {why}' for why in row[2:])}")
            for kind, found in self._kinds()
            for row in found
        ]
        if all:
            return "\n".join([head, *(f"  {kind:<12} {text}" for kind, text in rows)])
        lines = [line for row in rows for line in screen.row(*row)]
        return "\n".join([*screen.wrapped(head), *(lines if len(lines) < screen.LINES else self._counted())])

    def _kinds(self) -> tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]:
        kinds = ("paired", self.paired), ("already", self.already), ("limited", self.limited), ("refused", self.refused)
        return tuple((kind, found) for kind, found in kinds if found)

    def _counted(self) -> list[str]:
        """Of each kind how many there are, some names, and the first of those that have a reason."""
        lines = []
        for kind, found in self._kinds():
            ops = list(dict.fromkeys(row[0].partition("::")[2] for row in found))
            count = f"{len(found)}: "
            lines += screen.row(kind, count + screen.some(ops, screen.room() - len(count)))
            for functional, out, *why in found[:1]:
                lines += screen.row("", f"the first: {functional} => {out}: {why[0]}") if why else []
        return [*lines, "(each in full: `.text(all=True)`)"]


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
        TypeError: ``namespace`` is no string.
        ValueError: it is no name, or a namespace of torch's own (``aten``, ``prims``, ``_c10d_functional``, ...).
    """
    if not isinstance(namespace, str):
        raise TypeError(f"expected the name of a namespace, found {namespace!r}")
    if not names.split(namespace)[0] or namespace.endswith("::"):
        raise ValueError(f"{namespace!r} is not the name of a namespace, such as '_C'")
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
