"""Why a call takes the long way, through the dispatcher; and who wants to know: ``explain`` does."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from typing import Any


class LongWay(enum.Enum):
    """The reason. The value says it in words."""

    NOT_ASKED = (
        "without an out variant, an op of custom_op goes the short way with COMPAT_SHIM_CALLS=all, others do not"
    )
    OFF = "the short way is off: COMPAT_SHIM_CALLS, or the feature `calls` is not applied"
    CHECK = "COMPAT_SHIM_CHECK=1 compares the calls"
    WRAPPER = "the generated code is not Python, or is a function of its own (a branch, a loop, a partition)"
    CUSTOM_CODEGEN = "the op has a custom wrapper codegen"
    NO_DEVICE = "the call has no tensor argument"
    TENSORS = "a tensor argument is not plain and strided, or has a lazy bit (conj, neg)"
    ARGUMENTS = "the dispatcher converts an argument on its way"
    FEW = "the graph has too few calls of it for the short way to pay"
    NOT_PYTHON = "its kernel is not a Python function registered while the shim was active"
    SEVERAL = "several kernels are registered for the device, one over the other"
    ABOVE = "a kernel of another dispatch key runs before the device's"
    SIGNATURE = "the kernel's signature is not the schema's with the same defaults (*args is not looked into)"
    ALIASES = "the op returns an argument, or writes to one that may be left out"
    DISABLED = "set_kernel_enabled() has switched the kernel off"
    INSTRUMENTED = "somebody has replaced the overload's call"


@dataclasses.dataclass(frozen=True)
class Way:
    """Which way a call of a custom op takes whose line was written.

    Attributes:
        op: the functional op where its out variant is called, else the op.
        long_way: why it goes through the dispatcher; None if it calls the kernel's function.
        buffer: the name of the first out buffer; empty unless an out variant is called.
    """

    op: Any
    long_way: LongWay | None
    buffer: str = ""


observers: list[Callable[[Way], None]] = []


def tell(op: Any, long_way: LongWay | None, buffer: str = "") -> None:
    """Tell the observers of a way. Costs nothing while nobody looks."""
    for observer in observers:
        observer(Way(op, long_way, buffer))
