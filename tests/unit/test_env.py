from __future__ import annotations

import os
from pathlib import Path

import pytest

from compat_shim import env


def test_without_variables_everything_is_on_and_warns() -> None:
    settings = env.read({})
    assert (settings.mode, settings.features, settings.log) == ("auto", env.FEATURE_IDS, "warn")
    assert settings.problems == ()


@pytest.mark.parametrize("value", ["auto", "off", "strict"])
def test_each_mode_is_read(value: str) -> None:
    settings = env.read({"COMPAT_SHIM": value})
    assert settings.mode == value
    assert settings.problems == ()


@pytest.mark.parametrize("value", ["quiet", "warn", "debug"])
def test_each_log_level_is_read(value: str) -> None:
    settings = env.read({"COMPAT_SHIM_LOG": value})
    assert settings.log == value
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("values", "expected", "wrong"),
    [
        (("", "0", "false", "no", "off", "False", "OFF"), False, 0),
        (("1", "true", "yes", "on", "True", " ON "), True, 0),
        (("2", "y", "maybe"), False, 1),
    ],
)
def test_the_check_of_kernels_is_off_unless_asked_for(values: tuple[str, ...], expected: bool, wrong: int) -> None:
    for value in values:
        settings = env.read({"COMPAT_SHIM_CHECK": value})
        assert (settings.check, len(settings.problems)) == (expected, wrong), value


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("COMPAT_SHIM_CHEK", "did you mean COMPAT_SHIM_CHECK?"),
        ("COMPAT_SHIM_pairs", "did you mean COMPAT_SHIM_PAIR?"),
        ("COMPAT_SHIM_FOO", "there are COMPAT_SHIM and COMPAT_SHIM_FEATURES, _LOG, _CHECK, _CALLS, _PAIR, _IMPORT"),
    ],
)
def test_an_unknown_variable_is_a_problem_with_the_nearest_name(name: str, meant: str) -> None:
    settings = env.read({name: "1", "COMPAT_SHIM_LOG": "quiet"})
    assert settings.problems == (f"{name} is no variable of compat_shim, and counts for nothing; {meant}",)


def test_the_variables_that_the_shim_knows_are_no_problem() -> None:
    values = {setting.name: setting.default for setting in env.SETTINGS}
    assert env.read({**values, env.ROUTE: "run", "COMPAT_SHIMMER": "1"}).problems == ()


def test_an_unknown_variable_is_among_those_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_SHIM_CHEK", "1")
    assert env.given()["COMPAT_SHIM_CHEK"] == "1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", env.FEATURE_IDS),
        ("all", env.FEATURE_IDS),
        ("none", ()),
        ("tag", ("tag",)),
        ("discovery", ("discovery",)),
        ("lowering,tag", ("tag", "lowering")),
        (" Lowering , TAG ,, tag", ("tag", "lowering")),
        (" ALL ", env.FEATURE_IDS),
    ],
)
def test_features_are_read_in_the_order_in_which_they_are_applied(text: str, expected: tuple[str, ...]) -> None:
    settings = env.read({"COMPAT_SHIM_FEATURES": text})
    assert settings.features == expected
    assert settings.problems == ()


def test_case_and_surrounding_space_do_not_matter() -> None:
    settings = env.read({"COMPAT_SHIM": " Strict ", "COMPAT_SHIM_LOG": "DEBUG\n"})
    assert (settings.mode, settings.log, settings.problems) == ("strict", "debug", ())


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_an_unset_one(value: str) -> None:
    settings = env.read({"COMPAT_SHIM": value, "COMPAT_SHIM_LOG": value, "COMPAT_SHIM_FEATURES": value})
    assert (settings.mode, settings.features, settings.log) == ("auto", env.FEATURE_IDS, "warn")
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("COMPAT_SHIM", "0", ("auto", "off", "strict")),
        ("COMPAT_SHIM", "disabled", ("auto", "off", "strict")),
        ("COMPAT_SHIM_LOG", "verbose", ("quiet", "warn", "debug")),
        ("COMPAT_SHIM_FEATURES", "inlining", ("all", "none", *env.FEATURE_IDS)),
        ("COMPAT_SHIM_FEATURES", "all,inlining", ("all", "none", *env.FEATURE_IDS)),
    ],
)
def test_an_unknown_value_is_one_problem_that_names_the_allowed_ones(
    name: str, value: str, allowed: tuple[str, ...]
) -> None:
    (problem,) = env.read({name: value}).problems
    assert name in problem
    assert value.rpartition(",")[2] in problem
    assert all(word in problem for word in allowed)


def test_an_unknown_word_counts_as_the_default() -> None:
    settings = env.read({"COMPAT_SHIM": "on", "COMPAT_SHIM_LOG": "loud"})
    assert (settings.mode, settings.log) == ("auto", "warn")
    assert len(settings.problems) == 2


def test_an_unknown_feature_turns_no_feature_on_or_off() -> None:
    assert env.read({"COMPAT_SHIM_FEATURES": "tag,inlining"}).features == ("tag",)
    assert env.read({"COMPAT_SHIM_FEATURES": "inlining"}).features == ()


def test_all_and_none_stand_alone() -> None:
    settings = env.read({"COMPAT_SHIM_FEATURES": "none,tag"})
    assert settings.features == ("tag",)
    assert len(settings.problems) == 1


def test_the_process_environment_is_what_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_SHIM", "strict")
    monkeypatch.setenv("COMPAT_SHIM_FEATURES", "tag")
    monkeypatch.setenv("COMPAT_SHIM_LOG", "quiet")
    settings = env.read()
    assert (settings.mode, settings.features, settings.log) == ("strict", ("tag",), "quiet")


def test_the_docs_have_every_variable_and_value() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    for word in (*env.NAMES, *env.MODES, *env.LOG_LEVELS, "all", "none"):
        assert f"`{word}`" in page


def test_every_default_is_one_of_the_values() -> None:
    assert [setting.name for setting in env.SETTINGS if setting.default not in setting.values] == []


@pytest.mark.parametrize(
    ("text", "expected", "wrong"),
    [
        ("", (), ""),
        (" a , b::op,,b::op.x ,a", ("a", "b::op", "b::op.x"), ""),
        ("a::f=b::f_out,a::f.x = a::f.x_out", ("a::f=b::f_out", "a::f.x = a::f.x_out"), ""),
        ("a,b::,::c,d:e,f=g,h::i=j,k-l", ("a",), "'b::', '::c', 'd:e', 'f=g', 'h::i=j', 'k-l'"),
    ],
)
def test_pairs_are_namespaces_ops_and_pairs_of_ops(text: str, expected: tuple[str, ...], wrong: str) -> None:
    settings = env.read({"COMPAT_SHIM_PAIR": text})
    assert settings.pairs == expected
    assert [f"names {wrong}, which is not a namespace" in problem for problem in settings.problems] == [True] * bool(
        wrong
    )


def test_imports_are_separated_as_in_path() -> None:
    assert env.read({"COMPAT_SHIM_IMPORT": f"a.b{os.pathsep}{os.pathsep}/c/d.py"}).imports == ("a.b", "/c/d.py")
    assert env.read({}).imports == ()
