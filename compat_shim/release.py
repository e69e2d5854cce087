"""Which torch is installed: its release, read without importing torch, and its fingerprint key.

All version arithmetic of the package is here and goes through :mod:`packaging` (PEP 440), so
that 2.10 follows 2.9 and a local part (``+cu128``, ``+rocm6.4``) never counts.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.version import InvalidVersion, Version
else:
    # torch has imported a copy of its own by now (2.10 and others), and a second one takes 2 ms.
    _version = sys.modules.get("torch._vendor.packaging.version") or importlib.import_module("packaging.version")
    InvalidVersion, Version = _version.InvalidVersion, _version.Version

_ASSIGNMENT = r"""^(__version__|git_version)\s*(?::[^=]*)?=\s*['"]([^'"]*)['"]"""


@dataclasses.dataclass(frozen=True)
class Release:
    """The torch of this environment.

    Attributes:
        version: the full version string, for example ``2.10.0a0+git1a2b3c``.
        path: torch's directory, or None if unknown.
        git_version: the commit that torch says it was built from, or None.
    """

    version: str
    path: str | None = None
    git_version: str | None = None

    @property
    def parsed(self) -> Version | None:
        try:
            return Version(self.version)
        except InvalidVersion:
            return None

    @property
    def final(self) -> str:
        """The release that it says to be, without a local part; empty for a pre-release or what is no version."""
        return self.parsed.base_version if self.parsed and not self.parsed.is_prerelease else ""

    def may_be(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """The known releases whose fingerprints may decide for this torch, best first.

        A known final release (whatever its local part) is decided by itself alone. A source
        build, a nightly or an unlisted patch release of a known minor release may be any of that
        minor's; the fingerprint decides which. A pre-release may be of the minor before it, too: its
        version is raised when that one is branched off, before its functions change. Any other
        release of an unknown minor has no candidates.
        """
        parsed = self.parsed
        if parsed is None:
            return ()
        if not parsed.is_prerelease and parsed.base_version in known:
            return (parsed.base_version,)
        minors = [(parsed.major, parsed.minor)]
        if parsed.is_prerelease:
            minors.append((parsed.major, parsed.minor - 1))
        return tuple(sorted((name for name in known if _minor(name) in minors), key=Version, reverse=True))


def installed() -> Release | None:
    """The torch of this process, or the one that ``import torch`` would import; None if none."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(getattr(torch, "__version__", None), str):
        origin = getattr(torch, "__file__", None)
        git = getattr(getattr(torch, "version", None), "git_version", None)
        return Release(str(torch.__version__), str(Path(origin).parent) if origin else None, git)
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin:
        return None
    directory = Path(spec.origin).parent
    try:
        text = (directory / "version.py").read_text(encoding="utf-8")
    except OSError:
        return Release("unknown", str(directory))
    found = dict(re.findall(_ASSIGNMENT, text, re.MULTILINE))
    return Release(found.get("__version__", "unknown"), str(directory), found.get("git_version"))


def within(release: str, first: str | None, last: str | None) -> bool:
    """Whether ``release`` is from the minor release ``first`` on and not after ``last``."""
    minor = _minor(release)
    return (first is None or minor >= _minor(first)) and (last is None or minor <= _minor(last))


def not_after(releases: tuple[str, ...], limit: str) -> tuple[str, ...]:
    """Those of ``releases`` whose minor release is not after that of ``limit``."""
    return tuple(name for name in releases if _minor(name) <= _minor(limit))


def _minor(release: str) -> tuple[int, int]:
    version = Version(release)
    return version.major, version.minor
