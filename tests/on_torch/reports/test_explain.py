"""``explain``, as a function, on a script and on one op."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

import compat_shim
from compat_shim.commands.main import main
from compat_shim.out_variant import lookalikes
from compat_shim.reports.advice import ADVICE
from compat_shim.reports.explain import _same_counters, _with_own_code
from support.processes import SUPPORT

SCRIPT = str(SUPPORT / "programs" / "explained.py")
COMMAND = (sys.executable, "-m", "compat_shim", "explain")


@pytest.fixture(scope="module")
def outputs(run_command: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What the script printed (its own use of ``compat_shim.explain``), what the command said of it, and stderr."""
    env = {"TORCH_LOGS": "+compat_shim"}
    done = run_command(*COMMAND, "--json", SCRIPT, "--json", "x", env=env, expect=3)  # the script's exit code
    (printed,) = [line for line in done.stderr.splitlines() if line.startswith('{"arguments"')]
    return json.loads(printed), json.loads(done.stdout), done.stderr


def test_with_json_all_that_the_script_prints_goes_to_stderr(outputs: Any) -> None:
    printed = {line for line in outputs[2].splitlines() if line.startswith("printed ")}
    assert printed == {"printed by a child", "printed by C", "printed at exit"}


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
    assert (first["in_place"], second["in_place"]) == ([], ["x"]), "the graph's own input is kept"
    assert first["where"].endswith("a, b = torch.ops.explained.split(x)")
    assert Path(first["where"].partition(":")[0]).name == "explained.py"


def test_declined_calls_show_the_reason_and_what_to_change(outputs: Any) -> None:
    spread, alone, untagged = (
        next(call for call in outputs[0]["explained"]["calls"] if call["op"] == f"explained::{name}")
        for name in ("spread", "alone", "untagged")
    )
    assert (spread["lowered"], spread["decline"], spread["change"]) == (False, "OVERLAP", ADVICE["OVERLAP"])
    assert spread["reason"] == "an output's strides make its elements overlap"
    assert ".spread.default(" in spread["call"]
    assert (alone["lowered"], alone["decline"], alone["out"], alone["buffers"]) == (False, "NO_PAIR", None, 0)
    assert alone["reason"].endswith("explained::alone.more is none: the functional op has no input 'k'")
    assert alone["change"] == lookalikes.AGREE
    assert ".alone.default(" in alone["call"]
    assert (untagged["decline"], untagged["reason"]) == (
        "UNPAIRED",
        "explained::untagged_out fits, but it is not tagged",
    )


def test_a_script_is_explained_over_all_its_compiles(outputs: Any) -> None:
    printed, command, _ = outputs
    assert (command["active"], command["graphs"], printed["explained"]["graphs"]) == (True, 2, 1)
    one, two = ([call for call in command["calls"] if call["graph"] == number] for number in (0, 1))
    calls = printed["explained"]["calls"]
    assert [{**call, "graph": 0} for call in two] == one == calls


def test_what_is_compiled_already_stays_and_torch_s_counters_too(outputs: Any) -> None:
    assert (outputs[0]["same counters"], outputs[0]["graphs compiled since"]) == (True, 0)


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
    names = ("split", "torch.ops.explained.spread.default", "alone", "untagged", "split.out", "nothing", "splitt")
    ops = [name if "." in name and name.startswith("torch") else f"explained::{name}" for name in names]
    done = run_python(ONE_OP, SCRIPT, *ops)
    split, spread, alone, untagged, out, nothing, _ = (done.json[op] for op in ops)
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
    assert "explained::splitt in this process; loaded: explained::split; --import" in done.stderr


def test_every_decline_comes_with_what_to_change() -> None:
    from compat_shim.out_variant.lowering.decide import Decline

    assert {decline.name for decline in Decline} == set(ADVICE)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("no_such.py",), "no_such.py: No such file or directory; give the path of a Python file, or a module by -m"),
        (("-m", "no_such"), "No module named no_such; give a module that `python -m` can run"),
        (("--op", "explained::no_such"), "there is no op explained::no_such in this process; --import the module or"),
        (("-o", "no_such/file", __file__), "-o no_such/file: No such file or directory"),
        (("-o", __file__, __file__), f"-o {__file__}: it is the program; give another file"),
    ],
)
def test_what_cannot_be_run_is_one_line_that_says_what_to_do(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["explain", *words]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith(f"compat-shim explain: {says}")


def test_the_text_can_be_written_to_a_file_and_is_of_a_module_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "quiet_program.py").write_text("import os\nos.chdir('/')\nprint('printed')\n")
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    for flag, said in ((("--json",), '{\n  "schema_version": 1,'), ((), "Inductor compiled no graph\n")):
        assert main(["explain", *flag, "-o", "said", "-m", "quiet_program"]) == 0
        monkeypatch.chdir(tmp_path)
        assert capfd.readouterr().out == "printed\n"
        assert (tmp_path / "said").read_text().startswith(said)
        assert os.environ == before


@pytest.mark.parametrize("words", [(), ("-m",), ("--op", "ns::f", "script.py"), ("--op", "ns::f", "-m", "module")])
def test_there_is_one_thing_to_be_explained(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["explain", *words])
    assert "error: one of SCRIPT, -m MODULE and --op" in capsys.readouterr().err


def test_a_function_is_compiled_with_code_of_its_own() -> None:
    # Dynamo leaves code alone that it has compiled too often.
    class Scaled:
        def __init__(self, by: int) -> None:
            self.by = by

        def method(self, x: int, plus: int = 1, *, minus: int = 2) -> int:
            return x * self.by + plus - minus

        def __call__(self, x: int) -> int:
            return x * self.by

    def closed(x: int) -> int:
        return x + len(ADVICE)

    scaled = Scaled(3)
    method, called, function = map(_with_own_code, (scaled.method, scaled, closed))
    assert (method(5), method(5, 0, minus=0), called(5), function(5)) == (14, 15, 15, 5 + len(ADVICE))
    assert method.__code__ is not scaled.method.__code__
    assert function.__code__ is not closed.__code__
    assert called.__code__ is not _with_own_code(scaled).__code__


def test_a_method_that_is_compiled_where_it_is_defined_is_explained() -> None:
    class Doubled:
        @torch.compile
        def method(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    assert compat_shim.explain(Doubled().method, torch.ones(3)).graphs == 1


PROGRAM = """
import ctypes, os, sys, threading, time
import torch
print(os.environ["PYTHONPATH"].split(os.pathsep)[0], flush=True)
library = torch.library.Library("ended", "FRAGMENT")
library.define("twice(Tensor x) -> Tensor")
library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
torch.library.register_fake("ended::twice", torch.empty_like, lib=library)
def late():
    time.sleep(0.5)
    torch.compile(lambda x: torch.ops.ended.twice(x))(torch.ones(3))  # naïve
if os.fork() == 0:
    print("forked", flush=True)
    sys.stdout.close()
    sys.exit(5)
os.wait()
threading.Thread(target=late).start()
sys.stdout = open(os.devnull, "w")
"""


def test_the_text_comes_once_all_is_done_and_where_the_command_was_told(
    run_command: Callable[..., Any], tmp_path: Path
) -> None:
    """After the program's threads, not by a child that it forks, and not where it has moved its stdout to."""
    program, cache = tmp_path / "program.py", tmp_path / "cache"
    program.write_text(PROGRAM, encoding="utf-8")
    env = {"PYTHONIOENCODING": "ascii", "TMPDIR": str(cache)}
    cache.mkdir()
    said = run_command(*COMMAND, "--all", str(program), env=env).stdout.splitlines()
    assert said[0].endswith(os.path.join("activation", "bootstrap"))
    assert said[1:3] == ["forked", "compiled graphs: 1; calls of custom ops: 1; lowered: 0"]
    assert any("na\\xefve" in line for line in said), said
    off = run_command(*COMMAND, str(program), env={**env, "COMPAT_SHIM": "off"}).stdout.splitlines()
    assert off[2:] == [
        "the lowering is not applied: the shim is not active; COMPAT_SHIM=off",
        "compiled graphs: 1; calls of custom ops were not looked at",
    ]


def test_torch_s_counters_are_put_back_also_those_that_somebody_holds() -> None:
    held = counters["compat_shim_test"]
    held["event"] = 2
    with _same_counters():
        counters["compat_shim_test"]["event"] += 1
        counters.clear()
        counters["compat_shim_test"]["other"] += 1
        counters["compat_shim_other"]["event"] += 1
    assert counters["compat_shim_test"] is held
    assert held == {"event": 2}
    assert "compat_shim_other" not in counters
    del counters["compat_shim_test"]
