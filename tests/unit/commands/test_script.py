"""A program that a command runs in its own process runs and ends as it does under Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compat_shim.commands import script
from compat_shim.commands.failures import Failure
from support.workbench import python

RUN = """
import sys
from compat_shim.commands import failures, script
module = sys.argv[1] == "-m"
name, *arguments = sys.argv[1 + module :]
try:
    sys.exit(script.run(name, arguments, module))
except failures.Failure as error:
    print(f"cannot run: {error}", file=sys.stderr)
    sys.exit(2)
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return python("-c", f"import os; os.chdir({str(folder)!r}){RUN}", *words)


def by_python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    code = f"import os, sys; os.chdir({str(folder)!r}); os.execv(sys.executable, [sys.executable, *{list(words)!r}])"
    return python("-c", code)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``beside.py``, which raises, and a package with a ``__main__``."""
    (tmp_path / "beside.py").write_text("def fail():\n    raise ValueError('mine')\n")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import sys, beside\nprint(sys.argv, __name__, __package__)\nsys.exit(3)\n")
    return tmp_path


ENDINGS = {
    "to its end": "print('done')",
    "with a number": "raise SystemExit(7)",
    "with nothing": "raise SystemExit",
    "with words": "import sys; sys.exit('words')",
    "by an error": "import beside\nbeside.fail()",
    "by an error of another": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('k') from error",
    "by a missing file of its own": "open('no_such_file')",
    "by a missing module of its own": "import no_such_module",
    "before it began": "x = (",
    "by an error of no class of Exception": "class Own(BaseException): pass\nraise Own('mine')",
    "after its threads": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()",
    "after a pool's": "import concurrent.futures, time\npool = concurrent.futures.ThreadPoolExecutor()\n"
    "pool.submit(lambda: (time.sleep(0.2), print('late')))",
    "after a pool of processes": "import concurrent.futures\n"
    "print(concurrent.futures.ProcessPoolExecutor(1).submit(abs, -1).result())",
    "in a folder of its own choice": "import os\nos.chdir('/')\nprint(__file__, open(__file__).readline())",
    "with what it defined in atexit": "import atexit, pickle\nclass C: pass\n"
    "atexit.register(lambda: print(pickle.dumps(C())))",
    "with what Python gives it": "print(__name__, __package__, __spec__, __cached__, __builtins__, type(__loader__))",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_prints_and_ends_as_under_python_and_its_traceback_is_its_own(ending: str, folder: Path) -> None:
    (folder / "program.py").write_text(f"import sys\nprint(sys.argv)\n{ENDINGS[ending]}\n")
    words = (str(folder / "program.py"), "--json", "-m", "x")
    ours, pythons = run(folder, *words), by_python(folder, *words)
    assert (ours.returncode, ours.stdout, ours.stderr) == (pythons.returncode, pythons.stdout, pythons.stderr)


def test_what_comes_after_the_program_comes_after_its_threads(folder: Path) -> None:
    program = f"import threading, time\n{ENDINGS['after its threads']}"
    (folder / "program.py").write_text(program)
    code = RUN.replace(
        "sys.exit(script.run(name, arguments, module))", "script.run(name, arguments, module); print('then')"
    )
    assert python("-c", code, str(folder / "program.py")).stdout == "late\nthen\n"


def test_a_link_to_a_program_finds_what_is_beside_the_program(folder: Path) -> None:
    (folder / "program.py").write_text("import beside\nprint(__file__)\n")
    link = folder / "package" / "link.py"
    link.symlink_to(folder / "program.py")
    ours, pythons = run(folder, str(link)), by_python(folder, str(link))
    assert (ours.returncode, ours.stdout) == (pythons.returncode, pythons.stdout) == (0, f"{link}\n")


def test_what_stands_for_stdin_is_told(folder: Path) -> None:
    with pytest.raises(Failure, match=r"^-: a program is not read from there; give /dev/stdin$"):
        script.check("-")
    with pytest.raises(Failure, match=r"^no_such.py: No such file or directory; give the path"):
        script.check("no_such.py")
    script.check(str(folder))


def test_a_module_runs_as_by_python_m(folder: Path) -> None:
    ours, pythons = run(folder, "-m", "package", "--op", "x"), by_python(folder, "-m", "package", "--op", "x")
    assert (ours.returncode, ours.stdout) == (pythons.returncode, pythons.stdout) != (0, "")
    failing = run(folder, "-m", "beside")
    assert (failing.returncode, failing.stderr) == (0, "")


def test_an_error_while_a_module_s_package_is_imported_keeps_its_traceback(folder: Path) -> None:
    (folder / "package" / "__init__.py").write_text("import no_such_module\n")
    done = run(folder, "-m", "package")
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == [
        "Traceback (most recent call last):",
        f'  File "{folder / "package" / "__init__.py"}", line 1, in <module>',
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("no_such.py",), "no_such.py: No such file or directory; give the path of a Python file, or a module by -m"),
        (("empty",), "can't find '__main__' module in 'empty'; give the path of a Python file, or a module by -m"),
        (("-m", "no_such"), "No module named no_such; give a module that `python -m` can run"),
        (("-m", "json"), "'json' is a package and cannot be directly executed; give a module that `python -m` can run"),
        (("-m", "no_such.module"), "No module named 'no_such'; give a module that"),
    ],
)
def test_a_program_that_is_not_there_is_one_line_that_says_what_to_do(
    words: tuple[str, ...], says: str, folder: Path
) -> None:
    (folder / "empty").mkdir()
    done = run(folder, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("cannot run: ")
    assert says in done.stderr


def test_ctrl_c_ends_it_as_a_shell_sees_it(folder: Path) -> None:
    (folder / "program.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n")
    done = run(folder, str(folder / "program.py"))
    assert done.returncode == 130
    assert done.stderr.endswith("KeyboardInterrupt\n")
    assert "runpy" not in done.stderr
