"""The house: arrows run downwards, no file imports in a circle, each name is in one place."""

from __future__ import annotations

import ast
import collections
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "compat_shim"
FILES = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {name.removesuffix(".__init__"): path for path, name in FILES.items()}
SOURCES = {path: path.read_text(encoding="utf-8") for path in FILES}
TREES = {path: ast.parse(source) for path, source in SOURCES.items()}

# Each room and those that it may import, besides itself. The small ones at the end everybody may.
MAY_IMPORT = {
    "commands": {"reports", "activation", "patching", "demo", "process", "shim"},
    "demo": {"", "out_variant"},
    "testing": {"reports", "out_variant"},
    "reports": {"calls", "out_variant", "patches", "patching", "activation", "release", "process"},
    "": {"shim", "activation", "patching", "out_variant", "reports", "extension"},
    "__main__": {"commands"},
    "shim": {"activation", "patches", "patching", "process"},
    "activation": {"", "patching", "process"},
    "patches": {"patching", "out_variant", "calls"},  # the last two by name, when a patch is applied
    "out_variant": {"calls", "patching", "process"},
    "calls": {"patching", "process"},
    "process": {"patching"},
    "patching": {"release"},
    "release": set(),
    "extension": set(),
    "env": set(),
    "screen": set(),
    "_version": set(),
}
EVERYBODY_MAY = {"env", "screen", "_version"}


def _room(module: str) -> str:
    return [*module.split("."), ""][1]


def _module(name: str) -> str | None:
    """The module of ours that a dotted name is, or is in."""
    while name.startswith("compat_shim"):
        if name in MODULES:
            return name
        name = name.rpartition(".")[0]
    return None


def _imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """The modules of ours that a file imports, typing-only imports aside."""
    for_typing = {
        id(inner)
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(TREES[path]):
        if id(node) in for_typing or not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        assert not getattr(node, "level", 0), f"{path}: a relative import"
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            found = _module(name)
            if found is not None:
                yield found, node


def _named(path: Path) -> Iterator[str]:
    """The modules of ours that a file names in strings: patch tables, and tables of public names made later."""
    package = MODULES.get("compat_shim", path).parent if path.name != "__init__.py" else path.parent
    dotted = ".".join(package.relative_to(ROOT).parts)
    consts = {
        target.id: node.value.value
        for node in TREES[path].body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "_LATER" for t in node.targets):
            assert isinstance(node.value, ast.Dict)
            for value in node.value.values:
                assert isinstance(value, ast.Constant)
                yield f"{dotted}.{value.value}"
    if _room(FILES[path]) == "patches":
        bases = [value for value in consts.values() if value.startswith("compat_shim.")]
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for base in ("", *bases):
                    name = (base + node.value).partition(":")[0]
                    if ":" in base + node.value and _module(name) == name:
                        yield name


@functools.cache
def _arrows() -> dict[str, set[str]]:
    arrows: dict[str, set[str]] = collections.defaultdict(set)
    for module, path in MODULES.items():
        for target, _ in _imports(path):
            arrows[module].add(target)
        arrows[module] |= {target for target in map(_module, _named(path)) if target is not None}
        arrows[module].discard(module)
    return arrows


def test_the_names_in_strings_are_followed() -> None:
    arrows = _arrows()
    assert "compat_shim.out_variant.lowering.create" in arrows["compat_shim.patches.lowering"]
    assert "compat_shim.calls.kernel_record" in arrows["compat_shim.patches.discovery"]
    assert "compat_shim.reports.explain" in arrows["compat_shim"]
    assert "compat_shim.out_variant.check" in arrows["compat_shim.out_variant"]


def test_no_file_imports_in_a_circle() -> None:
    arrows, done, path = _arrows(), set(), []

    def walk(module: str) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for target in sorted(arrows[module]):
            walk(target)
        path.pop()
        done.add(module)

    for module in MODULES:
        walk(module)


@pytest.mark.parametrize("module", MODULES)
def test_arrows_run_downwards(module: str) -> None:
    mine = _room(module)
    allowed = {mine, *MAY_IMPORT[mine], *EVERYBODY_MAY}
    assert {_room(target) for target in _arrows()[module]} <= allowed


def test_the_rooms_that_may_be_imported_are_below() -> None:
    done: list[str] = []

    def walk(room: str, above: tuple[str, ...]) -> None:
        assert room not in above, (*above, room)
        for other in MAY_IMPORT[room]:
            # The bootstrap folder's file imports the package: nothing imports that file.
            if (room, other) != ("activation", ""):
                walk(other, (*above, room))
        done.append(room)

    for room in MAY_IMPORT:
        walk(room, ())
    assert set(done) == set(MAY_IMPORT)


def test_every_module_that_a_string_names_exists_and_has_what_is_named() -> None:
    for path, source in SOURCES.items():
        if _room(FILES[path]) != "patches":
            continue
        base = re.search(r'^_OURS = "(.*)"', source, re.MULTILINE)
        for module, name in re.findall(r'"([a-z_]+(?:\.[a-z_]+)*):(\w+)"', source):
            whole = (base[1] if base else "") + module
            if whole in MODULES:
                assert re.search(rf"^(?:def|class) {name}\b", SOURCES[MODULES[whole]], re.MULTILINE), f"{whole}:{name}"


def test_each_base_name_is_used_once() -> None:
    # A patch table and a command may have the name of what they serve.
    seen = collections.Counter(
        path.stem
        for path in FILES
        if path.stem not in ("__init__", "__main__") and path.parent.name not in ("patches", "commands")
    )
    assert [name for name, count in seen.items() if count > 1] == []


def test_an_import_inside_a_function_has_its_reason_beside_it() -> None:
    inside = []
    for path, tree in TREES.items():
        lines = SOURCES[path].splitlines()
        for function in ast.walk(tree):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for node in ast.walk(function):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    first = node.lineno
                    while lines[first - 2].lstrip().startswith(("import ", "from ")):
                        first -= 1  # one reason for several
                    beside = lines[first - 2].lstrip().startswith("#") or "  # " in lines[node.lineno - 1]
                    assert beside, f"{path}:{node.lineno}: {lines[node.lineno - 1].strip()}"
                    inside.append((path, node.lineno))
    assert len(inside) <= 40


def test_no_file_and_no_function_is_long() -> None:
    for path, tree in TREES.items():
        assert len(SOURCES[path].splitlines()) <= 300, path
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 40, f"{path}: {node.name}"


def test_torch_comes_before_all_else_where_out_variants_begin() -> None:
    (first, *_) = [node for node in TREES[PACKAGE / "out_variant" / "__init__.py"].body if isinstance(node, ast.Import)]
    assert first.names[0].name == "torch"


def test_what_runs_before_torch_imports_no_torch_at_its_top() -> None:
    early = {"", "__main__", "_version", "activation", "commands", "env", "patches", "patching", "process", "shim"}
    for path, name in FILES.items():
        tops = [ast.unparse(node) for node in TREES[path].body if isinstance(node, (ast.Import, ast.ImportFrom))]
        if _room(name.removesuffix(".__init__")) in {*early, "release", "extension"}:
            assert not [text for text in tops if re.match(r"(import|from) torch\b", text)], path
