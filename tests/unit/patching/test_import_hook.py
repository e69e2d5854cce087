from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import zipfile
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from compat_shim.patching.import_hook import ImportHook

from ..helpers import Bench


def waiting(*names: str) -> tuple[ImportHook, list[str]]:
    """An installed hook, and the list to which it adds each name it is called for."""
    seen: list[str] = []
    hook = ImportHook(names, seen.append)
    hook.install()
    return hook, seen


def test_the_callback_comes_after_the_code_of_the_module_has_run(bench: Bench) -> None:
    bench.write("lib_a", "value = 1\nlast = 2\n")
    seen: list[dict[str, Any]] = []
    ImportHook(["lib_a"], lambda name: seen.append(dict(vars(sys.modules[name])))).install()
    importlib.import_module("lib_a")
    (names,) = seen
    assert (names["value"], names["last"]) == (1, 2)


def test_a_module_imported_before_is_not_reported(bench: Bench) -> None:
    bench.load("lib_a")
    _, seen = waiting("lib_a")
    importlib.import_module("lib_a")
    assert seen == []


def test_only_the_named_modules_are_reported(bench: Bench) -> None:
    _, seen = waiting("lib_b")
    bench.load("lib_a")
    bench.load("lib_b")
    assert seen == ["lib_b"]


def test_submodules_are_reported_by_their_full_name(bench: Bench) -> None:
    bench.write("lib_p.__init__", "")
    bench.write("lib_p.sub", "")
    _, seen = waiting("lib_p.sub", "lib_p")
    importlib.import_module("lib_p.sub")
    assert seen == ["lib_p", "lib_p.sub"]


def test_the_loader_is_the_genuine_object_and_nothing_is_left_on_it(bench: Bench) -> None:
    waiting("lib_a")
    module = bench.load("lib_a")
    plain = bench.load("lib_b")
    assert module.__spec__ is not None
    assert type(module.__loader__) is SourceFileLoader
    assert module.__spec__.loader is module.__loader__
    assert vars(module.__loader__).keys() == vars(plain.__loader__).keys()
    assert module.__spec__.origin == module.__file__


def test_asking_for_a_spec_does_not_use_up_the_hook(bench: Bench) -> None:
    bench.write("lib_a")
    _, seen = waiting("lib_a")
    assert importlib.util.find_spec("lib_a") is not None
    assert importlib.util.find_spec("lib_a") is not None
    assert seen == []
    importlib.import_module("lib_a")
    assert seen == ["lib_a"]


def test_a_failed_import_is_not_reported_and_the_next_one_is(bench: Bench) -> None:
    bench.write("lib_a", "raise RuntimeError('first try')")
    _, seen = waiting("lib_a")
    with pytest.raises(RuntimeError, match="first try"):
        importlib.import_module("lib_a")
    assert seen == []
    module = bench.load("lib_a", "value = 1")
    assert seen == ["lib_a"]
    assert "exec_module" not in vars(module.__loader__)


def test_a_module_that_is_missing_is_missing_as_without_the_hook(bench: Bench) -> None:
    _, seen = waiting("lib_missing")
    with pytest.raises(ModuleNotFoundError, match="lib_missing"):
        importlib.import_module("lib_missing")
    assert seen == []


def test_the_callback_fires_once(bench: Bench) -> None:
    _, seen = waiting("lib_a")
    module = bench.load("lib_a")
    importlib.import_module("lib_a")
    importlib.reload(module)
    del sys.modules["lib_a"]
    importlib.import_module("lib_a")
    assert seen == ["lib_a"]


def test_a_callback_that_raises_fails_the_import_and_leaves_nothing_behind(bench: Bench) -> None:
    def callback(name: str) -> None:
        raise LookupError("from the callback")

    bench.write("lib_a")
    ImportHook(["lib_a"], callback).install()
    with pytest.raises(LookupError, match="from the callback"):
        importlib.import_module("lib_a")
    assert "lib_a" not in sys.modules
    assert "exec_module" not in vars(importlib.import_module("lib_a").__loader__)


def test_an_interrupted_callback_fails_the_import_and_is_called_by_the_next(bench: Bench) -> None:
    seen: list[str] = []

    def callback(name: str) -> None:
        seen.append(name)
        if len(seen) == 1:
            raise KeyboardInterrupt

    bench.write("lib_a")
    ImportHook(["lib_a"], callback).install()
    with pytest.raises(KeyboardInterrupt):
        importlib.import_module("lib_a")
    assert "lib_a" not in sys.modules
    for _ in range(2):
        importlib.import_module("lib_a")
    assert seen == ["lib_a"] * 2


def test_two_hooks_on_one_module_both_fire(bench: Bench) -> None:
    _, first = waiting("lib_a")
    _, second = waiting("lib_a")
    module = bench.load("lib_a")
    assert (first, second) == (["lib_a"], ["lib_a"])
    assert "exec_module" not in vars(module.__loader__)


def test_a_removed_hook_reports_nothing(bench: Bench) -> None:
    hook, seen = waiting("lib_a")
    hook.remove()
    assert hook not in sys.meta_path
    bench.load("lib_a")
    assert seen == []


def test_a_hook_removed_while_the_module_runs_reports_nothing(bench: Bench) -> None:
    hook, seen = waiting("lib_a")
    gate = ModuleType("lib_gate")
    gate.remove = hook.remove  # type: ignore[attr-defined]
    sys.modules["lib_gate"] = gate
    bench.load("lib_a", "import lib_gate; lib_gate.remove()")
    assert seen == []


def test_installing_twice_installs_once(bench: Bench) -> None:
    hook, _ = waiting("lib_a")
    hook.install()
    assert sys.meta_path.count(hook) == 1  # type: ignore[arg-type]


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


def test_two_threads_that_import_one_module_get_one_callback(bench: Bench) -> None:
    bench.write("lib_a", "import time; time.sleep(0.02)")
    _, seen = waiting("lib_a")
    threads = [threading.Thread(target=importlib.import_module, args=("lib_a",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["lib_a"]


HALF = "import lib_gate\nlib_gate.at_half()\nlast = 2\n"


def at_half(bench: Bench, at: Callable[[], None]) -> None:
    """Makes ``lib_a``, in the midst of whose code ``at`` is called."""
    bench.load("lib_gate").at_half = at  # type: ignore[attr-defined]
    bench.write("lib_a", HALF)


def test_a_module_whose_import_has_begun_is_reported_when_its_code_has_run(bench: Bench) -> None:
    seen: list[dict[str, Any]] = []
    hook = ImportHook(["lib_a"], lambda name: seen.append(dict(vars(sys.modules[name]))))
    at_half(bench, hook.install)
    module = importlib.import_module("lib_a")
    assert [names["last"] for names in seen] == [2]
    assert type(module.__spec__) is ModuleSpec
    assert module.__spec__._initializing is False  # type: ignore[attr-defined]
    importlib.reload(module)
    assert len(seen) == 1


def test_in_another_thread_it_is_reported_before_that_import_returns(bench: Bench) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        begun.set()
        go_on.wait(10)

    at_half(bench, pause)
    seen: list[int] = []
    after: list[list[int]] = []

    def load() -> None:
        importlib.import_module("lib_a")
        after.append(list(seen))

    thread = threading.Thread(target=load)
    thread.start()
    assert begun.wait(10)
    ImportHook(["lib_a"], lambda name: seen.append(threading.get_ident())).install()
    assert seen == []
    go_on.set()
    thread.join(10)
    assert after == [[thread.ident]]


def test_two_hooks_that_come_in_the_midst_both_fire_and_a_removed_one_does_not(bench: Bench) -> None:
    seen: list[str] = []
    hooks = [ImportHook(["lib_a"], lambda name, word=word: seen.append(word)) for word in ("a", "b", "removed")]

    def install() -> None:
        for hook in hooks:
            hook.install()
        hooks[2].remove()

    at_half(bench, install)
    assert type(importlib.import_module("lib_a").__spec__) is ModuleSpec
    assert sorted(seen) == ["a", "b"]


def test_a_half_done_import_that_fails_is_waited_for_again(bench: Bench) -> None:
    seen: list[str] = []
    hook = ImportHook(["lib_a"], seen.append)

    def fail() -> None:
        hook.install()
        raise OSError("first try")

    at_half(bench, fail)
    with pytest.raises(OSError, match="first try"):
        importlib.import_module("lib_a")
    assert seen == []
    sys.modules["lib_gate"].at_half = lambda: None  # type: ignore[attr-defined]
    importlib.import_module("lib_a")
    assert seen == ["lib_a"]


def test_an_import_that_ends_while_its_spec_is_taken_is_reported_once(bench: Bench) -> None:
    module = bench.load("lib_a")
    spec = module.__spec__
    assert spec is not None

    class Ending(ModuleSpec):
        """Says that the import goes on, and it has ended by the time it is watched."""

        @property
        def _initializing(self) -> bool:
            return True

    spec.__class__ = Ending
    _, seen = waiting("lib_a")
    assert seen == ["lib_a"]
    assert type(spec) is Ending


def test_a_spec_that_cannot_be_watched_is_left_as_it_is(bench: Bench) -> None:
    class Slots:
        __slots__ = ("_initializing", "name")

    module = bench.load("lib_a")
    module.__spec__ = spec = Slots()  # type: ignore[assignment]
    spec._initializing = True
    _, seen = waiting("lib_a")
    assert seen == []
    assert type(spec) is Slots
