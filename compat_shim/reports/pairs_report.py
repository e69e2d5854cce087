"""What ``python -m compat_shim pairs`` prints: a dry run of ``run --pair``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from compat_shim import env
from compat_shim.out_variant import names
from compat_shim.out_variant.survey import Kernel, Survey, near, overloads_of, survey, where

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class PairsReport:
    """The surveys of some namespaces and ops.

    Attributes:
        torch: its version.
        surveys: one for each word.
        kernels: functional op and out variant → what calls of the out variant run, a device each.
    """

    torch: str
    surveys: tuple[Survey, ...]
    kernels: dict[tuple[str, str], tuple[Kernel, ...]]

    def serves(self, pair: tuple[str, str]) -> bool:
        """Whether calls of a pair would be lowered on some device."""
        return any(not kernel.declined for kernel in self.kernels[pair])

    @property
    def any(self) -> bool:
        """Whether there is a pair, made already or to be made, of which calls are lowered on some device."""
        return any(found.already or any(map(self.serves, found.pairs)) for found in self.surveys)

    @property
    def flag(self) -> str:
        """The option of ``run`` that makes the pairs; empty if there are none to be made."""
        words = [found.of for found in self.surveys if any(map(self.serves, found.pairs))]
        return f"--pair {','.join(words)}" if words else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "torch": self.torch,
            "any": self.any,
            "flag": self.flag,
            "surveys": [
                {
                    **dataclasses.asdict(found),
                    "pairs": [
                        {
                            "functional": mine,
                            "out": out,
                            "kernels": [dataclasses.asdict(kernel) for kernel in self.kernels[mine, out]],
                        }
                        for mine, out in found.pairs
                    ],
                }
                for found in self.surveys
            ],
        }

    def __str__(self) -> str:
        lines: list[str] = []
        for found in self.surveys:
            lines += [*self._of(found), ""]
        if self.flag:
            lines.append(f"to pair them: python -m compat_shim run {self.flag} -- COMMAND")
            lines.append(f"          or: {env.PAIR}={self.flag.partition(' ')[2]} in the environment of an active shim")
            lines.append(
                f"names prove nothing: run it once with {env.CHECK}=1, which compares the first calls' results"
            )
        elif not self.any:
            lines.append("there is nothing to pair")
        return "\n".join(lines).rstrip()

    def _of(self, found: Survey) -> Iterator[str]:
        pairs = [pair for pair in found.pairs if self.serves(pair)]
        refused = len({row[0] for row in found.refused}) + len(found.pairs) - len(pairs)
        counts = f"{len(pairs)} to pair, {len(found.already)} paired already, {refused} refused"
        ops = f"{found.functional} functional op{'' if found.functional == 1 else 's'}"
        yield f"{found.of}: {ops}, {counts} (torch {self.torch})"
        for functional, out in sorted(found.pairs, key=lambda pair: pair not in pairs):
            yield f"  {'pair' if (functional, out) in pairs else 'refused':8}  {functional} => {out}"
            for kernel in self.kernels[functional, out]:
                yield f"              {kernel}"
            if not self.kernels[functional, out]:
                yield "              neither has a kernel for a device that torch knows here"
        for functional, out, source in found.already:
            yield f"  already   {functional} => {out} ({source})"
        for functional, out, why in found.refused:
            yield f"  refused   {functional} => {out}"
            yield f"              {why}"
        for functional, twin in found.in_place:
            yield f"  in place  {functional}, {twin}: writes to its input, no out variant"


def make_report(words: Sequence[str]) -> PairsReport:
    """Survey each word.

    Args:
        words: namespaces, ``ns::op`` or ``ns::op.overload``.

    Raises:
        LookupError: no loaded library defines an op of one.
        ValueError: one is of torch's own.
    """
    found = tuple(map(survey, words))
    for one in found:
        if not one.overloads:
            raise LookupError(_none(one.of))
    kernels = {pair: where(*pair) for one in found for pair in one.pairs}
    return PairsReport(str(torch.__version__), found, kernels)


def _none(word: str) -> str:
    namespace = names.split(word)[0]
    if overloads_of(namespace):
        return f"no loaded library defines {word}"
    meant_by = near(namespace)
    meant = f"did you mean {' or '.join(meant_by)}? If not, load" if meant_by else "load"
    return f"no loaded library defines an op of {namespace}: {meant} what defines it by --import MODULE"
