"""The pairs that ``COMPAT_SHIM_PAIR`` asks for, in a program that nobody edits.

They are looked for whenever a cache key is made, and where none is made when the first custom op of a graph is met. So
an op may come by any way and at any time before it is compiled, and between compiles nothing is done.
"""

from __future__ import annotations

import dataclasses

import torch

from compat_shim import env, process
from compat_shim.calls import kernel_record
from compat_shim.out_variant import names, namespace, pairing, registry
from compat_shim.out_variant import survey as surveys
from compat_shim.patching.log import logger, warn


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One word of ``COMPAT_SHIM_PAIR`` and what has come of it.

    Attributes:
        word: a namespace, ``ns::op`` or ``ns::op=ns::op_out``.
        pairs: the pairs that there are for it, ``(functional, out)`` by name.
        refused: how many functional ops have something that looks like their out variant and is not.
        problem: why there is no pair; empty if there is one, or if it has not been looked for yet.
    """

    word: str
    pairs: tuple[tuple[str, str], ...] = ()
    refused: int = 0
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return f"{self.word}: {self.problem}"
        if not self.pairs:
            return f"{self.word}: looked for when a graph is compiled"
        some = f"{len(self.pairs)} {'pairs' if self.pairs[1:] else 'pair'}"
        why = f"`python -m compat_shim pairs {self.word} --import MODULE` says why"
        refused = f", {self.refused} refused ({why})" if self.refused else ""
        return f"{self.word}: {some}{refused}"


# What was found for each word, and for which ops and pairs that holds.
_found: dict[str, Wanted] = process.shared("wanted", dict)
_state: list[object] = process.shared("wanted state", lambda: [None])


def wanted() -> tuple[Wanted, ...]:
    """What has come of each word."""
    return tuple(_found.get(word, Wanted(word)) for word in _words())


def _words() -> tuple[str, ...]:
    return getattr(process.settings(), "pairs", ())  # an owner of an older version has none


def pair(tell: bool = True) -> None:
    """Pair what is asked for and can be paired now. Never raises.

    Args:
        tell: warn of words of which nothing could be paired, each once.
    """
    words = _words()
    if not words:
        return
    try:
        _pair(words)
    except Exception:  # of no use to a program that did not ask for this
        logger.exception("compat_shim: %s could not be looked at", env.PAIR)
    if tell:
        for found in wanted():
            if found.problem and not _is_told_by_its_call(found.word):
                warn(process.settings(), f"{env.PAIR}: {found}")


def _pair(words: tuple[str, ...]) -> None:
    spaces = tuple({f"{name.strip().partition('::')[0]}::" for word in words for name in word.split("=")})
    # The list of thousands takes two milliseconds: less than what a graph of one op takes to compile by a thousand.
    ops = frozenset(name for name in torch._C._dispatch_get_all_op_names() if name.startswith(spaces))
    if _state[0] == _now(words, ops) and all(map(_is_there, _found.values())):
        return
    _found.clear()
    for word in words:
        _found[word] = _by_names(word) if "=" in word else _by_survey(word)
    _state[0] = _now(words, ops)


def _now(words: tuple[str, ...], ops: frozenset[str]) -> object:
    """What an answer holds for. An op that a library defines anew has the same name, and its kernels are others."""
    return words, ops, registry.changes(), kernel_record.registrations[0]


def _is_there(found: Wanted) -> bool:
    for functional, out in found.pairs:
        pair = pairing.find_pair_by_name(functional)
        if pair is None or pair.out.name() != out:
            return False
    return True


def _by_survey(word: str) -> Wanted:
    try:
        found = surveys.survey(word)
    except ValueError as error:
        return Wanted(word, problem=str(error))
    namespace.register(found)
    pairs = (*((functional, out) for functional, out, _ in found.already), *found.pairs)
    return Wanted(word, pairs, len({row[0] for row in found.refused}), "" if pairs else _why_none(word, found))


def _why_none(word: str, found: surveys.Survey) -> str:
    """Why a survey has no pair, and what to do."""
    if not found.overloads:
        space = names.split(word)[0]
        what = "this op" if "::" in word else "an op of this namespace"
        near = [] if surveys.overloads_of(space) else surveys.near(space)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"no library that is loaded by now defines {what}; it is looked for again at each compile{hint}"
    if found.refused:
        functional, out, why = found.refused[0]
        return f"nothing could be paired; {functional} => {out}: {why}"
    return f"none of its {found.functional} functional ops has an out variant"


def _is_told_by_its_call(word: str) -> bool:
    """Whether a pair waits whose functional op is there: a warning tells of that where a graph calls it."""
    functional = word.partition("=")[0].strip()
    return "=" in word and names.find(functional) is not None and bool(registry.waiting(names.name_of(functional)))


def _by_names(word: str) -> Wanted:
    functional, _, out = (part.strip() for part in word.partition("="))
    try:
        functional, out = names.name_of(functional), names.name_of(out)
        there = registry.by_name(functional)
        if there != out:
            registry.register_out_variant(functional, out)
    except ValueError as error:
        return Wanted(word, problem=str(error))
    if registry.waiting(functional):
        missing = " and ".join(name for name in (functional, out) if names.find(name) is None)
        return Wanted(word, problem=f"no library that is loaded by now defines {missing}; it is looked for again")
    return Wanted(word, ((functional, out),))
