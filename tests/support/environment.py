"""Virtual environments that hold the package and the fake torch."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

from compat_shim.activation import site_file
from compat_shim.activation.site_file import NAMES
from support.processes import ROOT
from support.workbench import command, fake_torch


class Environment:
    """A virtual environment with the fake torch and a copy of the package in its site-packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, symlinks=True, with_pip=False)
        (self.packages,) = folder.glob("lib/python*/site-packages")
        shutil.copytree(
            ROOT / "compat_shim", self.packages / "compat_shim", ignore=shutil.ignore_patterns("__pycache__")
        )
        torch = fake_torch(folder)
        for item in torch.iterdir():
            shutil.move(item, self.packages)
        # The engine needs `packaging`, which is where the tests run.
        self.packages.joinpath("tests.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def python(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        table = str(self.packages / "fingerprints.json")
        environ = {"SMALL_FINGERPRINTS": table, "PYTHONDONTWRITEBYTECODE": "1", **environ}
        return command(str(self.folder / "bin" / "python"), *words, environ=environ, cwd="/")

    def shim(self, *words: str) -> tuple[int, str]:
        done = self.python("-m", "compat_shim", *words)
        return done.returncode, done.stdout + done.stderr

    @property
    def file(self) -> Path:
        return self.packages / NAMES[site_file.knows_start_files()]
