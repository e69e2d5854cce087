"""What ``test_explain.py`` explains: calls that are lowered and calls that are not, each for its reason."""

from __future__ import annotations

import atexit
import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch

import compat_shim

library = torch.library.Library("explained", "DEF")


def define(schema: str, kernel: Callable[..., Any], fake: Callable[..., Any] | None = None) -> None:
    name = schema.partition("(")[0]
    library.define(schema, tags=torch.Tag.out_variant if "!" in schema and "untagged" not in schema else ())
    library.impl(name, kernel, "CompositeExplicitAutograd")
    if "!" not in schema:
        torch.library.register_fake(f"explained::{name}", fake or kernel, lib=library)


def split(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x * 2, x.sum(-1, keepdim=True)


def write_split(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    doubled, total = split(x)
    a.copy_(doubled)
    b.copy_(total)


def write(x: torch.Tensor, out: torch.Tensor) -> None:
    out.copy_(x)


define("split(Tensor x) -> (Tensor, Tensor)", split)
define("split.out(Tensor x, *, Tensor(a!) a, Tensor(b!) b) -> ()", write_split)
compat_shim.may_reuse_input("explained::split", {"a": "x"})
define("spread(Tensor x) -> Tensor", lambda x: x[:1].clone().expand(x.shape))
define("spread.out(Tensor x, *, Tensor(a!) out) -> ()", write)
define("alone(Tensor x) -> Tensor", torch.clone)
define("alone.more(Tensor x, int k=1, *, Tensor(a!) out) -> ()", write)
define("untagged(Tensor x) -> Tensor", torch.clone)
define("untagged_out(Tensor x, Tensor(a!) out) -> ()", write)


def graph(x: torch.Tensor) -> Any:
    a, b = torch.ops.explained.split(x)
    c, d = torch.ops.explained.split(a)
    return torch.ops.explained.alone(c), torch.ops.explained.spread(b), torch.ops.explained.untagged(d)


def main() -> None:
    x = torch.ones(4, 8)
    compiled = torch.compile(graph)
    compiled(x)
    from torch._dynamo.utils import counters

    counts = {name: dict(counter) for name, counter in counters.items()}
    explanation = compat_shim.explain(compiled, x)
    same = {name: dict(counter) for name, counter in counters.items()} == counts
    compiled(x)
    more = counters["stats"]["unique_graphs"] - counts["stats"]["unique_graphs"]
    status = compat_shim.status().to_dict()
    said = {"arguments": sys.argv[1:], "explained": explanation.to_dict()}
    said |= {"graphs compiled since": more, "same counters": same}
    print(json.dumps({**said, "status": status}), flush=True)  # before the child's
    subprocess.run(["echo", "printed by a child"], check=True)
    ctypes.CDLL(None).printf(b"printed by C\n")
    atexit.register(print, "printed at exit")


if __name__ == "__main__":
    main()
    raise SystemExit(3)
