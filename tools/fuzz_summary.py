"""Print the figures that the long fuzz runs left in ``.tox/fuzz`` and ``.tox/fuzz-registries``, as Markdown tables."""

from __future__ import annotations

import collections
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Release → the results of its shards, as ``test_fuzz.py`` writes them."""
    releases = [path for path in folder.glob("*") if path.is_dir()]
    releases.sort(key=lambda path: [int(part) for part in path.name.split(".")])
    return {path.name: [json.loads(shard.read_text(encoding="utf-8")) for shard in path.iterdir()] for path in releases}


def render(found: dict[str, list[dict[str, Any]]], what: str = "graphs") -> str:
    """The table: a row a release."""
    lines = [
        f"| torch | seed | {what} | right | stock fails too | failed | calls lowered | in place | calls declined |"
        " minutes |",
        "| --- |" + " --- |" * 9,
    ]
    for release, shards in found.items():
        kinds: collections.Counter[str] = collections.Counter()
        calls: collections.Counter[str] = collections.Counter()
        for shard in shards:
            kinds.update(shard["kinds"])
            calls.update(shard["calls"])
        seeds = ", ".join(sorted({str(shard["seed"]) for shard in shards}))
        lowered = calls["lowered"]
        in_place = sum(shard["in place"] for shard in shards)
        minutes = sum(shard["seconds"] for shard in shards) / 60
        failed = kinds["failed"] + kinds["invalid"]
        lines.append(
            f"| {release} | {seeds} | {kinds.total()} | {kinds['right']} | {kinds['stock fails too']} | {failed} |"
            f" {lowered} | {in_place} | {calls.total() - lowered} | {minutes:.0f} |"
        )
    return "\n".join(lines)


def main(folder: Path) -> int:
    """Print a table of the random graphs and one of the random registries; 1 if something failed or is missing."""
    failed = False
    for what, where in (("graphs", folder), ("registries", folder.with_name(f"{folder.name}-registries"))):
        results = read(where)
        if not results:
            print(f"no results of random {what}: run tox first")
            failed = True
            continue
        print(render(results, what))
        for release, shards in results.items():
            for why in sorted({why for shard in shards for why in shard["stock fails too"]}):
                print(f"stock fails too on {release}: {why}")
        failed = failed or any(shard["failures"] for shards in results.values() for shard in shards)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".tox" / "fuzz"))
