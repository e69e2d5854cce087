"""Why an op that compiled code calls is in no pair, and what makes one."""

from __future__ import annotations

from torch._ops import OpOverload

from compat_shim.out_variant import lookalikes, marks, survey, waiting
from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant.direct import out_op
from compat_shim.out_variant.lookalikes import Candidate

_NONE = "it has no out variant"


def why(op: OpOverload) -> tuple[str, str, str]:
    """The name of the reason, the reason in words, and what to change about it.

    They are ``CallSite``'s ``decline``, ``reason`` and ``change``.
    """
    name = op.name()
    if not schemas.is_functional(op._schema):
        return "NOT_FUNCTIONAL", f"{_what(op)}: no functional op, and nothing to lower", ""
    waits = waiting.waiting(name)
    if waits:
        return "NO_PAIR", _NONE, "; ".join(f"it is registered with {pair.out}, but {pair}" for pair in waits)
    found = lookalikes.candidates(op)
    fitting = [candidate for candidate in found if candidate.reasons[-1] == _remedy(name, candidate)]
    if fitting:
        return "UNPAIRED", *_of_fitting(name, fitting)
    if found:
        return "NO_PAIR", *_of_others(found)
    base = op._schema.name
    return (
        "NO_PAIR",
        f"{_NONE}: {lookalikes.NONE.format(base)}",
        f"nothing, or define {base}.out, which writes its results to arguments, with torch.Tag.out_variant",
    )


def _what(op: OpOverload) -> str:
    if out_op.is_out_op(op):
        return "it is an out op, called directly"
    written = ", ".join(map(repr, schemas.out_names(op._schema)))
    return f"it writes to {written}" if written else "its name ends in '_'"


def _remedy(name: str, candidate: Candidate) -> str:
    return lookalikes.REMEDY.format(name, candidate.op)


def _of_fitting(name: str, fitting: list[Candidate]) -> tuple[str, str]:
    """Of the overloads that fit by their schemas, the one that ``--pair`` takes, or the first."""
    namespace = name.partition("::")[0]
    own = namespace in marks.TORCH_NAMESPACES  # some of them are asynchronous
    by_name = () if own else survey.survey(name).pairs
    chosen = next((candidate for candidate in fitting if (name, candidate.op) in by_name), fitting[0])
    *reasons, remedy = chosen.reasons
    whys = "; ".join("it is not tagged" if reason == lookalikes.UNTAGGED else reason for reason in reasons)
    if own:
        remedy = "nothing: it is an op of torch's own"
    elif (name, chosen.op) in by_name:
        remedy += f"; so does `python -m compat_shim run --pair {name} -- COMMAND`, or {namespace} in place of {name}"
    return f"{chosen.op} fits, but {whys}", remedy


def _of_others(found: list[Candidate]) -> tuple[str, str]:
    """Of the overloads that do not fit, the one that lacks least."""
    of_tags = (lookalikes.UNTAGGED, lookalikes.OTHER_NAME)
    lacks = {one.op: [reason for reason in one.reasons if reason not in of_tags] for one in found}
    nearest = min(lacks, key=lambda op: len(lacks[op]))
    *reasons, change = lacks[nearest]
    return f"{_NONE}; {nearest} is none: {'; '.join(reasons or [change])}", change if reasons else ""
