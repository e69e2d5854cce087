"""``explain``, as a function, on a script and on one op."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat_shim.out_variant import lookalikes
from compat_shim.reports.advice import ADVICE
from support.processes import SUPPORT

SCRIPT = str(SUPPORT / "programs" / "explained.py")
COMMAND = (sys.executable, "-m", "compat_shim", "explain")


@pytest.fixture(scope="module")
def outputs(run_command: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What the script printed (its own use of ``compat_shim.explain``), what the command said of it, the log."""
    env = {"TORCH_LOGS": "+compat_shim"}
    done = run_command(*COMMAND, "--json", SCRIPT, "--json", "x", env=env, expect=3)  # the script's exit code
    first, _, rest = done.stdout.partition("\n")
    return json.loads(first), json.loads(rest), done.stderr


def test_the_script_has_its_arguments_and_its_exit_code(outputs: Any) -> None:
    assert outputs[0]["arguments"] == ["--json", "x"]


def test_lowered_calls_show_the_emitted_call_the_buffers_and_their_reuse(outputs: Any) -> None:
    first, second = (call for call in outputs[0]["explained"]["calls"] if call["op"] == "explained::split")
    assert (first["lowered"], first["out"], first["source"], first["decline"]) == (
        True,
        "explained::split.out",
        "tag",
        "",
    )
    assert first["call"].startswith("torch.ops.explained.split.out(arg0_1, a=buf")
    # 4 x 8 and 4 x 1 floats
    assert (first["buffers"], first["buffer_bytes"], first["reused"]) == (2, 144, 0)
    assert second["call"] != first["call"]
    assert first["where"].endswith("a, b = torch.ops.explained.split(x)")
    assert Path(first["where"].partition(":")[0]).name == "explained.py"


def test_declined_calls_show_the_reason_and_what_to_change(outputs: Any) -> None:
    spread, alone = (
        next(call for call in outputs[0]["explained"]["calls"] if call["op"] == f"explained::{name}")
        for name in ("spread", "alone")
    )
    assert (spread["lowered"], spread["decline"], spread["change"]) == (False, "OVERLAP", ADVICE["OVERLAP"])
    assert spread["reason"] == "an output's strides make its elements overlap"
    assert ".spread.default(" in spread["call"]
    assert (alone["lowered"], alone["decline"], alone["out"], alone["buffers"]) == (False, "NO_PAIR", None, 0)
    assert alone["change"].endswith("explain --op explained::alone")
    assert ".alone.default(" in alone["call"]


def test_a_script_is_explained_over_all_its_compiles(outputs: Any) -> None:
    printed, command, _ = outputs
    assert (command["active"], command["graphs"], printed["explained"]["graphs"]) == (True, 2, 1)
    one, two = ([call for call in command["calls"] if call["graph"] == number] for number in (0, 1))
    calls = printed["explained"]["calls"]
    assert [{**call, "graph": 0} for call in two] == one == calls


def test_what_is_compiled_already_stays_and_is_not_compiled_again(outputs: Any) -> None:
    assert outputs[0]["graphs compiled since"] == 1


def test_torch_logs_shows_one_line_a_process_and_each_decision(outputs: Any) -> None:
    log = outputs[2]
    assert log.count("compat_shim: tag ") == 1
    assert log.count("compat_shim: explained.split.default: lowered to explained.split.out") == 4
    assert log.count("compat_shim: explained.spread.default: declined: an output's strides make") == 2


def test_status_shows_the_pairs_and_the_tagged_overloads_that_are_in_none(outputs: Any) -> None:
    status = outputs[0]["status"]
    ours = [pair for pair in status["pairs"] if pair["functional"].startswith("explained::")]  # torch has some too
    assert sorted(ours, key=lambda pair: pair["out"]) == [
        {"functional": f"explained::{name}", "out": f"explained::{name}.out", "source": "tag", "limits": []}
        for name in ("split", "spread")
    ]
    assert [one for one in status["candidates"] if one["candidate"].startswith("explained::")] == [
        {
            "functional": "explained::alone",
            "candidate": "explained::alone.more",
            "reasons": ["the functional op has no input 'k'", lookalikes.AGREE],
        }
    ]
    assert status["foreign"] == []
    assert len(status["cache_salt"]) == 64


ONE_OP = """
import contextlib, io, json, sys
from compat_shim.commands.main import main
said = {}
for op in sys.argv[2:]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        imports = ["--import", sys.argv[1]] if not said else []
        said[op] = [main(["explain", *imports, "--op", op]), out.getvalue()]
print(json.dumps(said))
"""


def test_one_op_is_explained_without_a_compile(run_python: Callable[..., Any]) -> None:
    names = ("split", "torch.ops.explained.spread.default", "alone", "untagged", "split.out", "nothing")
    ops = [name if "." in name and name.startswith("torch") else f"explained::{name}" for name in names]
    done = run_python(ONE_OP, SCRIPT, *ops)
    split, spread, alone, untagged, out, nothing = (done.json[op] for op in ops)
    assert split == [
        0,
        "explained::split: explained::split(Tensor x) -> (Tensor, Tensor)\n"
        "  taken (tag): explained::split.out(Tensor x, *, Tensor(a!) a, Tensor(b!) b) -> ()\n",
    ]
    assert spread[0] == 0
    assert (alone[0], alone[1].splitlines()[1:]) == (
        1,
        [
            "  not taken: explained::alone.more(Tensor x, int k=1, *, Tensor(a!) out) -> ()",
            "      the functional op has no input 'k'",
            f"      {lookalikes.AGREE}",
        ],
    )
    assert (untagged[0], out[0], nothing) == (1, 1, [2, ""])
    assert "it carries neither torch.Tag.out nor torch.Tag.out_variant" in untagged[1]
    assert "it can have no out variant: it is not functional" in out[1]
    assert "there is no op explained::nothing in this process; --import" in done.stderr


def test_every_decline_comes_with_what_to_change() -> None:
    from compat_shim.out_variant.lowering.decide import Decline

    assert {decline.name for decline in Decline} == set(ADVICE)
