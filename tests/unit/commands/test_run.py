"""``compat_shim run``: the command is as it would be without it, and active."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from support.environment import Environment
from support.processes import ROOT
from support.workbench import command, fake_torch, python

BOOTSTRAP = str(ROOT / "compat_shim" / "activation" / "bootstrap")
# Prints what a command can see of how it was started.
SEEN = (
    "import json, os, sys, signal; print(json.dumps([sys.argv, os.getcwd(), os.getpid(), dict(os.environ),"
    " sys.stdin.read(), str(signal.getsignal(signal.SIGINT)), sys.orig_argv]))"
)


def launch(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """``compat_shim run`` and these words, in an environment that only has the package's path."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **options.pop("environ", {})}
    return command(sys.executable, "-m", "compat_shim", "run", *words, environ=environ, **options)


def test_the_command_sees_what_it_would_see_without_it(tmp_path: Path) -> None:
    words = (sys.executable, "-W", "ignore", "-c", SEEN, "--", "a b", "--mode", "")
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "X": "1"}
    stock = json.loads(command(*words, environ=environ, cwd=tmp_path, input="in\n").stdout)
    ours = json.loads(launch("--", *words, environ=environ, cwd=tmp_path, input="in\n").stdout)
    for seen in (stock, ours):
        del seen[2]
    added = {"PYTHONPATH": f"{BOOTSTRAP}{os.pathsep}{ROOT}", "COMPAT_SHIM_ROUTE": "run"}
    stock[2].update(added)
    assert ours == stock


def test_the_command_takes_the_place_of_the_process() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "compat_shim", "run", sys.executable, "-c", "import os; print(os.getpid())"],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert int(process.communicate(timeout=60)[0]) == process.pid


def test_the_exit_code_is_the_commands() -> None:
    assert launch("--", sys.executable, "-c", "raise SystemExit(7)").returncode == 7
    assert launch("sh", "-c", "exit 9").returncode == 9
    killed = launch("--", sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert killed.returncode == -signal.SIGTERM


def test_a_command_that_is_no_python_dies_of_a_closed_pipe_as_it_should() -> None:
    done = launch("sh", "-c", "(yes; echo $? >&2) | head -1")
    assert (done.stdout, done.stderr) == ("y\n", f"{128 + signal.SIGPIPE}\n")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("--", "no-such-command"), 127, "compat-shim run: no-such-command: No such file or directory"),
        (("./missing/command",), 127, "compat-shim run: ./missing/command: No such file or directory"),
        (("--", "/etc/passwd"), 126, "compat-shim run: /etc/passwd: Permission denied"),
        (("--",), 2, "python -m compat_shim run: error: no COMMAND"),
        ((), 2, "python -m compat_shim run: error: no COMMAND"),
        (("--mode", "odd", "ls"), 2, "python -m compat_shim run: error: argument --mode: invalid choice: 'odd'"),
    ],
)
def test_a_command_that_cannot_be_run_is_a_clear_error(words: tuple[str, ...], code: int, line: str) -> None:
    done = launch(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.splitlines()[-1].startswith(line)
    assert "Traceback" not in done.stderr


def test_a_python_file_in_place_of_a_command_is_told_what_runs_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("print('run')")
    done = launch(str(script))
    advice = done.stderr.strip().partition(f"{script}: Permission denied; put `python` before it: ")[2]
    assert (done.returncode, advice) == (126, f"`compat-shim run -- python {script}`")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--pair", "a b", "COMPAT_SHIM_PAIR"),
        ("--pair", "a=b", "COMPAT_SHIM_PAIR"),
        ("--features", "odd", "names 'odd'"),
    ],
)
def test_an_option_with_a_value_that_would_be_ignored_is_an_error(option: str, value: str, says: str) -> None:
    done = launch(option, value, "echo", "no")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert says in done.stderr


def test_strict_refuses_a_setting_that_the_command_would_stumble_over() -> None:
    done = launch("--mode", "strict", "--features", "odd", "echo", "no")
    assert (done.returncode, done.stdout) == (2, "")
    assert "COMPAT_SHIM_FEATURES names 'odd'" in done.stderr


@pytest.mark.parametrize("how", ["script", "-c", "-m"])
def test_a_python_command_is_active_however_it_is_given(tmp_path: Path, how: str) -> None:
    torch = fake_torch(tmp_path)
    source = "import small_features, torch, compat_shim; print(torch.Tag.out, compat_shim.status().route)"
    torch.joinpath("program.py").write_text(source)
    program = {"script": [str(torch / "program.py")], "-c": ["-c", source], "-m": ["-m", "program"]}[how]
    environ = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(torch)]),
        "SMALL_FINGERPRINTS": str(torch / "fingerprints.json"),
    }
    done = launch("--", sys.executable, *program, environ=environ)
    assert (done.stdout, done.stderr) == ("out run\n", "")


def test_a_python_that_found_the_package_in_its_current_folder_hands_it_on(tmp_path: Path) -> None:
    script = "import compat_shim; print(compat_shim.status().route)"
    done = command(
        *(sys.executable, "-m", "compat_shim", "run", sys.executable, "-c", f"import os; os.chdir('/'); {script}"),
        environ={"PYTHONPATH": ""},
        cwd=ROOT,
    )
    assert (done.stdout, done.stderr) == ("run\n", "")


def test_a_python_of_another_environment_is_warned_of_and_one_of_this_is_not(tmp_path: Path) -> None:
    here = Environment(tmp_path / "here")
    other = tmp_path / "other"
    venv.create(other, symlinks=True, with_pip=False)
    words = ("-m", "compat_shim", "run", "--", "python", "-c", "print(1)")
    done = here.python(*words, PATH=str(other / "bin"))
    assert done.stdout == "1\n"
    (line,) = done.stderr.splitlines()
    start = f"compat-shim run: python is the Python of {other}, not of {here.folder}: the shim will not be active"
    assert line.startswith(start)
    assert f"give {here.folder / 'bin' / 'python'} instead" in line
    own = here.python(*words, PATH=str(here.folder / "bin"))
    assert (own.stdout, own.stderr) == ("1\n", "")
    # By its PYTHONPATH the other finds the package too, and is active.
    shared = here.python(*words, PATH=str(other / "bin"), PYTHONPATH=str(here.packages))
    assert (shared.stdout, shared.stderr) == ("1\n", "")


def test_the_options_are_the_commands_settings() -> None:
    code = "import os; print(*(os.environ['COMPAT_SHIM' + name] for name in ('', '_FEATURES', '_LOG')))"
    done = launch("--mode", "off", "--features", "tag", "--log", "debug", "--", sys.executable, "-c", code)
    assert (done.stdout, done.stderr) == ("off tag debug\n", "")


def test_pairs_and_imports_are_the_commands_too_and_files_are_found_from_anywhere(tmp_path: Path) -> None:
    tmp_path.joinpath("mine.py").touch()
    code = "import os; print(os.environ['COMPAT_SHIM_PAIR'], os.environ['COMPAT_SHIM_IMPORT'])"
    words = ("--pair", "a,b::c", "--pair", "b::d=b::e", "--import", "mine.py", "--import", "some.module")
    done = launch(*words, "--", sys.executable, "-c", code, cwd=tmp_path)
    assert done.stdout == f"a,b::c,b::d=b::e {tmp_path.resolve() / 'mine.py'}{os.pathsep}some.module\n"
    assert done.stderr == ""
    missing = launch("--import", "no.py", "--", sys.executable, "-c", code, cwd=tmp_path)
    assert (missing.returncode, missing.stderr) == (2, "compat-shim run: --import: there is no file no.py\n")
    two = tmp_path / f"a{os.pathsep}b.py"
    two.touch()
    refused = launch("--import", str(two), "--", sys.executable, "-c", code)
    assert (refused.returncode, "which separates several" in refused.stderr) == (2, True)


def test_run_imports_no_torch(tmp_path: Path) -> None:
    broken = tmp_path / "torch"
    broken.mkdir()
    broken.joinpath("__init__.py").write_text("raise RuntimeError('imported')")
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = python("-m", "compat_shim", "run", "--", "echo", "fine", PYTHONPATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
