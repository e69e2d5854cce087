"""Print the generated code of every graph, without building a kernel: ``python dump.py FILE``.

Nothing is run: loading the generated module would compile its C++, so the load is left out, and
the first call of a compiled graph ends it.

``python dump.py FILE results [WORD]`` builds and runs the graphs (those with a word in their name), and prints digests
of what they return.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch._functorch import config as functorch_config
from torch._inductor import codecache, config
from torch._inductor.graph import GraphLowering

from support.cpp_compiler import trust_the_compiler
from support.no_harm.functions import DYNAMIC, OTHERS, POINTWISE, TWO, custom_ops
from support.no_harm.models import CONTROL_FLOW, MODELS

compat_shim = None if os.environ.get("COMPAT_SHIM") == "off" else importlib.import_module("compat_shim")


class Generated(BaseException):
    """Ends the call of a compiled graph whose code is known."""


def _call(*args: Any) -> Any:
    raise Generated


def _instead_of_loading(key: str, path: str, *args: Any, **kwargs: Any) -> Any:
    return SimpleNamespace(call=_call, __file__=path, key=key)


@contextlib.contextmanager
def only_generating(into: list[str]) -> Iterator[None]:
    with (
        mock.patch.object(codecache.PyCodeCache, "load_by_key_path", _instead_of_loading),
        mock.patch.object(GraphLowering, "save_output_code", into.append),
        config.patch({"fx_graph_cache": False, "compile_threads": 1}),
        functorch_config.patch(force_non_lazy_backward_lowering=True, enable_autograd_cache=False),
    ):
        yield


Graph = tuple[Callable[..., Any], list[torch.Tensor], dict[str, Any]]


def graphs() -> Iterator[tuple[str, Graph]]:
    """Name → the function, its inputs and options of ``torch.compile``."""

    def matrices(count: int) -> list[torch.Tensor]:
        return [torch.randn(16, 16) for _ in range(count)]

    for function in POINTWISE:
        # Not the function itself: Dynamo compiles none of torch's own.
        yield f"pointwise {function.__name__}", (lambda x, f=function: f(x), matrices(1), {})
    for function in TWO:
        yield f"of two {function.__name__}", (lambda x, y, f=function: f(x, y), matrices(2), {})
    others = {**OTHERS, **custom_ops()}
    for name, function in others.items():
        yield name, (function, matrices(2), {})
    for name in DYNAMIC:
        yield f"{name}, dynamic", (others[name], matrices(2), {"dynamic": True})
    for name, function in CONTROL_FLOW.items():
        yield name, (function, matrices(1), {})
    for name, (make, inputs) in MODELS.items():
        model = make()
        yield f"{name}, inference", (model.eval().requires_grad_(False), [inputs()], {})
        yield f"{name}, training", (make().train(), [inputs().requires_grad_()], {})


def generate(function: Callable[..., Any], inputs: list[torch.Tensor], options: dict[str, Any]) -> list[str]:
    """The code of the graph, and of its backward if it has one."""
    code: list[str] = []
    torch._dynamo.reset()
    with only_generating(code), contextlib.suppress(Generated):
        torch.compile(function, fullgraph=True, **options)(*inputs)
    return code


def run(function: Callable[..., Any], inputs: list[torch.Tensor], options: dict[str, Any]) -> list[str]:
    """A digest of every tensor that two steps return or write to."""
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, **options)
    found: list[str] = []
    for _ in range(2):
        torch.manual_seed(0)
        results = [compiled(*inputs), inputs]
        tensors = [one.detach() for one in torch.utils._pytree.tree_leaves(results) if isinstance(one, torch.Tensor)]
        found += [f"{one.dtype} {hashlib.sha256(one.contiguous().numpy().tobytes()).hexdigest()}" for one in tensors]
    return found


def main(file: str, what: str = "code", word: str = "") -> None:
    trust_the_compiler()
    code: dict[str, list[str]] = {}
    torch.manual_seed(0)
    for name, graph in graphs():
        if word in name:
            random.seed(0)
            torch.manual_seed(0)
            code[name] = (generate if what == "code" else run)(*graph)
        torch.manual_seed(0)  # the next graph's inputs are the same whatever was run
    features = compat_shim.status().features if compat_shim is not None else ()
    verdicts = {feature.id: feature.verdict for feature in features}
    Path(file).write_text(json.dumps({"verdict": verdicts.get("lowering"), "code": code}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
