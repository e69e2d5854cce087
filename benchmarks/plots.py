"""``python -m benchmarks.plots NAME...``: ``results/NAME.json`` as ``results/NAME-time.png`` and ``-allocations.png``.

Needs matplotlib: ``pip install compat-shim[bench]``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

RESULTS = Path(__file__).parent / "results"
STOCK = "stock fallback"


def main() -> None:
    """Draw each result named on the command line."""
    for name in sys.argv[1:]:
        found = json.loads((RESULTS / f"{name}.json").read_text())
        title = f"{found['device']}, torch {found['torch']}"
        _time(found["results"], title, RESULTS / f"{name}-time.png")
        _allocations(found["results"], title, RESULTS / f"{name}-allocations.png")


def _time(results: list[dict[str, Any]], title: str, path: Path) -> None:
    """Each contender's step time as a ratio to stock's, with the quartiles."""
    names = list(dict.fromkeys(one["name"] for result in results for one in result["contenders"]))
    names.remove(STOCK)
    figure, axes = pyplot.subplots(figsize=(12, 5), layout="constrained")
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        for place, result in enumerate(results):
            for one in result["contenders"]:
                if one["name"] == name and not one["error"]:
                    low, middle, high = one["ratio"]
                    axes.bar(
                        place + (index - len(names) / 2 + 0.5) * width,
                        middle,
                        width,
                        yerr=[[max(middle - low, 0)], [max(high - middle, 0)]],
                        color=f"C{index}",
                        error_kw={"linewidth": 0.7},
                    )
        axes.bar(0, 0, color=f"C{index}", label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_ylim(0, 1.6)
    axes.set(title=title, ylabel=f"step time / {STOCK}'s")
    _save(figure, axes, results, path)


def _allocations(results: list[dict[str, Any]], title: str, path: Path) -> None:
    """Allocations a step: stock's, the shim's and those of eager code."""
    figure, axes = pyplot.subplots(figsize=(12, 4), layout="constrained")
    for index, name in enumerate(("eager", STOCK, "shim")):
        counts = [
            next((one["allocations"] for one in result["contenders"] if one["name"] == name), 0) for result in results
        ]
        bars = axes.bar([place + (index - 1) * 0.27 for place in range(len(results))], counts, 0.27, label=name)
        axes.bar_label(bars, fontsize=7)
    axes.set_yscale("symlog", linthresh=1)
    axes.set(title=title, ylabel="allocations a step")
    _save(figure, axes, results, path)


def _save(figure: Any, axes: Any, results: list[dict[str, Any]], path: Path) -> None:
    axes.set_xticks(range(len(results)), [result["workload"] for result in results], rotation=20)
    axes.legend(fontsize="small", ncols=3)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
