"""What the papers say of the project: links, lengths, generated parts, and the releases that are named by hand."""

from __future__ import annotations

import importlib.util
import itertools
import re
from pathlib import Path
from types import ModuleType

import pytest
from packaging.version import Version

from compat_shim.reports import release_table

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
PAGES += [ROOT / "examples" / "README.md", ROOT / "benchmarks" / "results" / "README.md"]
MINORS = list(dict.fromkeys(".".join(release.split(".")[:2]) for release in release_table.releases()))
FACTORS = [minor.replace(".", "") for minor in MINORS]


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"`((?:compat_shim|tests|docs|tools|examples|benchmarks)/[\w./-]+)`", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_is_one_screen() -> None:
    assert len(_read("README.md").splitlines()) <= 110


def test_the_readme_begins_with_the_two_commands() -> None:
    assert "\npip install tox && tox run -e demo\npip install tox && tox\n" in _read("README.md")[:1500]


def _docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tools_docs", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_tables_are_up_to_date() -> None:
    docs = _docs()
    for name, (page, make) in docs.PARTS.items():
        assert docs.part(page, name) == make(), f"run tools/docs.py: {page}"


def test_each_place_that_names_releases_names_the_tested_ones() -> None:
    first, last = release_table.span()
    tox = _read("tox.ini")
    listed = re.search(r"^    torch\{([\d, ]+)\}$", tox, re.MULTILINE)
    assert listed is not None
    assert re.split(", ", listed[1]) == FACTORS
    labelled = re.search(r"fuzz-releases = fuzz-torch\{([\d, ]+)\}", tox)
    assert labelled is not None
    assert re.split(", ", labelled[1]) == FACTORS
    for minor, factor in zip(MINORS, FACTORS):
        assert f"!first-torch{factor}: torch == {minor}.*" in tox
    newest = re.findall(r"torch\{(?:26, )?210, (\d+)\}", tox)
    assert newest
    assert set(newest) == {FACTORS[-1]}
    (others,) = re.findall(r"torch\{([\d, ]+)\}: pytest -m \"not processes\"", tox)
    assert re.split(", ", others) == [factor for factor in FACTORS if factor not in ("26", "210", FACTORS[-1])]
    assert f"{first} to {last}" in _read("examples/README.md")
    workflow = re.search(r"torch: \[(.*)\]", _read(".github/workflows/ci.yml"))
    assert workflow is not None
    assert re.findall(r'"(\d+)"', workflow[1]) == FACTORS
    project = _read("pyproject.toml")
    upper = Version(last)
    assert f'"torch>={first},<{upper.major}.{upper.minor + 1}"' in project
    assert f"torch {first} to {last}" in project
    readme = _read("README.md")
    assert f"**Releases:** torch {first} to {last}" in readme
    assert f"2.12 to {last} get wrong" in readme


def test_the_first_patch_releases_are_those_that_are_recorded_beside_a_newer_one() -> None:
    releases = release_table.releases()
    older = [
        release for release, after in itertools.pairwise(releases) if after.startswith(release.rsplit(".", 1)[0] + ".")
    ]
    tox = _read("tox.ini")
    assert re.findall(r"first-torch\d+: torch == ([\d.]+)$", tox, re.MULTILINE)[-len(older) :] == older


def test_the_pages_say_which_verdicts_there_are() -> None:
    from compat_shim.patching.patch import Verdict

    page = _read("docs/status.md")
    assert [verdict.value for verdict in Verdict if f"`{verdict.value}`" not in page] == []


def test_the_map_names_every_room() -> None:
    page = _read("docs/architecture.md")
    rooms = [
        path.name
        for path in (ROOT / "compat_shim").iterdir()
        if path.is_dir() and path.joinpath("__init__.py").exists()
    ]
    assert [room for room in rooms if f"{room}/" not in page] == []
    files = [path.stem for path in (ROOT / "compat_shim" / "out_variant").glob("*.py") if path.stem != "__init__"]
    assert [name for name in files if not re.search(rf"\b{name}\b", page)] == []
