"""The status as a block to paste into a bug report: what somebody else needs to know, and nothing of one's home."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from compat_shim.reports.status_screen import pair_rows

if TYPE_CHECKING:
    from compat_shim.reports.status import Status

# Variables that change what torch compiles and what Python finds; others are nobody's business.
_TELLING = ("TORCHINDUCTOR_", "TORCHDYNAMO_", "TORCH_LOGS", "TORCH_COMPILE", "CUDA_VISIBLE_DEVICES", "PYTHONPATH")


def bug_report(status: Status) -> str:
    """A block of Markdown. The home folder is ``~`` in it, wherever it stood."""
    return without_home("\n".join(["```", *_lines(status), "```"]))


def _lines(status: Status) -> Iterator[str]:
    yield f"compat_shim {status.version}: {status.state} ({status.route}), mode {status.mode}"
    yield f"torch {status.torch or 'none'}: {status.torch_build or '-'}, {status.torch_git or 'no commit'}"
    yield f"      taken for {status.release or 'no tested release'}, in {status.torch_path or '-'}"
    yield f"python {status.python} in {status.python_path}"
    yield f"platform {status.platform}"
    yield from (f"problem: {problem}" for problem in status.problems)
    yield f"features: {', '.join(f'{feature.id} {feature.verdict}' for feature in status.features)}"
    for feature in status.features:
        if feature.expected or feature.found:
            yield f"  {feature.id}: expected {feature.expected or '-'}, found {feature.found or '-'}"
    yield from (f"pairs: {row}" for row in pair_rows(status))
    yield from (f"waiting: {pair.functional} => {pair.out}" for pair in status.waiting)
    yield from (f"tagged, in no pair: {loose.candidate}" for loose in status.candidates)
    yield from (f"fit, in no pair: {len(found.pairs)} of {found.namespace}" for found in status.unpaired)
    yield from (f"patched: {other.target} by {other.module}" for other in status.foreign)
    telling = {name: value for name, value in sorted(os.environ.items()) if _tells(name, value)}
    yield from (f"{name}={value}" for name, value in {**status.environment, **telling}.items())


def _tells(name: str, value: str) -> bool:
    # Torch sets the folder of its cache itself, with the user's name in it.
    own = name == "TORCHINDUCTOR_CACHE_DIR" and re.search(r"[/\\]torchinductor_[^/\\]*$", value)
    return name.startswith(_TELLING) and not own


def without_home(text: str) -> str:
    """The text with ``~`` for the home folder of whoever runs this, also where a link leads to it."""
    home = os.path.expanduser("~")
    for folder in {home, os.path.realpath(home)} - {"/"}:
        text = re.sub(rf"(?<![\w.-]){re.escape(folder)}(?![\w-]|\.\w)", "~", text)
    return text
