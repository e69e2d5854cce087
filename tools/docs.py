"""Fill in what the docs show of the code: the tables, and the output of commands.

``python tools/docs.py`` writes them, ``--check`` says which are out of date (exit code 1). With ``--run``
also what the README shows of ``explain`` and ``status``, for which torch is needed.

A generated part of a page stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this checkout's package, installed or not

from compat_shim import env  # noqa: E402
from compat_shim.reports import release_table  # noqa: E402
from packages import table  # noqa: E402


def settings() -> str:
    """The environment variables as a Markdown table."""
    rows = ["| variable | value | meaning | since |", "| --- | --- | --- | --- |"]
    for setting in env.SETTINGS:
        for value, meaning in setting.values.items():
            default = " (default)" if value == setting.default else ""
            also = "".join(f", `{word}`" for word, means in setting.also.items() if means == value)
            shown = f"`{value}`{default}{also}" if value else "not set"
            rows.append(f"| `{setting.name}` | {shown} | {meaning} | {setting.since} |")
    return "\n".join(rows)


def explained() -> str:
    """What ``explain`` says of the first example, without what that prints itself."""
    printed = _output("explain", "examples/tagged_op.py")
    return f"```\n{printed[printed.index('compiled graphs: ') :].rstrip()}\n```"


def shown_by_status() -> str:
    """What ``status`` prints for the first example, whatever torch was built for."""
    shown = _output("status", "--import", "examples/tagged_op.py")
    return "```\n" + re.sub(r"(?<=torch )([\d.]+)\+\w+", r"\1", shown) + "```"


def _output(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "compat_shim", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("docs/settings.md", settings),
    "releases": ("docs/releases.md", release_table.table),
    "packages": ("docs/packages.md", table.packages),
    "programs": ("docs/packages.md", table.programs),
}
RUN: dict[str, tuple[str, Callable[[], str]]] = {
    "explain": ("README.md", explained),
    "status": ("README.md", shown_by_status),
}


def part(page: str, name: str) -> str:
    """The generated part of that name as a page has it now."""
    found = re.search(_marked(name), (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise LookupError(f"{page} has no part {name!r}")
    return found[2]


def _marked(name: str) -> str:
    return rf"(<!-- generated: {name} -->\n)(.*?)(\n<!-- end -->)"


def main() -> int:
    """Write or check the parts; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--run", action="store_true")
    options = parser.parse_args()
    stale = []
    for name, (page, make) in {**PARTS, **(RUN if options.run else {})}.items():
        text = make()
        if part(page, name) == text:
            continue
        stale.append(f"{page}: {name}")
        if not options.check:
            path = ROOT / page
            whole = path.read_text(encoding="utf-8")
            whole = re.sub(_marked(name), lambda found: found[1] + text + found[3], whole, flags=re.DOTALL)  # noqa: B023
            path.write_text(whole, encoding="utf-8")
    print("\n".join(f"{'out of date' if options.check else 'written'}: {which}" for which in stale) or "up to date")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
