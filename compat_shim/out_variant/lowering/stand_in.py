"""What the original ``FallbackKernel.create`` is given in place of its class."""

from __future__ import annotations

from typing import Any

from torch._inductor import ir


class StandIn:
    """The class in all but what a subclass answers itself: the original asks it for everything it does."""

    def __init__(self, cls: type[ir.FallbackKernel]) -> None:
        self._cls = cls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cls, name)

    def __call__(self, *args: Any, **kwargs: Any) -> ir.FallbackKernel:
        return self._cls(*args, **kwargs)
