"""For the tests of a package that relies on the lowering.

``assert_lowered`` needs no pytest; the fixture is in :mod:`compat_shim.testing.pytest_plugin`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch._ops import OpOverload, OpOverloadPacket

from compat_shim.out_variant import names
from compat_shim.reports.explain import explain
from compat_shim.reports.explanation import CallSite, Explanation

__all__ = ["assert_lowered"]


def assert_lowered(
    fn: Callable[..., Any], /, *args: Any, ops: Iterable[OpOverload | OpOverloadPacket | str], **kwargs: Any
) -> Explanation:
    """Compile ``fn``, run it once, and assert that every call of some custom ops is lowered to an out variant.

    It is compiled as by :func:`compat_shim.explain`, in a throw-away cache: what is cached already, or was compiled
    before, does not matter, and torch's counters stay as they are.

    Args:
        fn: a function or module, compiled or not.
        args, kwargs: what it is called with, tensors of any shape, dtype and device.
        ops: the functional ops, each called at least once: overloads, packets (``torch.ops.ns.op``, which means
            any of its overloads), or names (``"ns::op"``, ``"ns::op.overload"``).

    Returns:
        The explanation, to look at further.

    Raises:
        AssertionError: an op is not called in a compiled graph, or a call of it is not lowered; the message says
            why not and what to change, call by call.
        TypeError, ValueError: an op is neither an overload nor a packet nor the name of an overload.
        Exception: whatever compiling or running ``fn`` raises.
    """
    wanted = {_described(op): op for op in ops}
    explanation = explain(fn, *args, **kwargs)
    found = [problem for name, op in wanted.items() if (problem := _problem(name, op, explanation))]
    if found:
        raise AssertionError("\n\n".join([*found, str(explanation)]))
    return explanation


def _described(op: Any) -> str:
    return str(op._qualified_op_name) if isinstance(op, OpOverloadPacket) else names.name_of(op)


def _problem(name: str, op: Any, explanation: Explanation) -> str:
    calls = [call for call in explanation.calls if call.op == name or _is_of(call, op, name)]
    inactive = "" if explanation.active else f" (the lowering is not applied: {explanation.why_inactive})"
    if not calls and inactive:
        return f"calls of {name} were not looked at{inactive}"
    if not calls:
        others = ", ".join(sorted({call.op for call in explanation.calls})) or "no custom op"
        return f"{name} is not called in a compiled graph; called there: {others}"
    declined = [call for call in calls if not call.lowered]
    if not declined:
        return ""
    whys = "; ".join(dict.fromkeys(f"{call.reason}: {call.change}" for call in declined))
    return f"{len(declined)} of {len(calls)} calls of {name} are not lowered{inactive}: {whys}"


def _is_of(call: CallSite, op: Any, name: str) -> bool:
    return isinstance(op, OpOverloadPacket) and names.op_of(call.op) == name
