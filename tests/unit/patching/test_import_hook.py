from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import pytest

from compat_shim.patching.import_hook import ImportHook
from support.workbench import Bench, waiting


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


def test_a_spec_that_cannot_be_watched_is_left_as_it_is(bench: Bench) -> None:
    class Slots:
        __slots__ = ("_initializing", "name")

    module = bench.load("lib_a")
    module.__spec__ = spec = Slots()  # type: ignore[assignment]
    spec._initializing = True
    _, seen = waiting("lib_a")
    assert seen == []
    assert type(spec) is Slots
