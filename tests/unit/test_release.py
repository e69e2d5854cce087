from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from compat_shim import release
from compat_shim.release import Release
from support.workbench import fake_torch, run

KNOWN = ("2.9.0", "2.9.1", "2.10.0", "2.11.0")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.10.0", ("2.10.0",)),
        ("2.10.0+cu128", ("2.10.0",)),
        ("2.10.0+cpu", ("2.10.0",)),
        ("2.10.0+rocm6.4", ("2.10.0",)),
        ("2.9.0+cpu", ("2.9.0",)),
        ("2.10.0a0+git1a2b3c", ("2.10.0", "2.9.1", "2.9.0")),
        ("2.10.0.dev20251101", ("2.10.0", "2.9.1", "2.9.0")),
        ("2.10.0.dev20251101+cu128", ("2.10.0", "2.9.1", "2.9.0")),
        ("2.10.0rc1", ("2.10.0", "2.9.1", "2.9.0")),
        ("2.10.1", ("2.10.0",)),
        ("2.9.0.dev20250901", ("2.9.1", "2.9.0")),
        ("2.9.0a0+gitdeadbee", ("2.9.1", "2.9.0")),
        ("2.9.2+cu128", ("2.9.1", "2.9.0")),
        ("2.11.0a0+1a2b3c4.nv26.02", ("2.11.0", "2.10.0")),
        ("2.12.0.dev20260301", ("2.11.0",)),
        ("2.13.0.dev20260601", ()),
        ("2.12.0", ()),
        ("3.0.0a0", ()),
        ("2.99.0", ()),
        ("2.1.0", ()),
        ("3.10.0", ()),
        ("garbage", ()),
        ("", ()),
        ("unknown", ()),
    ],
)
def test_the_candidates_are_the_release_itself_or_those_of_its_minor_and_before_a_release_the_one_before(
    version: str, expected: tuple[str, ...]
) -> None:
    assert Release(version).may_be(KNOWN) == expected


def test_candidates_are_ordered_by_number_and_not_by_letter() -> None:
    assert Release("2.9.11").may_be(("2.9.2", "2.9.10", "2.9.1")) == ("2.9.10", "2.9.2", "2.9.1")


def test_not_after_keeps_the_patch_releases_of_the_limit() -> None:
    assert release.not_after(("2.11.0", "2.10.1", "2.10.0", "2.9.0"), "2.10.0") == ("2.10.1", "2.10.0", "2.9.0")


def test_without_recorded_releases_there_is_no_candidate() -> None:
    assert Release("2.10.0").may_be(()) == ()


def test_a_version_that_is_none_is_not_parsed() -> None:
    assert Release("garbage").parsed is None


@pytest.mark.parametrize(
    ("name", "first", "last", "expected"),
    [
        ("2.10.0", None, None, True),
        ("2.10.0", "2.9", None, True),
        ("2.10.0", "2.10", "2.10", True),
        ("2.9.1", None, "2.9", True),
        ("2.10.0", None, "2.9", False),
        ("2.9.1", "2.10", None, False),
        ("2.11.0", "2.6", "2.10", False),
    ],
)
def test_bounds_are_minor_releases_and_compare_as_numbers(
    name: str, first: str | None, last: str | None, expected: bool
) -> None:
    assert release.within(name, first, last) is expected


@pytest.mark.parametrize("version", ["2.10.0", "2.10.0+cu128", "2.10.0a0+git1a2b3c", "2.9.0.dev20250901"])
def test_a_torch_on_disk_is_read_without_importing_it(tmp_path: Path, version: str) -> None:
    folder = fake_torch(tmp_path, version)
    done = run(
        "import sys\n"
        "from compat_shim.release import installed\n"
        "found = installed()\n"
        "assert 'torch' not in sys.modules and 'torch.version' not in sys.modules\n"
        "print(found.version, found.path)",
        torch=folder,
    )
    assert done.stdout.split() == [version, str(folder / "torch")]


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A torch folder that is found first, and no torch imported; the caller writes its files."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    folder = tmp_path / "torch"
    folder.mkdir()
    folder.joinpath("__init__.py").write_text("raise AssertionError('torch is not to be imported')\n")
    return folder


def test_annotated_assignments_and_the_commit_are_read(on_disk: Path) -> None:
    on_disk.joinpath("version.py").write_text(
        "from typing import Optional\n__all__ = ['__version__']\n__version__: str = \"2.11.0+cu130\"\n"
        "debug = False\ncuda: Optional[str] = '13.0'\ngit_version = '449b1768410104d3'\n"
    )
    assert release.installed() == Release("2.11.0+cu130", str(on_disk), "449b1768410104d3")


def test_a_torch_without_a_version_file_is_of_unknown_version(on_disk: Path) -> None:
    assert release.installed() == Release("unknown", str(on_disk), None)


def test_a_version_file_without_a_version_is_of_unknown_version(on_disk: Path) -> None:
    on_disk.joinpath("version.py").write_text("from torch._C import version as __version__\n")
    assert release.installed() == Release("unknown", str(on_disk), None)


def test_a_folder_that_is_no_package_is_no_torch(on_disk: Path) -> None:
    on_disk.joinpath("__init__.py").unlink()
    assert release.installed() is None


def test_without_torch_there_is_no_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert release.installed() is None


def test_an_imported_torch_speaks_for_itself(on_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk.joinpath("version.py").write_text("__version__ = '2.9.1'\n")
    torch = ModuleType("torch")
    torch.__version__ = "2.10.0+cpu"  # type: ignore[attr-defined]
    torch.__file__ = "/somewhere/torch/__init__.py"
    torch.version = ModuleType("torch.version")  # type: ignore[attr-defined]
    torch.version.git_version = "abc"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert release.installed() == Release("2.10.0+cpu", str(Path("/somewhere/torch")), "abc")


def test_an_imported_module_named_torch_without_version_and_spec_is_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert release.installed() is None


def test_the_release_is_read_while_torch_is_being_imported(tmp_path: Path) -> None:
    folder = fake_torch(tmp_path, "2.10.0+cu128")
    init = folder / "torch" / "__init__.py"
    init.write_text("from compat_shim.release import installed\nfound = installed()\n" + init.read_text())
    done: subprocess.CompletedProcess[str] = run("import torch; print(torch.found.version)", torch=folder)
    assert done.stdout.strip() == "2.10.0+cu128"
