"""The graph of a batch of registries, as Python source."""

from __future__ import annotations

import keyword
import random
from collections.abc import Callable
from typing import Any

import torch

from support.registries import intent
from support.registries.building import Built
from support.registries.registry import BY_POSITION, Functional, Input


def write_graph(built: list[Built]) -> tuple[Callable[..., list[torch.Tensor]], list[str]]:
    """A graph that calls every functional overload that has a kernel, and the overload of each result."""
    draw = random.Random(" ".join(each.registry.seed for each in built))
    lines, names, called = [], [], []
    scope: dict[str, Any] = {"torch": torch}
    for each in built:
        functionals, _ = intent.alive(each.registry, each.second)
        for f in functionals:
            functional = each.registry.functionals[f]
            op = each.overload(functional)
            # Stock torch cannot compile a call of an overload named by a keyword.
            if op is None or not functional.kernels or keyword.iskeyword(functional.overload):
                continue
            scope[f"op{len(scope)}"] = op
            for _ in range(draw.choice([1, 1, 2])):
                x = draw.choice(["x", "y", *names[-2:]])
                result = f"r{len(names)}"
                text = f"op{len(scope) - 1}({_arguments(functional, x, draw)})"
                lines.append(
                    f"    {result} = {text}" + ("[0]" if functional.returns > 1 and draw.random() < 0.3 else "")
                )
                one = functional.returns == 1 or lines[-1].endswith("[0]")
                names.append(result if one else f"{result}[0]")
                called.append((result, each.name(functional)))
    results = ", ".join(result for result, _ in called)
    source = "\n".join(["def graph(x, y):", *lines, f"    return [{results}]"])
    exec(compile(source, "<graph>", "exec"), scope)
    return scope["graph"], [name for _, name in called]


def _arguments(functional: Functional, x: str, draw: random.Random) -> str:
    texts = []
    by_name = False
    for place, given in enumerate(functional.inputs):
        later = functional.inputs[place + 1 :]
        if given.default is not None and draw.random() < 0.4 and all(each.name not in BY_POSITION for each in later):
            by_name = True
            continue
        value = x if not place else _value(given, draw)
        may = place > 0 and all(later.name not in BY_POSITION for later in functional.inputs[place:])
        by_name = by_name or given.keyword_only or (may and draw.random() < 0.1)
        texts.append(f"{given.name}={value}" if by_name else value)
    return ", ".join(texts)


def _value(given: Input, draw: random.Random) -> str:
    values = {
        "Tensor": ["x", "y"],
        "Tensor?": ["None", "y"],
        "Tensor[]": ["[x, y]", "[y]"],
        "int": ["3", "5", "x.shape[0]"],
        "int[]": ["[1, 2]", "[x.shape[0], 3]"],
        "float": ["1.5", "3.0"],
        "str": ["'ab'", "'c'"],
        "bool": ["True", "False"],
        "ScalarType": ["torch.float16", "torch.float64"],
        "ScalarType?": ["None", "torch.float64"],
        "Scalar": ["2", "2.5"],
        "int?": ["None", "7"],
    }
    return draw.choice(values[given.type.replace("SymInt", "int")])
