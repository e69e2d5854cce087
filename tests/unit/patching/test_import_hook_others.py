"""The import hook beside loaders and finders of other kinds."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zipfile
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from compat_shim.patching.import_hook import ImportHook
from support.workbench import Bench, waiting


class SlotsLoader:
    """A loader whose instances take no attribute."""

    __slots__ = ()

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.value = 1  # type: ignore[attr-defined]


class ClassLoader:
    """A loader that is a class, as those of built-in and frozen modules are."""

    @classmethod
    def create_module(cls, spec: Any) -> None:
        return None

    @classmethod
    def exec_module(cls, module: ModuleType) -> None:
        module.value = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("loader", [SlotsLoader(), ClassLoader])
def test_a_loader_that_cannot_be_hooked_loads_as_without_the_hook(loader: Any) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            return importlib.util.spec_from_loader(name, loader) if name == "lib_odd" else None

    sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
    _, seen = waiting("lib_odd")
    assert importlib.import_module("lib_odd").value == 1
    assert seen == []


class AskingFinder:
    """A finder that asks all the others, as ours does, and counts the specs that it sees."""

    def __init__(self) -> None:
        self.found = 0

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if not name.startswith("lib_"):
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                self.found += 1
                return spec
        return None


class StandInLoader:
    """A loader that stands for another one and shows that one's attributes as its own."""

    def __init__(self, real: Any) -> None:
        object.__setattr__(self, "_real", real)

    def __getattribute__(self, name: str) -> Any:
        real = object.__getattribute__(self, "_real")
        if name == "exec_module":
            return lambda module: real.exec_module(module)
        return getattr(real, name)


class StandInFinder:
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        spec = PathFinder.find_spec(name, path, target) if name.startswith("lib_") else None
        if spec is not None:
            spec.loader = StandInLoader(spec.loader)  # type: ignore[assignment]
        return spec


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_foreign_finder_that_asks_all_others_gets_along_with_ours(bench: Bench, ours_first: bool) -> None:
    foreign = AskingFinder()
    seen: list[str] = []
    hook = ImportHook(["lib_a"], seen.append)
    sys.meta_path.insert(0, foreign)
    hook.install()
    if not ours_first:
        sys.meta_path.remove(foreign)
        sys.meta_path.insert(0, foreign)
    module = bench.load("lib_a")
    assert seen == ["lib_a"]
    assert foreign.found > 0
    assert "exec_module" not in vars(module.__loader__)


def test_a_foreign_loader_that_stands_for_another_gets_along_with_ours(bench: Bench) -> None:
    sys.meta_path.insert(0, StandInFinder())
    _, seen = waiting("lib_a")
    module = bench.load("lib_a", "value = 1")
    assert (module.value, seen) == (1, ["lib_a"])
    assert "exec_module" not in vars(module.__loader__)


def test_a_finder_of_the_old_kind_is_passed_over(bench: Bench) -> None:
    sys.meta_path.insert(0, object())  # type: ignore[arg-type]
    hook, _ = waiting("lib_a")
    bench.write("lib_a")
    assert hook.find_spec("lib_a") is not None


def test_a_loader_shared_by_an_archive_reports_the_package_after_all_of_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "lib.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("lib_z/__init__.py", "from lib_z import sub\nlast = 1\n")
        file.writestr("lib_z/sub.py", "")
        file.writestr("lib_y.py", "")
    monkeypatch.syspath_prepend(archive)
    seen: list[tuple[str, bool]] = []
    names = ["lib_z", "lib_z.sub"]
    ImportHook(names, lambda name: seen.append((name, hasattr(sys.modules["lib_z"], "last")))).install()
    assert importlib.util.find_spec("lib_z") is not None
    importlib.import_module("lib_y")
    assert seen == []
    importlib.import_module("lib_z")
    assert seen == [("lib_z.sub", False), ("lib_z", True)]
