"""The README's first example, with the shim and without it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "README.md"

# What the example leaves to the reader, and a use of the op.
REST = """
def quantize(x):
    scale = x.abs().amax(-1, keepdim=True) / 127
    return (x / scale).round().to(torch.int8), scale

def write(x, *, q, scale):
    for buffer, value in zip((q, scale), quantize(x)):
        buffer.copy_(value)

lib.impl("quantize", quantize, "CPU")
lib.impl("quantize.out", write, "CPU")
fake = lambda x: (torch.empty_like(x, dtype=torch.int8), x.new_empty(x.shape[0], 1))
torch.library.register_fake("ns::quantize", fake, lib=lib)
op, x = torch.ops.ns.quantize, torch.randn(4, 8)
found = torch.compile(lambda x: op(x), fullgraph=True)(x)
equal = all(torch.equal(one, other) for one, other in zip(found, quantize(x)))
"""

# One process for both: it begins with COMPAT_SHIM=off.
PROGRAM = """
import json, sys
seen, kept = [], []
for namespace in ("without", "with_shim"):
    space = {}
    exec(sys.argv[1].replace("NS", namespace), space)
    kept.append(space)
    from torch._dynamo.utils import counters
    shim = space["compat_shim"]
    seen.append([shim.is_active(), space["equal"], counters["compat_shim"]["lowered"]])
    shim.activate()
    space["torch"]._dynamo.reset()
print(json.dumps(seen))
"""


def test_the_first_example_runs_with_the_shim_and_without_it(run_python: Callable[..., Any]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = [block for block in blocks if block.startswith("import compat_shim")]
    assert '"ns"' in example
    code = re.sub(r"\bns\b", "NS", example + REST)

    seen = run_python(PROGRAM, code, env={"COMPAT_SHIM": "off"}).json

    assert seen == [[False, True, 0], [True, True, 1]]


def _normal(text: str) -> str:
    """Without what differs between releases and devices: the numbers of buffers."""
    return re.sub(r"\b(buf|arg)\d+(_\d+)?", r"\1", text)


@pytest.mark.parametrize("name", ["explain", "status"])
def test_what_the_readme_shows_of_a_command_is_its_output(name: str, run_python: Callable[..., Any]) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(README.parent / 'tools')!r}); import docs; print(docs.RUN[{name!r}][1]())"
    )
    shown = re.search(rf"<!-- generated: {name} -->\n(.*?)\n<!-- end -->", README.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    assert _normal(run_python(code).stdout.strip()) == _normal(shown[1])
