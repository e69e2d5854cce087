"""``python -m compat_shim status``: its output and exit codes, on the fake torch."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from compat_shim._version import VERSION
from compat_shim.commands import explain
from support.workbench import fake_torch, python


def small(torch: Path | None, *arguments: str, first: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """``python -m compat_shim *arguments`` with the small features."""
    run_it = "runpy.run_module('compat_shim', run_name='__main__', alter_sys=True)"
    code = f"{first}\nimport runpy, small_features\n{run_it}"
    return python("-c", code, *arguments, torch=torch, **environ)


def test_status_is_0_when_every_feature_is_applied_or_native(tmp_path: Path) -> None:
    done = small(fake_torch(tmp_path), "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"compat_shim {VERSION}, torch 2.10.0+cpu: active (import compat_shim), all 3 features in place",
        "pairs      none in this process; of a module's ops: python -m compat_shim status --import MODULE",
        "all of it: python -m compat_shim status -v, or print(compat_shim.status().details())",
    ]


def test_verbose_shows_every_patch(tmp_path: Path) -> None:
    torch = fake_torch(tmp_path)
    done, long = small(torch, "status", "-v"), small(torch, "status", "--verbose")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", long.stdout)
    lines = [line.split()[:2] for line in done.stdout.splitlines() if line]
    for feature in ("tag", "discovery", "lowering", "tag-out", "module", "create"):
        assert [feature, "APPLIED"] in lines
    assert ["torch", "2.10.0+cpu"] in lines
    assert "taken for    torch 2.10.0" in done.stdout


def test_paste_prints_a_block_without_the_home_folder(tmp_path: Path) -> None:
    done = small(fake_torch(tmp_path), "status", "--paste", HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines, last = done.stdout.splitlines()
    assert first == last == "```"
    assert "features: tag APPLIED, discovery APPLIED, lowering APPLIED" in lines
    assert "      taken for 2.10.0, in ~/fake_torch/torch" in lines
    assert str(tmp_path) not in done.stdout


def test_one_form_at_a_time(tmp_path: Path) -> None:
    assert small(fake_torch(tmp_path), "status", "--json", "-v").returncode == 2


def test_json_is_the_same_status_with_a_schema_version(tmp_path: Path) -> None:
    done = small(fake_torch(tmp_path), "status", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert (data["schema_version"], data["good"], data["active"], data["mode"]) == (1, True, True, "auto")
    assert (data["state"], data["unpaired"]) == ("active", [])
    assert (data["torch"], data["release"], data["problems"]) == ("2.10.0+cpu", "2.10.0", [])
    assert [(each["id"], each["verdict"]) for each in data["features"]] == [
        ("tag", "APPLIED"),
        ("discovery", "APPLIED"),
        ("lowering", "APPLIED"),
    ]


@pytest.mark.parametrize("real", [False, True], ids=["small features", "the real features"])
def test_status_is_1_on_an_unknown_release(tmp_path: Path, real: bool) -> None:
    torch = fake_torch(tmp_path, "2.99.0")
    done = python("-m", "compat_shim", "status", torch=torch) if real else small(torch, "status")
    assert done.returncode == 1
    assert "UNKNOWN_RELEASE" in done.stdout
    assert "torch 2.99.0" in done.stdout
    assert done.stderr.count("compat_shim: ") == 1


def test_status_is_1_and_names_the_function_that_has_drifted(tmp_path: Path) -> None:
    torch = fake_torch(tmp_path)
    ir = torch / "torch" / "_inductor" / "ir.py"
    ir.write_text(ir.read_text().replace("kernel]", "kernel, 2]"))
    done = small(torch, "status", "--json")
    assert done.returncode == 1
    lowering = json.loads(done.stdout)["features"][2]
    assert lowering["verdict"] == "DRIFTED"
    assert lowering["expected"].startswith("torch._inductor.ir:FallbackKernel.create as in torch 2.10.0 (")


def test_status_is_1_where_the_shim_is_off(tmp_path: Path) -> None:
    done = small(fake_torch(tmp_path), "status", COMPAT_SHIM="off")
    assert done.returncode == 1
    assert (
        done.stdout.splitlines()[0]
        == f"compat_shim {VERSION}, torch 2.10.0+cpu: off, torch is as shipped; COMPAT_SHIM=off"
    )


def test_status_is_1_and_still_printed_where_strict_fails_the_import_of_torch(tmp_path: Path) -> None:
    done = small(fake_torch(tmp_path, "2.99.0"), "status", COMPAT_SHIM="strict")
    assert done.returncode == 1
    assert done.stderr.startswith("compat-shim status: tag: UNKNOWN_RELEASE: found torch 2.99.0")
    assert "UNKNOWN_RELEASE" in done.stdout
    assert "Traceback" not in done.stderr


def test_status_is_1_and_shows_what_is_wrong_in_the_environment(tmp_path: Path) -> None:
    done = small(fake_torch(tmp_path), "status", COMPAT_SHIM_LOG="loud", COMPAT_SHIM_CHEK="1")
    assert done.returncode == 1
    assert "problems   COMPAT_SHIM_LOG='loud' is not one of quiet, warn, debug; 'warn' is used\n" in done.stdout
    assert "\n           COMPAT_SHIM_CHEK is no variable of compat_shim" in done.stdout


@pytest.mark.parametrize("arguments", [("nonsense",), ("status", "--nonsense"), ("status", "more")])
def test_wrong_usage_is_2_and_shows_the_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = small(fake_torch(tmp_path), *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m compat_shim")
    assert done.stdout == ""


COMMANDS = {
    "status": ("--verbose", "--json", "--paste", "--releases", "--import"),
    "explain": ("--op", "--import", "--all", "--json", "SCRIPT", "ARGUMENT"),
    "pairs": ("NAMES", "--import", "--json"),
    "run": ("--mode", "--features", "--log", "--calls", "--pair", "--import", "COMMAND"),
    "enable": ("--system",),
    "disable": (),
    "enabled": (),
    "demo": ("--layers", "--rows", "--width", "--steps"),
}


@pytest.mark.parametrize("words", [("--help",), ()], ids=["--help", "bare"])
def test_help_has_a_line_for_every_command(words: tuple[str, ...]) -> None:
    done = python("-m", "compat_shim", *words, COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    _, _, listed = done.stdout.partition("COMMAND\n")
    lines = listed.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert all(re.match(r"    \w+ +\S", line) for line in lines)


def test_the_version_is_the_package_s() -> None:
    done = python("-m", "compat_shim", "--version")
    assert (done.returncode, done.stdout) == (0, f"compat_shim {VERSION}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_its_options_and_no_others(name: str) -> None:
    done = python("-m", "compat_shim", name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m compat_shim {name}")
    assert "xit code" in done.stdout
    listed = re.findall(r"^  (?:-v, )?(--\w+|[A-Z]\w+)", done.stdout, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS[name])


def test_the_console_script_is_named_in_its_usage(tmp_path: Path) -> None:
    script = tmp_path / "compat-shim"
    script.write_text("import sys; from compat_shim.commands.main import main; sys.exit(main())")
    done = python(str(script), "run")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: compat-shim run [options] -- COMMAND [ARGUMENT ...]")


@pytest.mark.parametrize(
    ("words", "program"),
    [
        ("--json -o f s.py -- a --json", "-- a --json"),
        ("--import m --all -m mod -- -m x", "-- -m x"),
        ("-mmod --op", "--op"),
        ("s.py", ""),
        ("--op ns::f", ""),
        ("- a", "a"),
        ("-m", ""),
    ],
)
def test_what_stands_after_a_program_s_name_is_the_program_s(words: str, program: str) -> None:
    own, found = explain.split(["explain", *words.split()])
    assert (own + found, found) == (["explain", *words.split()], program.split())
