"""Children of a process in which only ``import compat_shim`` has activated the shim."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import ROOT
from support.workbench import command

PROGRAM = """
import multiprocessing, sys

def tell(queue, generations):
    process = sys.modules.get("compat_shim.process")
    queue.put(process.owner().route if process else "none")
    if generations:
        child(queue, generations - 1)

def child(queue, generations):
    process = multiprocessing.Process(target=tell, args=(queue, generations))
    process.start()
    process.join()

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    {first}
    queue = multiprocessing.Queue()
    child(queue, 1)
    print(queue.get(), queue.get(), sep=chr(10))
"""
IMPORT = "import compat_shim\n"
PATH = "print([entry for entry in sys.path if 'bootstrap' in entry])"


def program(folder: Path, first: str, method: str = "spawn", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``first`` in a main module that children do not repeat; prints the routes of two generations."""
    script = folder / "program.py"
    script.write_text(PROGRAM.format(first=first))
    return command(sys.executable, str(script), method, environ={"PYTHONPATH": str(ROOT), **environ}, cwd=folder)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_and_theirs_are_active_although_they_import_nothing(tmp_path: Path, method: str) -> None:
    done = program(tmp_path, "import compat_shim", method)
    assert (done.stdout, done.stderr) == (IMPORT * 2, "")


def test_children_are_active_where_multiprocessing_is_imported_later(tmp_path: Path) -> None:
    script = (
        PROGRAM.format(first="pass")
        .replace("import multiprocessing, sys", "import sys; {}")
        .format("compat_shim = __name__ == '__main__' and __import__('compat_shim'); import multiprocessing")
    )
    tmp_path.joinpath("late.py").write_text(script)
    done = command(sys.executable, "late.py", "spawn", environ={"PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    assert (done.stdout, done.stderr) == (IMPORT * 2, "")


def test_a_fork_has_what_its_parent_has(tmp_path: Path) -> None:
    assert program(tmp_path, "import compat_shim", "fork").stdout == IMPORT * 2


def test_deactivate_ends_it_and_takes_the_folder_from_the_path(tmp_path: Path) -> None:
    before = f"before = list(sys.path); import compat_shim; {PATH}; compat_shim.deactivate(); print(sys.path == before)"
    folder = ROOT / "compat_shim" / "activation" / "bootstrap"
    assert program(tmp_path, before).stdout.splitlines() == [str([str(folder)]), "True", "none", "none"]


def test_off_in_the_environment_of_the_children_keeps_them_off(tmp_path: Path) -> None:
    done = program(tmp_path, "import compat_shim, os; os.environ['COMPAT_SHIM'] = 'off'")
    assert (done.stdout, done.stderr) == ("not activated\n" * 2, "")


def test_children_that_do_not_find_the_package_start_all_the_same(tmp_path: Path) -> None:
    # Wherever it is found: in the checkout, and where it is installed.
    forget = "import compat_shim, os; has = lambda e: os.path.exists(os.path.join(e, 'compat_shim'))"
    forget += f"; sys.path[:] = [e for e in sys.path if not has(e) and not e.startswith({str(ROOT)!r})]"
    done = program(tmp_path, f"{forget}; del os.environ['PYTHONPATH']")
    assert (done.stdout, done.stderr) == ("none\n" * 2, "")


def test_a_process_started_with_the_path_as_its_pythonpath_is_active(tmp_path: Path) -> None:
    # As Inductor starts its compile workers.
    worker = "import sys; print([f.__name__ for f in sys.meta_path if hasattr(f, '__file__')])"
    start = (
        "import compat_shim, os, subprocess; subprocess.run([sys.executable, '-c', sys.argv[2]],"
        " env={'PYTHONPATH': os.pathsep.join(sys.path)})"
    )
    tmp_path.joinpath("main.py").write_text(f"import sys; {start}")
    done = command(sys.executable, "main.py", "", worker, environ={"PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("['sitecustomize']\n", "")


def test_children_are_active_where_a_sitecustomize_hides_the_bootstrap_folder(tmp_path: Path) -> None:
    folder = str(ROOT / "compat_shim" / "activation" / "bootstrap")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    theirs.joinpath("sitecustomize.py").write_text("")
    path = os.pathsep.join([str(theirs), folder, str(ROOT)])
    first = "import compat_shim; print(compat_shim.status().hidden_by)"
    done = program(tmp_path, first, PYTHONPATH=path)
    assert (done.stdout.splitlines(), done.stderr) == ([f"{theirs}/sitecustomize.py", *["import compat_shim"] * 2], "")
    before = f"before = list(sys.path); import compat_shim; {PATH}; compat_shim.deactivate(); print(sys.path == before)"
    assert program(tmp_path, before, PYTHONPATH=path).stdout.splitlines()[:2] == [str([folder] * 2), "True"]
