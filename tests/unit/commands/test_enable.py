"""``compat_shim enable``, ``disable`` and ``enabled``, in virtual environments of their own."""

from __future__ import annotations

import copy
import os
import shutil
import site
from pathlib import Path
from types import ModuleType

import pytest

from compat_shim.activation import site_file, start_file
from compat_shim.activation.site_file import NAMES, NotPossible
from support.environment import Environment
from support.processes import ROOT, base_python
from support.workbench import command

ROUTE = "import small_features, torch, compat_shim; assert torch.Tag.out == 'out'; print(compat_shim.status().route)"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def environment(shared: Environment, tmp_path: Path) -> Environment:
    """An environment that is not enabled, and has no other guest from an earlier test."""
    for name in (*NAMES, "sitecustomize.py"):
        shared.packages.joinpath(name).unlink(missing_ok=True)
    return shared


def test_enable_activates_every_start_until_disable(environment: Environment) -> None:
    before = sorted(environment.packages.iterdir())
    assert environment.shim("enabled") == (1, f"not enabled in {environment.packages}\n")
    for _ in range(2):
        assert environment.shim("enable") == (0, f"wrote {environment.file}\n")
        done = environment.python("-c", ROUTE)
        assert (done.stdout, done.stderr) == ("enable\n", "")
    assert environment.shim("enabled") == (0, f"enabled by {environment.file}\n")
    assert sorted(environment.packages.iterdir()) == sorted([*before, environment.file])
    assert environment.shim("disable") == (0, f"removed {environment.file}\n")
    assert environment.shim("disable") == (0, f"it was not enabled in {environment.packages}\n")
    assert sorted(environment.packages.iterdir()) == before
    assert environment.python("-c", "import torch; assert not hasattr(torch.Tag, 'out')").returncode == 0


def test_an_enabled_environment_runs_the_users_own_sitecustomize_and_obeys_off(
    environment: Environment, tmp_path: Path
) -> None:
    # Not in site-packages: a distribution's Python may have one in its library, which goes before that.
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    theirs.joinpath("sitecustomize.py").write_text("print('theirs')\n")
    assert environment.shim("enable")[0] == 0
    assert environment.python("-c", ROUTE, PYTHONPATH=str(theirs)).stdout == "theirs\nenable\n"
    code = "import sys, torch; print('compat_shim' in sys.modules)"
    off = environment.python("-c", code, COMPAT_SHIM="off", PYTHONPATH=str(theirs))
    assert (off.stdout, off.stderr) == ("theirs\nFalse\n", "")
    assert environment.python("-S", "-c", "import sys; print(len(sys.path))").stderr == ""


def test_run_in_an_enabled_environment_is_still_one_activation(environment: Environment) -> None:
    assert environment.shim("enable")[0] == 0
    program = str(environment.folder / "bin" / "python")
    code, said = environment.shim("run", "--", program, "-c", f"{ROUTE}; import sys; print(len(sys.path))")
    route, with_run = said.split()
    assert (code, route) == (0, "run")
    assert int(with_run) == int(environment.python("-c", "import sys; print(len(sys.path))").stdout)


def test_an_uninstalled_package_leaves_a_file_that_does_no_harm(environment: Environment) -> None:
    assert environment.shim("enable")[0] == 0
    hidden = environment.packages / "hidden"
    environment.packages.joinpath("compat_shim").rename(hidden)
    try:
        done = environment.python("-c", "import sys, torch; print([p for p in sys.path if 'bootstrap' in p])")
    finally:
        hidden.rename(environment.packages / "compat_shim")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_an_environment_that_was_moved_is_still_enabled(tmp_path: Path) -> None:
    old = Environment(tmp_path / "old")
    assert old.shim("enable")[0] == 0
    moved = tmp_path / "moved"
    old.folder.rename(moved)
    old.folder, old.packages = moved, next(moved.glob("lib/python*/site-packages"))
    done = old.python("-c", ROUTE)
    assert (done.stdout, done.stderr) == ("enable\n", "")


def test_a_copy_of_an_enabled_environment_is_active_by_its_own_package(
    environment: Environment, tmp_path: Path
) -> None:
    assert environment.shim("enable")[0] == 0
    copied = copy.copy(environment)
    copied.folder = tmp_path / "copied"
    shutil.copytree(environment.folder, copied.folder, symlinks=True)
    (copied.packages,) = copied.folder.glob("lib/python*/site-packages")
    assert copied.shim("enabled") == (0, f"enabled by {copied.file}\n")
    done = copied.python(
        "-c", f"{ROUTE}; import sys; print(compat_shim.__file__, [p for p in sys.path if 'boot' in p])"
    )
    package = copied.packages / "compat_shim"
    own = f"{package / '__init__.py'} {[str(package / 'activation' / 'bootstrap')]}"
    assert (done.stdout.splitlines(), done.stderr) == (["enable", own], "")
    # What the original does with its own file is nothing to the copy.
    assert environment.shim("disable")[0] == 0
    assert copied.python("-c", ROUTE).stdout == "enable\n"
    assert environment.python("-c", "import torch; assert not hasattr(torch.Tag, 'out')").returncode == 0
    assert copied.shim("disable") == (0, f"removed {copied.file}\n")


def test_enabled_names_the_sitecustomize_that_hides_it(environment: Environment, tmp_path: Path) -> None:
    assert environment.shim("enable")[0] == 0
    tmp_path.joinpath("sitecustomize.py").write_text("")
    # A later file that does the same as ours.
    later = environment.packages / "later.pth"
    later.write_text(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n")
    try:
        code, said = environment.shim("enabled")
        stock = environment.python("-c", "import torch; assert not hasattr(torch.Tag, 'out')")
    finally:
        later.unlink()
    assert (code, stock.returncode) == (1, 0)
    assert said.splitlines()[1].startswith(f"{tmp_path / 'sitecustomize.py'} comes before the bootstrap folder")
    assert environment.shim("enabled") == (0, f"enabled by {environment.file}\n")


def test_a_file_of_that_name_that_is_not_ours_is_left_alone(environment: Environment) -> None:
    environment.file.write_text("/somewhere\n")
    code, said = environment.shim("enable")
    assert (code, said) == (
        1,
        f"compat-shim enable: {environment.file} exists and is not compat_shim's; it is left as it is\n",
    )
    assert environment.shim("disable")[0] == 0
    assert environment.file.read_text() == "/somewhere\n"


def test_outside_a_virtual_environment_it_must_be_asked_for() -> None:
    base = base_python()
    done = command(base, "-m", "compat_shim", "enable", environ={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 1
    assert "is not a virtual environment; enable it there anyway with --system" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_site_packages_that_cannot_be_written_to_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr("tempfile.mkstemp", denied)
    with pytest.raises(NotPossible, match=rf"^{tmp_path} cannot be written to \(Permission denied\); enable it as"):
        site_file.enable(tmp_path, str(tmp_path))
    tmp_path.joinpath(NAMES[0]).write_text(site_file.contents("/", False))
    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(NotPossible, match=r"cannot be removed \(Permission denied\)"):
        site_file.disable(tmp_path)


def test_a_file_that_cannot_be_finished_is_not_there_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(NotPossible, match="No space left"):
        site_file.enable(tmp_path, str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_start_files_are_used_where_the_interpreter_knows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ModuleType("site")
    assert not site_file.knows_start_files(fake)
    assert site_file.enable(tmp_path, str(tmp_path)).name == NAMES[site_file.knows_start_files(site)]
    monkeypatch.setattr(site, "StartupState", object, raising=False)  # as in Python 3.15
    file = site_file.enable(tmp_path, str(tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["compat_shim.start"]  # the other form is gone
    (line,) = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert line == f"{start_file.__name__}:{start_file.start.__name__}"
    assert [removed.name for removed in site_file.disable(tmp_path)] == ["compat_shim.start"]


def test_what_a_start_file_calls_is_the_route(environment: Environment) -> None:
    call = "from compat_shim.activation.start_file import start; start(); import small_features, torch, compat_shim"
    done = environment.python("-c", f"{call}; print(torch.Tag.out, compat_shim.status().route)")
    assert (done.stdout, done.stderr) == ("out enable\n", "")
