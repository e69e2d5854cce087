from __future__ import annotations

import functools
import json
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat_shim.patching import fingerprint
from compat_shim.patching.kinds import Wrap
from support.workbench import SOURCE, Bench, wrap

load = fingerprint.load.__wrapped__  # each test reads its own file, so the cache is left out


def hash_at(target: str) -> str:
    function = fingerprint.function_of(fingerprint.find(target))
    assert function is not None
    return fingerprint.hash_of(function)


def test_the_same_source_has_the_same_hash_in_another_module_and_place(bench: Bench) -> None:
    bench.load("lib_a")
    bench.load("lib_b", "# a comment that moves every line\n\n" + SOURCE)
    for name in ("plain", "Owner.method", "Owner.build", "Owner.check"):
        assert hash_at(f"lib_a:{name}") == hash_at(f"lib_b:{name}")


def test_a_change_in_a_body_changes_the_hash_of_that_function_only(bench: Bench) -> None:
    bench.load("lib_a")
    bench.load("lib_b", SOURCE.replace('["plain", x]', '["plain", x, x]'))
    assert hash_at("lib_a:plain") != hash_at("lib_b:plain")
    assert hash_at("lib_a:other") == hash_at("lib_b:other")


@pytest.mark.parametrize(
    "changed",
    [
        "def plain(y):\n    return 1\n",
        "def plain(x=None):\n    return 1\n",
        "def plain(x):\n    return 2\n",
        "import functools\n@functools.cache\ndef plain(x):\n    return 1\n",
    ],
)
def test_signature_body_and_decorators_all_count(bench: Bench, changed: str) -> None:
    bench.load("lib_a", "def plain(x):\n    return 1\n")
    module = bench.load("lib_b", changed)
    function = getattr(module.plain, "__wrapped__", module.plain)
    assert fingerprint.hash_of(function) != hash_at("lib_a:plain")


PLAIN = {
    "function": "def f(x):\n    return 1\n\n\ny = 1\n",
    "comments": "def f(x):\n    # one\n# two\n    return 1\n    # three\n\n# four\ny = 1\n",
    "signature of several lines": "def f(\n    x,\n    y=(1, 2),\n):\n    return 1\ny = 1\n",
    "decorators": "def d(g):\n    return g\n@d\n@d\ndef f(x):\n    return 1\n@d\ndef g(): ...\n",
    "one line": "def f(x): return 1\ny = 1\n",
    "at the end": "def f(x):\n    return 1",
}
MISLEADING = {
    "string": "def f(x):\n    return '''\ntext\n'''\ny = 1\n",
    "brackets": "def f(x):\n    return [\n1,\n]\ny = 1\n",
    "comment": "def f(x):\n        return 1\n    # not of the body\ny = 1\n",
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_an_expected_fingerprint_is_found_without_taking_the_source_apart(
    bench: Bench, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = bench.load("lib_a", text).f
    right = fingerprint.hash_of(function)
    monkeypatch.delattr("inspect.getblock")
    assert fingerprint.hash_of(function, right) == right


@pytest.mark.parametrize("text", {**PLAIN, **MISLEADING}.values(), ids={**PLAIN, **MISLEADING})
def test_what_is_expected_does_not_change_a_fingerprint(bench: Bench, text: str) -> None:
    function = bench.load("lib_a", text).f
    right = fingerprint.hash_of(function)
    changed = bench.load("lib_b", text.replace("1", "2").replace("text", "other")).f
    assert fingerprint.hash_of(function, right) == right
    assert fingerprint.hash_of(changed, right) == fingerprint.hash_of(changed) != right


def test_line_ends_trailing_space_and_depth_do_not_count(bench: Bench) -> None:
    bench.load("lib_a", "def f(x):\n    y = x\n    return y\n")
    bench.write("lib_b").write_bytes(b"def f(x):\r\n    y = x   \r\n    return y\r\n")
    bench.load("lib_c", "if True:\n    class C:\n        def f(x):\n            y = x\n            return y\n")
    __import__("lib_b")
    assert hash_at("lib_b:f") == hash_at("lib_a:f")
    assert hash_at("lib_c:C.f") == hash_at("lib_a:f")


def test_a_source_inside_an_archive_is_read(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as file:
        file.writestr("lib_z.py", SOURCE)
    monkeypatch.syspath_prepend(tmp_path / "lib.zip")
    __import__("lib_z")
    bench.load("lib_a")
    assert hash_at("lib_z:plain") == hash_at("lib_a:plain")


def test_a_foreign_patch_with_functools_wraps_does_not_pass_for_the_original(bench: Bench) -> None:
    module = bench.load("lib_a")
    before = hash_at("lib_a:plain")

    @functools.wraps(module.plain)
    def theirs(x: Any) -> Any:
        return "theirs"

    module.plain = theirs
    assert fingerprint.function_of(theirs) is theirs
    assert hash_at("lib_a:plain") != before
    assert fingerprint.defined_in(theirs) == __name__


def function_in(module: str, source: str) -> types.FunctionType:
    names: dict[str, Any] = {"__name__": module}
    exec(source, names)
    return names["f"]  # type: ignore[no-any-return]


def test_only_a_wrapper_of_torch_itself_is_opened() -> None:
    def original() -> None: ...

    for module, expected in (("torch._inductor.utils", original), ("torchvision.ops", None), ("torch_ext", None)):
        wrapper = function_in(module, "def f(): ...")
        wrapper.__wrapped__ = original  # type: ignore[attr-defined]
        assert fingerprint.function_of(wrapper) is (expected or wrapper)


def test_beneath_our_replacement_is_the_function_that_was_there(bench: Bench) -> None:
    module = bench.load("lib_a")
    originals = [module.plain, vars(module.Owner)["build"].__func__]
    undos = [wrap("lib_a:plain").apply(), wrap("lib_a:Owner.build").apply()]
    assert fingerprint.function_of(vars(module)["plain"]) is originals[0]
    assert fingerprint.function_of(vars(module.Owner)["build"]) is originals[1]
    for undo in undos:
        undo()


@pytest.mark.parametrize("raw", [3, print, object(), functools.partial(print), property(lambda self: 1), dict])
def test_what_is_no_python_function_has_none(raw: Any) -> None:
    assert fingerprint.function_of(raw) is None


def test_code_without_a_source_file_is_unverifiable() -> None:
    with pytest.raises(fingerprint.Unverifiable, match="<string>"):
        fingerprint.hash_of(function_in("lib_a", "def f(): ..."))


@pytest.mark.parametrize(
    "text",
    ["", "def g():\n    return 1\n", "def f(:\n", "def f(x):\n    return g(\n", "'''no end", "\n" * 100],
    ids=["empty", "another function", "bad syntax", "open bracket", "open string", "blank"],
)
def test_a_file_that_no_longer_holds_the_function_is_unverifiable(bench: Bench, text: str) -> None:
    module = bench.load("lib_a", "def f(x):\n    return 1\n")
    bench.write("lib_a", text)
    with pytest.raises(fingerprint.Unverifiable):
        fingerprint.hash_of(module.f)


def test_a_file_that_is_gone_is_unverifiable(bench: Bench) -> None:
    module = bench.load("lib_a")
    bench.write("lib_a").unlink()
    with pytest.raises(fingerprint.Unverifiable, match="no source file"):
        fingerprint.hash_of(module.plain)


def test_find_gives_the_raw_object_that_the_class_itself_holds(bench: Bench) -> None:
    module = bench.load("lib_a")
    assert fingerprint.find("lib_a:Owner.build") is vars(module.Owner)["build"]
    assert isinstance(fingerprint.find("lib_a:Owner.check"), staticmethod)
    assert fingerprint.find_owner("lib_a:Owner.build") == (module.Owner, "build")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("lib_nowhere:f", "lib_nowhere is not imported"),
        ("lib_a:nothing", "lib_a:nothing does not exist"),
        ("lib_a:Nobody.f", "lib_a has no Nobody"),
        ("lib_a:Child.build", "lib_a:Child.build does not exist"),
    ],
)
def test_what_is_not_there_or_only_inherited_is_a_lookup_error(bench: Bench, target: str, message: str) -> None:
    bench.load("lib_a")
    with pytest.raises(LookupError, match=message):
        fingerprint.find(target)


def test_record_imports_the_modules_and_notes_what_is_absent(bench: Bench) -> None:
    bench.write("lib_a")
    found = fingerprint.record(["lib_a:plain", "lib_a:Owner.build", "lib_a:nothing", "lib_nowhere:f", "lib_a:Owner"])
    assert found == {
        "lib_a:plain": hash_at("lib_a:plain"),
        "lib_a:Owner.build": hash_at("lib_a:Owner.build"),
        "lib_a:nothing": None,
        "lib_nowhere:f": None,
        "lib_a:Owner": None,
    }


def test_a_good_file_is_read(tmp_path: Path) -> None:
    targets = {"lib_a:plain": {"2.10.0": "0123", "2.11.0": None}}
    file = tmp_path / "prints.json"
    file.write_text(json.dumps({"targets": targets}))
    assert load(file) == targets


def test_the_file_of_this_package_is_read() -> None:
    targets = load(fingerprint.FILE)
    assert targets
    assert all(":" in target for target in targets)


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"{'targets': }",
    "not text": b"\xff\xfe\x00{",
    "a list": b"[]",
    "a number": b"3",
    "no targets": b"{}",
    "targets are a list": b'{"targets": []}',
    "a target is no table": b'{"targets": {"a:b": "0123"}}',
    "a hash is a number": b'{"targets": {"a:b": {"2.10.0": 3}}}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "prints.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"fingerprint file .*prints.json is broken"):
        load(file)


def test_a_missing_file_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"fingerprint file .*nowhere.json is broken"):
        load(tmp_path / "nowhere.json")


def test_two_functions_that_share_code_but_not_source_text_differ(bench: Bench) -> None:
    bench.load("lib_a", "def f(x):\n    return x\n")
    bench.load("lib_b", "def f(x):\n    # changed\n    return x\n")
    assert hash_at("lib_a:f") != hash_at("lib_b:f")


def test_a_replacement_of_ours_is_known_by_itself_and_not_by_an_attribute(bench: Bench) -> None:
    module = bench.load("lib_a")
    patch: Wrap = wrap("lib_a:plain")
    undo = patch.apply()
    ours: Callable[..., Any] = module.plain
    theirs = functools.wraps(ours)(lambda x: ours(x))
    assert fingerprint.function_of(theirs) is theirs
    undo()
