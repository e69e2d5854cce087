"""Write ``docs/shapes.md`` and ``docs/modes.md`` from what the tests of each release left in ``.tox``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def read(folder: Path) -> dict[str, dict[str, str]]:
    """Release → row → what became of it, from the files ``RELEASE.json``."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


SHAPES = """# Op shapes by release

Made by `python tools/shape_table.py` from a run of `tox`. Each cell was compiled and was equal to eager;
a test that fails leaves `wrong` or no cell. A reason in capitals is a decline ([declines](declines.md)):
torch's own fallback served the call. The shapes are defined in `tests/support/cases`.
"""

MODES = """# Ways of compiling by release

Made by `python tools/shape_table.py` from a run of `tox`. Each cell was compiled, run on poisoned buffers and was
equal to eager; a test that fails leaves `failed`. A reason in capitals is a decline ([declines](declines.md)):
torch's own fallback served the call. `-`: the release does not have it. `stock fails too`: torch itself fails
there, with the functional op alone. The ways are defined in `tests/on_torch/out_variant/lowering/modes`.
"""


def render(title: str, rows_of: str, found: dict[str, dict[str, str]]) -> str:
    """The table as Markdown: a row for each way, a column for each release."""
    rows = list(dict.fromkeys(row for results in found.values() for row in results))
    lines = [title, f"| {rows_of} | " + " | ".join(found) + " |", "| --- |" + " --- |" * len(found)]
    for row in sorted(rows):
        cells = [found[release].get(row, "-").removeprefix("declined: ") for release in found]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, title, rows_of in (("shapes", SHAPES, "shape"), ("modes", MODES, "mode")):
        results = read(ROOT / ".tox" / name)
        if not results:
            sys.exit(f"no results in .tox/{name}: run tox first")
        (ROOT / "docs" / f"{name}.md").write_text(render(title, rows_of, results), encoding="utf-8")
