"""The bootstrap folder on PYTHONPATH, each time in an interpreter of its own, on the fake torch."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import ROOT, base_python
from support.workbench import command, python

BOOTSTRAP = ROOT / "compat_shim" / "activation" / "bootstrap"
ACTIVE = "import small_features, torch, compat_shim; assert torch.Tag.out == 'out'; print(compat_shim.status().route)"
# Whether the bootstrap has done its part: it waits for torch at the front of the meta path.
FIRST = "getattr(sys.meta_path[0], '__file__', '')"
WAITING = f"import sys; print('waits' if {FIRST}.startswith({str(BOOTSTRAP)!r}) else 'idle')"


def start(*arguments: str, path: tuple[Path, ...] = (), **environ: str) -> subprocess.CompletedProcess[str]:
    """Python with the bootstrap folder and then ``path`` as its PYTHONPATH; the package is on it."""
    joined = os.pathsep.join(map(str, (BOOTSTRAP, *path, ROOT)))
    return python(*arguments, **{"PYTHONPATH": joined, **environ})


def said(done: subprocess.CompletedProcess[str], *lines: str) -> bool:
    return (done.returncode, done.stdout.splitlines(), done.stderr) == (0, [*lines], "")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder with a ``sitecustomize`` that is not ours."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    folder.joinpath("sitecustomize.py").write_text("import sys; sys.their_path = list(sys.path); print('theirs')\n")
    return folder


def test_the_folder_on_pythonpath_alone_activates_the_shim(torch: Path) -> None:
    done = start("-c", ACTIVE, path=(torch,), SMALL_FINGERPRINTS=str(torch / "fingerprints.json"))
    assert said(done, "sitecustomize")


def test_an_interpreter_without_torch_imports_nothing_more(tmp_path: Path) -> None:
    # Another folder in place of ours, so that both have as many to search.
    code = "import sys; print(*sorted(sys.modules))"
    stock = python("-c", code, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)])).stdout.split()
    assert set(start("-c", code).stdout.split()) - set(stock) <= {"sitecustomize"}


def test_the_folder_stays_first_on_the_path_and_its_order_is_kept(theirs: Path) -> None:
    done = start("-c", "import sys; print(sys.path[1:4])", path=(theirs,))
    assert said(done, "theirs", str([str(BOOTSTRAP), str(theirs), str(ROOT)]))


@pytest.mark.parametrize("mode", ["auto", "off", "strict", "nonsense"])
def test_the_users_own_sitecustomize_runs_as_if_it_had_been_found_first(theirs: Path, mode: str) -> None:
    code = "import sitecustomize, sys; print(sitecustomize.__file__, [e for e in sys.their_path if 'bootstrap' in e])"
    done = start("-c", f"{code}; {WAITING}", path=(theirs,), COMPAT_SHIM=mode)
    waits = "idle" if mode == "off" else "waits"
    assert said(done, "theirs", f"{theirs / 'sitecustomize.py'} []", waits)


def test_what_the_users_sitecustomize_does_to_the_path_is_kept(theirs: Path) -> None:
    theirs.joinpath("sitecustomize.py").write_text("import sys; sys.path.insert(0, '/added')\n")
    done = start("-c", "import sys; print({'/added', sys.argv[1]} <= set(sys.path))", str(BOOTSTRAP), path=(theirs,))
    assert said(done, "True")


@pytest.mark.parametrize("error", ["raise OSError('theirs')", "import no_such_module"])
def test_a_users_sitecustomize_that_fails_is_reported_as_without_us(theirs: Path, error: str) -> None:
    theirs.joinpath("sitecustomize.py").write_text(f"{error}\n")
    stock = python("-c", "pass", PYTHONPATH=str(theirs))
    done = start("-c", f"{WAITING}; print('sitecustomize' in sys.modules)", path=(theirs,))
    assert (done.stdout.split(), done.stderr) == (["waits", "False"], stock.stderr)
    assert stock.stderr.startswith("Error in sitecustomize")


def test_a_usercustomize_still_runs(theirs: Path) -> None:
    theirs.joinpath("usercustomize.py").write_text("print('user')\n")
    environ = {"PYTHONPATH": os.pathsep.join(map(str, (BOOTSTRAP, theirs, ROOT)))}
    base = base_python()  # a virtual environment has no usercustomize
    assert said(command(base, "-c", WAITING, environ=environ), "theirs", "user", "waits")


def test_two_bootstrap_folders_chain_on_to_the_users(tmp_path: Path, theirs: Path) -> None:
    other = tmp_path / "other" / "compat_shim" / "activation" / "bootstrap"
    shutil.copytree(BOOTSTRAP, other)
    assert said(start("-c", WAITING, path=(other, BOOTSTRAP, theirs)), "theirs", "waits")


def test_importing_it_again_changes_nothing(torch: Path) -> None:
    again = "import sys, importlib, sitecustomize; importlib.reload(sitecustomize); "
    done = start("-c", again + ACTIVE, path=(torch,), SMALL_FINGERPRINTS=str(torch / "fingerprints.json"))
    assert said(done, "sitecustomize")


def test_a_python_that_does_not_find_the_package_is_left_alone(theirs: Path) -> None:
    done = start("-c", WAITING, path=(theirs,), PYTHONPATH=os.pathsep.join([str(BOOTSTRAP), str(theirs)]))
    assert said(done, "theirs", "idle")


@pytest.mark.parametrize(("version", "waits"), [("python3.7", False), ("python{}.{}".format(*sys.version_info), True)])
def test_a_python_of_another_version_is_left_alone(tmp_path: Path, theirs: Path, version: str, waits: bool) -> None:
    packages = tmp_path / "lib" / version / "site-packages"
    shutil.copytree(ROOT / "compat_shim", packages / "compat_shim", ignore=shutil.ignore_patterns("__pycache__"))
    bootstrap = str(packages / "compat_shim" / "activation" / "bootstrap")
    path = os.pathsep.join([bootstrap, str(theirs), str(packages)])
    code = f"import sys; print(getattr(sys.meta_path[0], '__file__', '').startswith({bootstrap!r}))"
    assert said(start("-c", code, PYTHONPATH=path), "theirs", str(waits))


def test_its_syntax_is_that_of_any_python_3() -> None:
    source = BOOTSTRAP.joinpath("sitecustomize.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 4))
    assert not any(
        isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.arg)) and getattr(node, "annotation", True)
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("switch", ["-S", "-I", "-E"])
def test_a_switch_that_keeps_the_environment_out_keeps_us_out(switch: str) -> None:
    assert said(start(switch, "-c", WAITING), "idle")


def test_off_leaves_torch_and_the_process_as_they_are(torch: Path) -> None:
    done = start("-c", "import sys, torch; print('compat_shim' in sys.modules)", path=(torch,), COMPAT_SHIM=" OFF ")
    assert said(done, "False")


@pytest.mark.parametrize("gone", ["__init__.py", "activation", "."])
def test_a_package_that_is_gone_or_half_gone_breaks_nothing(tmp_path: Path, torch: Path, gone: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "compat_shim", copy / "compat_shim", ignore=shutil.ignore_patterns("__pycache__"))
    bootstrap = copy / "compat_shim" / "activation" / "bootstrap"
    path = os.pathsep.join(map(str, (bootstrap, torch, copy)))
    target = copy / "compat_shim" / gone
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.write_text("raise RuntimeError('half gone')")
    done = start("-c", "import torch; print(torch.Tag)", PYTHONPATH=path)
    assert (done.returncode, done.stdout) == (0, "<class 'torch.Tag'>\n")
    line = "compat_shim: it cannot be imported: RuntimeError('half gone'); torch behaves as shipped\n"
    assert done.stderr == (line if gone == "__init__.py" else "")
    strict = start("-c", "import torch", PYTHONPATH=path, COMPAT_SHIM="strict")
    assert strict.returncode == (1 if gone == "__init__.py" else 0)


def test_a_nested_interpreter_is_active_too(torch: Path) -> None:
    nested = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', sys.argv[1]]).returncode)"
    table = str(torch / "fingerprints.json")
    assert said(start("-c", nested, ACTIVE, path=(torch,), SMALL_FINGERPRINTS=table), "sitecustomize")


HIDDEN = "import compat_shim; print(compat_shim.status().hidden_by)"


@pytest.mark.parametrize("hides", [True, False])
def test_a_sitecustomize_before_the_folder_hides_it_and_status_says_so(theirs: Path, torch: Path, hides: bool) -> None:
    file = theirs / "sitecustomize.py"
    path = os.pathsep.join(map(str, [*([theirs, BOOTSTRAP] if hides else [BOOTSTRAP, theirs]), torch, ROOT]))
    done = start("-c", f"{WAITING}; {HIDDEN}; {HIDDEN}", PYTHONPATH=path)
    assert said(done, "theirs", *(["idle", str(file), str(file)] if hides else ["waits", "None", "None"]))
    table = {"PYTHONPATH": path, "SMALL_FINGERPRINTS": str(torch / "fingerprints.json")}
    text = start("-m", "compat_shim", "status", "-v", **table).stdout
    assert (f"hidden       {file} comes before the bootstrap folder on the path" in text) is hides
    enabled = start("-m", "compat_shim", "enabled", PYTHONPATH=path)
    assert (f"\n{file} comes before" in enabled.stdout) is hides


@pytest.mark.parametrize("first", ["", "COMPAT_SHIM=off", "chained", "script"])
def test_a_sitecustomize_after_the_folder_or_one_that_runs_ours_hides_nothing(
    theirs: Path, torch: Path, first: str
) -> None:
    path = [BOOTSTRAP, theirs, torch, ROOT]
    file = theirs / "sitecustomize.py"
    if first == "chained":  # as OpenTelemetry's does
        file.write_text(
            "import os, sys; here = os.path.dirname(__file__); sys.path.remove(here); del sys.modules[__name__]\n"
            "import sitecustomize; sys.path.insert(0, here); print('theirs')\n"
        )
        path = [theirs, BOOTSTRAP, torch, ROOT]
    words = ["-c", HIDDEN]
    if first == "script":  # whose folder is the first on the path by then
        theirs.joinpath("script.py").write_text(HIDDEN)
        words = [str(theirs / "script.py")]
    mode = first.partition("=")[2] or "auto"
    done = start(*words, PYTHONPATH=os.pathsep.join(map(str, path)), COMPAT_SHIM=mode)
    assert said(done, "theirs", "None")
