"""What ``test_explain.py`` explains: calls that are lowered and calls that are not, each for its reason."""

from __future__ import annotations

import json
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
    a.copy_(x * 2)
    b.copy_(x.sum(-1, keepdim=True))


def write(x: torch.Tensor, out: torch.Tensor) -> None:
    out.copy_(x)


define("split(Tensor x) -> (Tensor, Tensor)", split)
define("split.out(Tensor x, *, Tensor(a!) a, Tensor(b!) b) -> ()", write_split)
define("spread(Tensor x) -> Tensor", lambda x: x[:1].clone().expand(x.shape))
define("spread.out(Tensor x, *, Tensor(a!) out) -> ()", write)
define("alone(Tensor x) -> Tensor", torch.clone)
define("alone.more(Tensor x, int k=1, *, Tensor(a!) out) -> ()", write)
define("untagged(Tensor x) -> Tensor", torch.clone)
define("untagged_out(Tensor x, Tensor(a!) out) -> ()", write)


def graph(x: torch.Tensor) -> Any:
    a, b = torch.ops.explained.split(x)
    c, d = torch.ops.explained.split(a)
    return torch.ops.explained.alone(c), torch.ops.explained.spread(b), d


def main() -> None:
    x = torch.ones(4, 8)
    compiled = torch.compile(graph)
    compiled(x)
    from torch._dynamo.utils import counters

    before = counters["stats"]["unique_graphs"]
    explanation = compat_shim.explain(compiled, x)
    compiled(x)
    more = counters["stats"]["unique_graphs"] - before
    status = compat_shim.status().to_dict()
    said = {"arguments": sys.argv[1:], "explained": explanation.to_dict(), "graphs compiled since": more}
    print(json.dumps({**said, "status": status}))


if __name__ == "__main__":
    main()
    raise SystemExit(3)
