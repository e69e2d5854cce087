"""What keeps a command from its work is one line that says what to do, and exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compat_shim.commands.main import main
from support.processes import ROOT
from support.workbench import python

# Each command that needs torch, with what it needs besides.
NEED_TORCH = {
    "status": ("status",),
    "explain": ("explain", "--op", "ns::op"),
    "explain SCRIPT": ("explain", __file__),
    "pairs": ("pairs", "ns"),
    "demo": ("demo",),
}
IMPORT = {name: words for name, words in NEED_TORCH.items() if name in ("status", "explain", "pairs")}


def shim(*words: str, torch: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    quiet = {"COMPAT_SHIM_LOG": "quiet"}  # of the fake torch, which does not fit the real features
    return python("-m", "compat_shim", *words, torch=torch, **quiet | environ)


def the_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that has failed."""
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", NEED_TORCH)
def test_without_torch_each_command_says_so(name: str, tmp_path: Path) -> None:
    without = tmp_path / "torch.py"
    without.write_text("raise ModuleNotFoundError('No module named torch', name='torch')")
    line = the_line(shim(*NEED_TORCH[name], torch=tmp_path))
    assert line == (
        f"compat-shim {name.split()[0]}: {sys.executable} has no torch; install one of 2.6 to 2.15 there, so that"
        " `import torch` works"
    )


@pytest.mark.parametrize("name", NEED_TORCH)
def test_a_torch_that_cannot_be_loaded_is_one_line_with_its_error(name: str, tmp_path: Path) -> None:
    tmp_path.joinpath("torch.py").write_text("\nraise OSError('libcudart.so.12:\\n cannot open shared object file')")
    line = the_line(shim(*NEED_TORCH[name], torch=tmp_path))
    assert line == (
        f"compat-shim {name.split()[0]}: torch cannot be imported: OSError: libcudart.so.12: cannot open shared object"
        f" file at {tmp_path / 'torch.py'}:2; install one of 2.6 to 2.15 there, so that `import torch` works"
    )


def test_status_without_torch_is_told_all_the_same(tmp_path: Path) -> None:
    tmp_path.joinpath("torch.py").write_text("raise ImportError('not today')")
    done = shim("status", torch=tmp_path)
    assert ": wrong (" in done.stdout.splitlines()[0]
    assert "problems   torch cannot be imported: ImportError: not today" in done.stdout
    assert "ImportError: not today" in the_line(done)
    asked = json.loads(shim("status", "--json", torch=tmp_path).stdout)
    assert (asked["good"], asked["state"]) == (False, "wrong")


@pytest.mark.parametrize("word", ["", ".", ".."])
def test_no_module_s_name_is_one_line(word: str, torch: Path) -> None:
    line = the_line(shim("status", "--import", word, torch=torch))
    assert line == (
        f"compat-shim status: --import {word!r}: give a module that this Python can import, or the path of a .py file"
    )


def test_output_that_has_not_the_letters_of_a_path_is_no_error(tmp_path: Path, torch: Path) -> None:
    quiet = {"PYTHONIOENCODING": "ascii", "TORCH_LOGS": "naïve"}
    done = shim("status", "--paste", torch=torch, **quiet)
    assert (done.stderr, "TORCH_LOGS=na\\xefve" in done.stdout) == ("", True)


def test_a_file_to_import_has_no_arguments_and_what_it_defines_stays(torch: Path, tmp_path: Path) -> None:
    """A library goes with the last reference to it."""
    program = tmp_path / "defines.py"
    program.write_text(
        "import sys, weakref\nprint(sys.argv)\nclass Library: pass\nlibrary = Library()\n"
        "weakref.finalize(library, print, 'gone').atexit = False\n"
    )
    done = shim("status", "--import", str(program), torch=torch)
    assert done.stdout.splitlines()[0] == str([str(program)])
    assert "gone" not in done.stdout


@pytest.mark.parametrize("name", IMPORT)
def test_a_module_that_is_not_there_is_one_line(name: str, torch: Path) -> None:
    line = the_line(shim(*IMPORT[name], "--import", "nosuch", torch=torch))
    assert line == (
        f"compat-shim {name}: --import nosuch: ModuleNotFoundError: No module named 'nosuch'; give a module that this"
        " Python can import, or the path of a .py file"
    )


@pytest.mark.parametrize("name", IMPORT)
def test_a_file_that_is_not_there_is_one_line(name: str, torch: Path) -> None:
    line = the_line(shim(*IMPORT[name], "--import", "no/such.py", torch=torch))
    assert line.startswith(f"compat-shim {name}: --import no/such.py: FileNotFoundError: ")
    assert line.endswith("'/no/such.py'; give the path of a file that there is")


@pytest.mark.parametrize("name", IMPORT)
@pytest.mark.parametrize("how", ["file", "module"])
def test_imported_code_that_raises_is_one_line_with_the_type_the_message_and_the_place(
    name: str, how: str, torch: Path
) -> None:
    file = torch / "mine.py"
    file.write_text("import json\n\ndef f():\n    json.loads('{')\n\nf()\n")
    line = the_line(shim(*IMPORT[name], "--import", "mine" if how == "module" else str(file), torch=torch))
    assert (
        f": JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) at {file}:4;"
        in line
    )
    assert line.endswith("; mend it, or leave it out")


def test_code_that_imports_what_is_not_there_is_not_missing_itself(torch: Path) -> None:
    torch.joinpath("mine.py").write_text("import nosuch\n")
    line = the_line(shim("status", "--import", "mine", torch=torch))
    assert f"No module named 'nosuch' at {torch / 'mine.py'}:1; mend it, or leave it out" in line


def test_code_that_exits_is_one_line(torch: Path) -> None:
    torch.joinpath("mine.py").write_text("raise SystemExit('not today')\n")
    line = the_line(shim("status", "--import", "mine", torch=torch))
    assert "--import mine: SystemExit: not today" in line


@pytest.mark.parametrize(
    "words",
    [*NEED_TORCH.values(), ("run", "--", "echo", "no"), ("enable",), ("disable",), ("enabled",)],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("how", ["-m", "script"])
def test_strict_and_a_wrong_variable_are_one_line(words: tuple[str, ...], how: str, torch: Path) -> None:
    settings = {"COMPAT_SHIM": "strict", "COMPAT_SHIM_LOG": "loud"}
    if how == "-m":
        done = shim(*words, torch=torch, **settings)
    else:
        script = torch / "compat-shim"
        script.write_text("import sys; from compat_shim.commands.main import main; sys.exit(main())")
        done = python(str(script), *words, torch=torch, **settings)
    assert the_line(done) == (
        f"compat-shim {words[0]}: COMPAT_SHIM_LOG='loud' is not one of quiet, warn, debug; 'warn' is used"
        "; mend that, or leave out COMPAT_SHIM=strict, which makes an error of it"
    )
    assert done.stdout == ""


def test_a_program_that_looks_like_a_command_is_active_as_ever(torch: Path) -> None:
    program = torch / "program.py"
    program.write_text("import sys, compat_shim; print(compat_shim.is_active())")
    for words in ((str(program), "-m", "compat_shim"), (str(program), "compat-shim"), ("-m", "program", "compat_shim")):
        assert python(*words, torch=torch).stdout == "True\n"


def test_a_child_with_the_arguments_of_a_command_is_active(torch: Path) -> None:
    code = "import sys; sys.argv = ['/bin/compat-shim', 'demo']; import compat_shim; print(compat_shim.is_active())"
    assert python("-c", code, "demo", torch=torch).stdout == "True\n"


@pytest.mark.parametrize("words", [("--help",), ("status",), ("status", "--json"), ("status", "--releases")])
def test_a_reader_that_has_seen_enough_is_no_traceback(words: tuple[str, ...], torch: Path) -> None:
    # The pipe is closed before anything is written.
    command = ["sh", "-c", '"$0" -m compat_shim "$@" | true', sys.executable, *words]
    environ = {"PYTHONPATH": f"{ROOT}:{torch}", "COMPAT_SHIM_LOG": "quiet"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


def test_the_exit_code_of_a_closed_pipe_is_a_shell_s() -> None:
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait(60)
    done = subprocess.run(
        [sys.executable, "-m", "compat_shim", "status", "--releases"],
        env={"PYTHONPATH": str(ROOT)},
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (141, b"")


def test_without_packaging_the_line_says_how_to_get_it(torch: Path) -> None:
    torch.joinpath("packaging.py").write_text("raise ModuleNotFoundError('No module', name='packaging')")
    line = the_line(shim("status", torch=torch))
    assert line.startswith("compat-shim status: this Python has no packaging, which compat_shim needs; ")
    assert line.endswith("-m pip install packaging")


def test_a_wrong_option_of_the_demo_is_told_before_torch_is_imported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--rows", "0"]) == 2
    assert capsys.readouterr().err == "compat-shim demo: --rows must be at least 1, found 0\n"
