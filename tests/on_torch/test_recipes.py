"""The recipes of ``docs/recipes.md`` that need no C++ compiler. Those with C++ are in ``test_extension.py``."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import compat_shim
from compat_shim.out_variant import pairing
from support.checks import compile_and_compare

RECIPES = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_every_recipe_names_a_test_that_exists() -> None:
    text = RECIPES.read_text(encoding="utf-8")
    recipes = text.split("\n## ")[1:]
    assert len(recipes) > 1
    for recipe in recipes:
        files = re.findall(r"`(tests/[\w/]+\.py)`", recipe)
        assert files, recipe
        assert all((RECIPES.parents[1] / file).exists() for file in files)


# --- a quantization with a fusion pass, as vLLM has it


def quantized(x: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rows = x.abs().amax(-1, keepdim=True)
    return (x * scale / rows * 7).round().to(torch.uint8), rows


def define_quant(library: Any) -> Any:
    """``scaled_fp4_quant`` and ``silu_and_mul_quant``, each with an untagged out variant that returns ``()``."""

    def define(name: str, inputs: str, kernel: Callable[..., Any], fake: Callable[..., Any]) -> None:
        library.define(f"{name}({inputs}) -> (Tensor, Tensor)")
        library.define(f"{name}.out({inputs}, *, Tensor(a!) output, Tensor(b!) output_scale) -> ()")

        def write(*args: Any, output: torch.Tensor, output_scale: torch.Tensor) -> None:
            for buffer, value in zip((output, output_scale), kernel(*args)):
                buffer.copy_(value)

        library.impl(name, kernel, "CPU")
        library.impl(f"{name}.out", write, "CPU")
        torch.library.register_fake(f"{library.ns}::{name}", fake, lib=library)
        compat_shim.tag_out(f"{library.ns}::{name}.out")

    def like(x: torch.Tensor, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
        return x.new_empty(x.shape[0], columns, dtype=torch.uint8), x.new_empty(x.shape[0], 1)

    define(
        "scaled_fp4_quant",
        "Tensor input, Tensor input_scale, bool is_sf_swizzled_layout",
        lambda x, scale, swizzled: quantized(x, scale),
        lambda x, scale, swizzled: like(x, x.shape[1]),
    )
    define(
        "silu_and_mul_quant",
        "Tensor input, Tensor input_scale",
        lambda x, scale: quantized(silu_and_mul(x), scale),
        lambda x, scale: like(x, x.shape[1] // 2),
    )
    return getattr(torch.ops, library.ns)


def silu_and_mul(x: torch.Tensor) -> torch.Tensor:
    gate, up = x.chunk(2, -1)
    return torch.nn.functional.silu(gate) * up


def test_a_fusion_pass_sees_the_functional_op_and_what_it_leaves_is_lowered(library: Any) -> None:
    ops = define_quant(library)
    library.define("silu_and_mul(Tensor x) -> Tensor")
    library.impl("silu_and_mul", silu_and_mul, "CPU")
    torch.library.register_fake(
        f"{library.ns}::silu_and_mul", lambda x: x.new_empty(x.shape[0], x.shape[1] // 2), lib=library
    )
    seen: list[Any] = []

    def fuse(graph: torch.fx.Graph) -> None:
        for node in list(graph.nodes):
            if node.target is not ops.scaled_fp4_quant.default:
                continue
            seen.append(node.target)
            producer, scale = node.args[:2]
            if producer.target is ops.silu_and_mul.default:
                with graph.inserting_before(node):
                    fused = graph.call_function(ops.silu_and_mul_quant.default, (producer.args[0], scale))
                fused.meta["val"] = node.meta["val"]
                node.replace_all_uses_with(fused)
                graph.erase_node(node)
                graph.erase_node(producer)

    def model(x: torch.Tensor, scale: torch.Tensor) -> Any:
        fused, _ = ops.scaled_fp4_quant(ops.silu_and_mul(x), scale, False)
        return fused, ops.scaled_fp4_quant(x, scale, True)

    with torch._inductor.config.patch(post_grad_custom_post_pass=fuse):
        code = compile_and_compare(model, torch.randn(4, 8), torch.ones(1))
    assert len(seen) == 2
    assert f"torch.ops.{library.ns}.silu_and_mul_quant.out(" in code
    assert code.count(f"torch.ops.{library.ns}.scaled_fp4_quant.out(") == 1
    assert f"torch.ops.{library.ns}.silu_and_mul.default(" not in code


# --- a Triton op

TRITON = """
import os, sys
device = sys.argv[1]
if device == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"
import torch, triton
import triton.language as tl
from torch import Tensor
from torch._inductor.utils import run_and_get_code
import compat_shim

@triton.jit
def kernel(x, out, by, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x + at, mask=at < n) * by, mask=at < n)

@torch.library.custom_op("recipe::scale_out", mutates_args={"out"}, tags=torch.Tag.out)
def scale_out(x: Tensor, by: float, *, out: Tensor) -> Tensor:
    kernel[(triton.cdiv(x.numel(), 64),)](x, out, by, x.numel(), BLOCK=64)
    return out

@torch.library.custom_op("recipe::scale", mutates_args=())
def scale(x: Tensor, by: float) -> Tensor:
    out = torch.empty_like(x)
    torch.ops.recipe.scale_out(x, by, out=out)
    return out

scale.register_fake(lambda x, by: torch.empty_like(x))
compat_shim.register_out_variant("recipe::scale", "recipe::scale_out")

x = torch.randn(100, device=device)
found, (code,) = run_and_get_code(torch.compile(lambda x: scale(scale(x, 2.0), 3.0), fullgraph=True), x)
assert torch.equal(found, x * 2 * 3)
assert code.count("torch.ops.recipe.scale_out.default(") == 2, code
"""

DEVICES = (["cuda"] if torch.cuda.is_available() else []) + ["cpu"]

if importlib.util.find_spec("triton") is not None:

    @pytest.mark.parametrize("device", DEVICES)
    def test_a_triton_op_is_lowered(device: str, run_python: Callable[..., Any], tmp_path: Path) -> None:
        script = tmp_path / "recipe.py"  # Triton reads its kernels' source from a file
        script.write_text(TRITON)
        run_python("import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])", script, device)


# --- moving to torch 2.13 and later


def test_status_says_what_is_native_for_a_project_that_moves() -> None:
    compat_shim.activate()
    verdicts = {feature.id: feature.verdict for feature in compat_shim.status().features}
    native = not any(int(getattr(torch.Tag, name)) > 1000 for name in ("out", "inplace"))
    assert (verdicts["tag"] == "NATIVE") is native


def test_an_op_moved_from_out_variant_to_out_keeps_its_pair(library: Any) -> None:
    library.define("op(Tensor x) -> Tensor")
    library.define("op.old(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=torch.Tag.out_variant)
    op = getattr(torch.ops, library.ns).op
    assert pairing.find_pair(op.default).out is op.old
    library.define("moved(Tensor x) -> Tensor")
    library.define("moved.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", tags=torch.Tag.out)
    moved = getattr(torch.ops, library.ns).moved
    assert pairing.find_pair(moved.default).out is moved.out
