"""Write ``docs/shapes.md`` from what the shape tests of each release left in ``.tox/shapes``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def read(folder: Path) -> dict[str, dict[str, str]]:
    """Release → shape → what became of it, from the files ``RELEASE.json``."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


def render(found: dict[str, dict[str, str]]) -> str:
    """The table as Markdown: a row a shape, a column a release."""
    shapes = list(dict.fromkeys(shape for results in found.values() for shape in results))
    lines = [
        "# Op shapes by release",
        "",
        "Made by `python tests/shape_table.py` from a run of `tox`. Each cell was compiled and was equal to eager;",
        'a test that fails leaves `wrong` or no cell. A reason in capitals is a decline (README, "What is lowered"):',
        "torch's own fallback served the call. The shapes are defined in `tests/out_variant/lowering/cases.py`.",
        "",
        "| shape | " + " | ".join(found) + " |",
        "| --- |" + " --- |" * len(found),
    ]
    for shape in sorted(shapes):
        cells = [found[release].get(shape, "-").removeprefix("declined: ") for release in found]
        lines.append(f"| {shape} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    results = read(ROOT / ".tox" / "shapes")
    if not results:
        sys.exit("no results in .tox/shapes: run tox first")
    (ROOT / "docs" / "shapes.md").write_text(render(results), encoding="utf-8")
