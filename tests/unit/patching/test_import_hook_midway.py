"""The import hook and imports that have begun, here or in another thread."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any

import pytest

from compat_shim.patching.import_hook import ImportHook
from support.workbench import Bench, waiting


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
