"""A package in a zip file: it says that it is not served, and torch is as it was."""

from __future__ import annotations

import os
import shutil
import sys
import venv
from pathlib import Path

import pytest

from support.processes import ROOT
from support.workbench import command, fake_torch, python

STOCK = "import torch; assert not hasattr(torch.Tag, 'out')"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zip file that holds the package."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "compat_shim", tmp_path / "files" / "compat_shim", ignore=ignored)
    return Path(shutil.make_archive(str(tmp_path / "shim"), "zip", tmp_path / "files"))


def test_a_package_in_a_zip_file_says_that_it_is_not_served(archive: Path, tmp_path: Path) -> None:
    torch = fake_torch(tmp_path)
    says = f"compat_shim is imported from {archive}/compat_shim, which is no folder (a zip file?): it is not served"
    path = os.pathsep.join([str(archive), str(torch)])
    code = f"import compat_shim, torch; {STOCK}; print(compat_shim.is_active(), compat_shim.status().details())"
    done = python("-c", code, PYTHONPATH=path)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"compat_shim: {says}")
    assert done.stdout.startswith("False ")
    assert f"problem      {says}" in done.stdout
    by_path = os.pathsep.join([f"{archive}/compat_shim/activation/bootstrap", path])
    bootstrap = python("-c", STOCK, PYTHONPATH=by_path)
    assert (bootstrap.returncode, bootstrap.stderr) == (0, done.stderr)
    strict = python("-c", "import compat_shim", PYTHONPATH=path, COMPAT_SHIM="strict")
    assert f"ShimError: {says}" in strict.stderr
    off = python("-c", f"import compat_shim; {STOCK}", PYTHONPATH=path, COMPAT_SHIM="off")
    assert (off.returncode, off.stderr) == (0, "")


@pytest.mark.parametrize(("words", "code"), [(("enable",), 1), (("run", "--", sys.executable, "-c", ""), 2)])
def test_a_command_that_would_hand_it_on_refuses(
    archive: Path, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    # An environment of its own: the one that the tests run in must stay as it is, whatever is wrong here.
    venv.create(tmp_path / "venv", symlinks=True, with_pip=False)
    environ = {"PYTHONPATH": str(archive), "COMPAT_SHIM": "off"}
    done = command(str(tmp_path / "venv" / "bin" / "python"), "-m", "compat_shim", *words, environ=environ, cwd="/")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"compat-shim {words[0]}: compat_shim is imported from {archive}/compat_shim, which")
