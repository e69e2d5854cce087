"""``explain --op``: whether an op has an out variant, and what each candidate lacks. Needs no compile."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from compat_shim.out_variant import lookalikes, marks, names, pairing, survey, waiting
from compat_shim.out_variant import schema as schemas
from compat_shim.reports.explanation import SCHEMA_VERSION


@dataclasses.dataclass(frozen=True)
class OpExplanation:
    """The candidates for the out variant of one functional op.

    Attributes:
        op, schema: the functional op.
        out: the out variant that is taken, or None.
        reasons: why the op can have none at all; empty if it can.
        candidates: every overload that could be meant, the one that is taken first.
        waiting: pairs registered by name that wait for an op, and name this op or one of almost its name.
    """

    op: str
    schema: str
    out: str | None
    reasons: tuple[str, ...]
    candidates: tuple[lookalikes.Candidate, ...]
    waiting: tuple[waiting.Waiting, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with ``schema_version``."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        lines = [f"{self.op}: {self.schema}"]
        lines += [f"  it can have no out variant: {reason}" for reason in self.reasons]
        lines += lookalikes.described(self.op, self.candidates)
        lines += [f"  registered: {pair.functional} => {pair.out}\n      {pair}" for pair in self.waiting]
        return "\n".join(lines)


def explain_op(name: str) -> OpExplanation:
    """Explain the op that is called ``name``, for example ``ns::op`` or ``ns::op.overload``.

    Raises:
        LookupError: there is no such op in this process.
    """
    op = _find(name)
    pair = pairing.find_pair(op)
    reasons = []
    if op.namespace in marks.BUILTIN:
        reasons.append("it is torch's own, which Inductor lowers by itself")
    if not schemas.is_functional(op._schema):
        reasons.append("it is not functional: it writes to an argument, or its name ends in '_'")
    out = None if pair is None or reasons else pair.out.name()
    waits = [found for found in waiting.waiting() if op.name() in (found.functional, *found.meant)]
    could_be = tuple(lookalikes.candidates(op))
    return OpExplanation(op.name(), str(op._schema), out, tuple(reasons), could_be, tuple(waits))


def _find(name: str) -> Any:
    namespace, _, rest = name.removeprefix("torch.ops.").replace("::", ".", 1).partition(".")
    base, _, overload = rest.partition(".")
    every = names.schemas_of(f"{namespace}::{base}") if namespace and base else []
    if not every:
        loaded = {names.split(one)[1] for one in survey.overloads_of(namespace)}
        near = difflib.get_close_matches(base, sorted(loaded))
        like = f"; loaded: {', '.join(f'{namespace}::{one}' for one in near)}" if near else ""
        raise LookupError(f"there is no op {name} in this process{like}; --import the module or script that defines it")
    if overload:
        wanted = [names.name_of(f"{namespace}::{base}.{overload}")]
    else:
        # A functional overload that Python can reach; the default one, whose name this is, goes first.
        every.sort(key=lambda schema: (not schemas.is_functional(schema), schema.overload_name != ""))
        wanted = [names.of_schema(schema) for schema in every]
    found = next(filter(None, map(names.find, wanted)), None)
    if found is None:
        has = ", ".join(schema.overload_name or "default" for schema in every)
        raise LookupError(
            f"{namespace}::{base} has no overload {overload or 'at all'} that Python can reach; it has {has}"
        )
    return found
