"""An unmodified program: it never imports the shim, defines ops with out variants and starts workers.

Prints one line of JSON: what it found in itself and in a worker. ``python unmodified.py METHOD [LOWER]``.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from typing import Any

import torch

tag = getattr(torch.Tag, "out_variant", None)  # there is none in stock torch up to 2.10
library = torch.library.Library("program", "DEF")
library.define("twice(Tensor x) -> Tensor")
library.define("twice.out(Tensor x, *, Tensor(a!) out) -> ()", tags=() if tag is None else tag)
library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
library.impl("twice.out", lambda x, out: [torch.mul(x, 2, out=out)].clear(), "CompositeExplicitAutograd")
torch.library.register_fake("program::twice", torch.empty_like, lib=library)


def found(lower: bool) -> dict[str, Any]:
    """How the shim came here (None if it did not), whose ``create`` Inductor has, and what it emits."""
    shim = sys.modules.get("compat_shim")
    seen: dict[str, Any] = {"route": shim and shim.status().route}
    if lower:
        from torch._inductor.utils import run_and_get_code

        result, (code,) = run_and_get_code(torch.compile(torch.ops.program.twice.default), torch.arange(4.0))
        assert result.tolist() == [0.0, 2.0, 4.0, 6.0]
        seen["lowered"] = "torch.ops.program.twice.out(" in code
    from torch._inductor import ir, scheduler  # noqa: F401  (the lowering waits for these)

    create = vars(ir.FallbackKernel)["create"].__func__
    return {**seen, "stock": create.__code__.co_filename == ir.__file__}


def main(method: str, lower: bool) -> None:
    with multiprocessing.get_context(method).Pool(1) as pool:
        worker = pool.apply_async(found, (lower,))
        print(json.dumps([found(lower), worker.get()]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] == ["lower"])
