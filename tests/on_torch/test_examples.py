"""The programs in ``examples/``, each in an interpreter of its own."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COMPARED = "compiled code gives what eager gives"

Run = Callable[..., str]


@pytest.fixture
def run(run_command: Callable[..., Any]) -> Run:
    """A function that runs an example with these variables set and returns what it printed.

    That the compiled results are eager's each example asserts itself.
    """

    def run(name: str, **env: str) -> str:
        return run_command(sys.executable, str(EXAMPLES / name), env=env).stdout

    return run


def lowered(printed: str) -> list[str]:
    """The out variants that calls were lowered to, as ``explain`` prints them, with how each was found."""
    return re.findall(r"^  lowered to +(.+)$", printed, re.MULTILINE)


def test_every_example_is_in_the_table_and_is_run_here() -> None:
    files = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py")}
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[(.+?)\]\(\1\) \|", table, re.MULTILINE)) == files
    assert files <= set(re.findall(r'"([\w/]+\.py)"', Path(__file__).read_text(encoding="utf-8")))


def test_a_tagged_op_is_explained_as_lowered_into_buffers_that_are_reused(run_command: Callable[..., Any]) -> None:
    script = str(EXAMPLES / "tagged_op.py")
    done = run_command(sys.executable, "-m", "compat_shim", "explain", "--json", script)
    assert COMPARED in done.stderr
    calls = json.loads(done.stdout)["calls"]
    assert [(call["op"], call["out"], call["source"]) for call in calls] == [
        ("ns::quantize", "ns::quantize.out", "tag")
    ] * 2
    assert [(call["lowered"], call["buffers"], call["reused"]) for call in calls] == [(True, 2, 0), (True, 2, 2)]


def test_a_tagged_op_runs_without_the_shim(run: Run) -> None:
    assert run("tagged_op.py", COMPAT_SHIM="off").strip() == COMPARED


def test_untagged_ops_are_paired_by_hand(run: Run) -> None:
    printed = run("untagged_op.py")
    assert "  paired       ns::shift => ns::shift_out\n  already      ns::scale => ns::scale_out\n" in printed
    assert "  refused      ns::clip => ns::clip_out: input 'by' is named 'limit' in the out variant" in printed
    assert re.search(r"^made +ns::power\(Tensor x, float by\) -> Tensor$", printed, re.MULTILINE)
    assert lowered(printed) == ["ns::scale_out (registered)", "ns::shift_out (namespace)", "ns::power_out (registered)"]


def test_ops_by_the_rules_of_torch_2_13_are_called_directly(run: Run) -> None:
    said, *calls = run("torch_213_rules.py").splitlines()
    assert said.startswith(COMPARED)
    # The last is a lowered call, which takes the short way: its name stands for the same overload.
    assert [call.partition("(")[0].strip() for call in calls] == [
        "torch.ops.ns.add_out.default",
        "torch.ops.ns.add_out.default",
        "torch.ops.ns.split_out.default",
        "call_ns_add_out_default",
    ]


def test_a_fusion_pass_sees_functional_ops_and_what_it_leaves_is_lowered(run: Run) -> None:
    printed = run("fusion_pass.py")
    assert printed.count("fused silu_and_mul and quant\n") == 2  # compiled by torch.compile, and by explain
    assert lowered(printed) == ["ns::silu_and_mul_quant.out (tag)", "ns::quant.out (tag)"]
    assert "silu_and_mul.default" not in printed


def test_a_kernel_that_is_exchanged_runs_until_the_out_variant_gets_its_own(run: Run) -> None:
    printed = run("exchanged_kernel.py")
    said = [line for line in printed.splitlines() if re.match(r"paired|after", line)]
    assert said == [
        "paired: the first kernel of scale_out",
        "after scale got another kernel: the faster kernel of scale",
        "after scale_out got another kernel, too: the faster kernel of scale_out",
    ]
    assert "  to change    register the out variant's kernel for the device anew, or pair the two by" in printed


def test_a_package_made_without_the_shim_needs_no_out_variant(run: Run) -> None:
    printed = run("aotinductor_package.py")
    assert printed.splitlines() == [
        "a package made with the shim, where there is no out variant:",
        "    it cannot be run: Could not find schema for ns::scale_out.",
        "a package made without, where there is no out variant:",
        "    it runs, and gives what eager gives",
    ]


if importlib.util.find_spec("triton") is not None:

    @pytest.mark.parametrize("interpret", ["1", "0"] if torch.cuda.is_available() else ["1"])
    def test_a_triton_op_is_lowered(interpret: str, run: Run) -> None:
        printed = run("triton_op.py", TRITON_INTERPRET=interpret)
        assert "ns::scale (2 calls)" in printed
        assert lowered(printed) == ["ns::scale_out (registered)"]


if importlib.util.find_spec("ninja") is not None:  # on three releases: the extension takes long to build

    def test_ops_of_a_cpp_extension_are_lowered_with_a_tag_and_without(run: Run, tmp_path: Path) -> None:
        printed = run("cpp_extension/build.py", TORCH_EXTENSIONS_DIR=str(tmp_path / "extensions"))
        assert lowered(printed) == ["ext::flat_out (registered)", "ext::tagged.out (tag)", "ext::strict.out (tag)"]
