"""``compat_shim.explain(fn, ...)``: compile and run a function once, and say what became of its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._inductor.compile_fx import compile_fx

from compat_shim.reports.explanation import Explanation
from compat_shim.reports.observer import observed


def explain(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Explanation:
    """Compile ``fn`` with Inductor in a throw-away cache, run it once, and explain each call of a custom op.

    What is compiled already stays as it is and is not looked at: the function is compiled anew, for
    a backend of this call alone, which Dynamo keeps apart. (It counts one more entry for the function, of
    those that ``torch._dynamo.config.recompile_limit`` limits.) Inductor's caches in memory are cleared.

    Args:
        fn: a function or module; of a compiled one, what was compiled.
        args, kwargs: what it is called with, tensors of any shape, dtype and device.

    Returns:
        An :class:`compat_shim.reports.explanation.Explanation`: printable, with ``to_dict()``.

    Raises:
        Exception: whatever compiling or running ``fn`` raises.
    """
    fn = getattr(fn, "_torchdynamo_orig_callable", getattr(fn, "_orig_mod", fn))

    # A new object each time: Dynamo keeps what it compiled by the identity of the backend.
    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        return compile_fx(graph, inputs)

    with observed() as observer:
        torch.compile(fn, backend=backend)(*args, **kwargs)
    return observer.explanation()
