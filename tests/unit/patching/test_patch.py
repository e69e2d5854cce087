from __future__ import annotations

import contextlib
import dataclasses
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from compat_shim.patching.add_tag import AddTag
from compat_shim.patching.kinds import Add, AddModule
from compat_shim.patching.patch import Feature, Verdict
from support.workbench import SOURCE, Bench, wrap


def add(target: str, make: Any = "ours") -> Add:
    return Add("add", target, "a test", "#1", make=make)


def add_module(target: str) -> AddModule:
    return AddModule("module", target, "a test", "#1", make=ModuleType)


@pytest.mark.parametrize(
    ("target", "call", "before"),
    [
        ("lib_a:plain", lambda module: module.plain(1), ["plain", 1]),
        ("lib_a:Owner.method", lambda module: module.Owner().method(1), ["method", 1]),
        ("lib_a:Owner.build", lambda module: module.Owner.build(1), ["Owner", 1]),
        ("lib_a:Owner.build", lambda module: module.Child.build(1), ["Child", 1]),
        ("lib_a:Owner.build", lambda module: module.Owner().build(1), ["Owner", 1]),
        ("lib_a:Owner.check", lambda module: module.Owner.check(1), ["check", 1]),
        ("lib_a:Owner.check", lambda module: module.Owner().check(x=1), ["check", 1]),
    ],
)
def test_wrap_wraps_each_kind_of_function_and_undoes_it_exactly(
    bench: Bench, target: str, call: Callable[[ModuleType], Any], before: list[Any]
) -> None:
    module = bench.load("lib_a")
    owner = module.Owner if "." in target else module
    name = target.rpartition(":")[2].rpartition(".")[2]
    raw = vars(owner)[name]
    patch = wrap(target)
    assert patch.look().verdict is Verdict.APPLIED
    undo = patch.apply()
    assert call(module) == [*before, "ours"]
    assert type(vars(owner)[name]) is type(raw)
    undo()
    assert vars(owner)[name] is raw
    assert call(module) == before


def test_bindings_of_a_wrapped_function_in_other_modules_are_replaced_and_put_back(bench: Bench) -> None:
    module = bench.load("lib_a")
    raw = module.plain
    early, other = bench.load("lib_early", "from lib_a import plain\n"), bench.load("lib_other", "def plain(x): ...\n")
    theirs = other.plain
    patch = dataclasses.replace(
        wrap("lib_a:plain"), bindings=("lib_early:plain", "lib_late:plain", "lib_other:plain", "lib_missing:plain")
    )
    undo = patch.apply()
    late = bench.load("lib_late", "from lib_a import plain\n")  # takes what is there
    assert early.plain is late.plain is module.plain
    assert early.plain(1) == ["plain", 1, "ours"]
    assert other.plain is theirs  # a function of its own
    undo()
    assert early.plain is late.plain is module.plain is raw
    assert other.plain is theirs


def test_a_wrapper_carries_names_and_signature_of_the_original_but_not_its_wrapped_mark(bench: Bench) -> None:
    module = bench.load("lib_a", 'def plain(x, *, more=()):\n    "Text."\n    return [x]\n')
    signature = inspect.signature(module.plain)
    undo = wrap("lib_a:plain").apply()
    assert (module.plain.__name__, module.plain.__module__, module.plain.__doc__) == ("plain", "lib_a", "Text.")
    assert inspect.signature(module.plain) == signature
    assert not hasattr(module.plain, "__wrapped__")
    undo()


def test_wraps_on_one_target_undone_in_turn_give_back_the_original(bench: Bench) -> None:
    module = bench.load("lib_a")
    raw = vars(module.Owner)["build"]
    undos = [wrap("lib_a:Owner.build", word).apply() for word in ("first", "second")]
    assert module.Owner.build(1) == ["Owner", 1, "first", "second"]
    for undo in reversed(undos):
        undo()
    assert vars(module.Owner)["build"] is raw


def test_undo_leaves_what_somebody_else_put_there_and_says_so(bench: Bench) -> None:
    module = bench.load("lib_a")
    undo = wrap("lib_a:plain").apply()
    ours = module.plain
    theirs = module.plain = lambda x: [*ours(x), "theirs"]
    with pytest.raises(RuntimeError, match="plain was replaced by somebody else"):
        undo()
    assert module.plain is theirs
    assert module.plain(1) == ["plain", 1, "theirs"]


@pytest.mark.parametrize("target", ["lib_a:nothing", "lib_a:Nobody.method", "lib_a:Child.method", "lib_nowhere:f"])
def test_wrap_finds_a_missing_or_inherited_target_drifted(bench: Bench, target: str) -> None:
    bench.load("lib_a")
    finding = wrap(target).look()
    assert finding.verdict is Verdict.DRIFTED
    assert target in finding.expected
    assert finding.found.startswith("nothing: ")


def test_wrap_finds_something_that_is_no_function_a_foreign_patch(bench: Bench) -> None:
    module = bench.load("lib_a")
    module.plain = 3
    finding = wrap("lib_a:plain").look()
    assert (finding.verdict, finding.expected, finding.found) == (
        Verdict.FOREIGN_PATCH,
        "a function lib_a:plain",
        "a int",
    )


def test_add_adds_what_is_missing_and_takes_it_away_again(bench: Bench) -> None:
    module = bench.load("lib_a")
    for target, owner in (("lib_a:new", module), ("lib_a:Owner.new", module.Owner)):
        before = set(vars(owner))
        assert add(target).look().verdict is Verdict.APPLIED
        undo = add(target).apply()
        assert owner.new == "ours"
        undo()
        assert set(vars(owner)) == before


def test_add_over_an_inherited_name_uncovers_it_again(bench: Bench) -> None:
    module = bench.load("lib_a")
    assert add("lib_a:Child.method").look().verdict is Verdict.APPLIED
    undo = add("lib_a:Child.method").apply()
    assert module.Child.method == "ours"
    undo()
    assert module.Child.method is module.Owner.method


def test_add_finds_what_is_there_native(bench: Bench) -> None:
    bench.load("lib_a")
    assert add("lib_a:plain").look().verdict is Verdict.NATIVE
    assert add("lib_a:Owner.build").look().verdict is Verdict.NATIVE


def test_add_without_a_place_is_drifted(bench: Bench) -> None:
    bench.load("lib_a")
    finding = add("lib_a:Nobody.new").look()
    assert (finding.verdict, finding.expected) == (Verdict.DRIFTED, "a place for lib_a:Nobody.new")
    assert "lib_a has no Nobody" in finding.found


def test_undoing_an_add_leaves_somebody_elses_value(bench: Bench) -> None:
    module = bench.load("lib_a")
    undo = add("lib_a:new").apply()
    module.new = "theirs"
    with pytest.raises(RuntimeError, match="new was replaced"):
        undo()
    assert module.new == "theirs"


def test_a_module_is_added_and_taken_away_again(bench: Bench) -> None:
    package = bench.load("lib_p.__init__", "") and sys.modules["lib_p"]
    patch = add_module("lib_p:new")
    assert patch.look().verdict is Verdict.APPLIED
    undo = patch.apply()
    import lib_p.new  # type: ignore[import-not-found]

    assert lib_p.new is sys.modules["lib_p.new"] is package.new
    assert lib_p.new.__name__ == "lib_p.new"
    undo()
    assert "lib_p.new" not in sys.modules
    assert not hasattr(package, "new")


@pytest.mark.parametrize("imported", [True, False])
def test_a_module_that_exists_is_native_whether_imported_or_not(bench: Bench, imported: bool) -> None:
    bench.write("lib_p.new", "value = 1\n")
    bench.load("lib_p.__init__", "from lib_p import new\n" if imported else "")
    assert add_module("lib_p:new").look().verdict is Verdict.NATIVE
    assert sys.modules["lib_p.new"].value == 1


def test_a_module_whose_own_imports_are_missing_is_not_taken_for_a_missing_one(bench: Bench) -> None:
    bench.write("lib_p.new", "import lib_nowhere\n")
    bench.load("lib_p.__init__", "")
    with pytest.raises(ModuleNotFoundError, match="lib_nowhere"):
        add_module("lib_p:new").look()


def test_a_patch_waits_for_the_modules_that_it_names_each_once() -> None:
    patch = wrap("lib_a:f", relies_on=("lib_b:g", "lib_a:h", "lib_b:i"))
    assert patch.modules == ("lib_a", "lib_b")


def test_a_wrap_is_fingerprinted_with_its_target_and_an_add_without() -> None:
    assert wrap("lib_a:f", relies_on=("lib_b:g",)).fingerprinted() == ("lib_a:f", "lib_b:g")
    assert Add("a", "lib_a:f", "", "", relies_on=("lib_b:g",)).fingerprinted() == ("lib_b:g",)


def test_a_feature_names_its_modules_and_functions_once() -> None:
    both = Feature("f", "", (wrap("lib_a:f", relies_on=("lib_b:g",)), wrap("lib_b:g")))
    assert both.modules() == ("lib_a", "lib_b")
    assert both.fingerprinted() == ("lib_a:f", "lib_b:g")


def test_only_native_and_applied_are_good() -> None:
    assert {verdict for verdict in Verdict if verdict.good} == {Verdict.NATIVE, Verdict.APPLIED}


@pytest.mark.parametrize("kind", ["wrap", "add", "module"])
def test_the_undo_of_a_change_is_there_before_it_and_harmless_without_it(bench: Bench, kind: str) -> None:
    bench.load("lib_p.__init__", SOURCE)
    module = sys.modules["lib_p"]
    patch = {"wrap": wrap("lib_p:plain"), "add": add("lib_p:new"), "module": add_module("lib_p:new")}[kind]
    before, modules = dict(vars(module)), dict(sys.modules)
    do, undo = patch.change()
    assert (dict(vars(module)), sys.modules) == (before, modules)
    undo()
    assert (dict(vars(module)), sys.modules) == (before, modules)
    do()
    assert dict(vars(module)) != before
    for _ in range(2):
        undo()
        assert (dict(vars(module)), sys.modules) == (before, modules)


def test_undo_is_content_with_an_original_that_somebody_has_put_back(bench: Bench) -> None:
    module = bench.load("lib_a")
    before = module.plain
    undo = wrap("lib_a:plain").apply()
    module.plain = before
    undo()
    assert module.plain is before


ENUM = """
class Kind(type):
    def __setattr__(cls, name, value):
        if interrupts:
            raise KeyboardInterrupt(interrupts.pop())
        super().__setattr__(name, value)


class Tag(int, metaclass=Kind):
    __members__ = {}


type.__setattr__(Tag, "__entries", {})
interrupts = []
"""


@pytest.mark.parametrize("interrupts", [0, 1])
def test_a_tag_is_taken_away_however_far_an_interrupt_let_it_come(bench: Bench, interrupts: int) -> None:
    module = bench.load("lib_a", ENUM)
    before = dict(vars(module.Tag))
    do, undo = AddTag(id="tag", target="lib_a:Tag.out", why="a test", upstream="#1", value=7).change()
    module.interrupts[:] = ["Ctrl-C"] * interrupts
    with pytest.raises(KeyboardInterrupt) if interrupts else contextlib.nullcontext():
        do()
    entries = vars(module.Tag)["__entries"]
    assert entries["out"][0] == 7
    undo()
    assert entries == {}
    assert dict(vars(module.Tag)) == before
