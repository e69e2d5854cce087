"""The fingerprints of the installed torch: what differs from those recorded, or record them.

``python tools/fingerprints.py --diff | --update``, in an environment with the torch that is meant.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's package, installed or not

import compat_shim
from compat_shim.patches import FEATURES
from compat_shim.patching import fingerprint
from compat_shim.release import installed


def _record_installed() -> tuple[str, dict[str, str | None]]:
    """The installed torch's release and the fingerprints of what the features' patches name."""
    compat_shim.deactivate()
    release = installed()
    if release is None or release.parsed is None:
        raise SystemExit(f"no torch with a version to record: {release}")
    wanted = sorted({target for feature in FEATURES for target in feature.fingerprinted()})
    if release.parsed.is_prerelease:
        return release.version, fingerprint.record(wanted)
    return release.parsed.base_version, fingerprint.record(wanted)


def diff(file: Path = fingerprint.FILE) -> list[str]:
    """How the installed torch differs from what is recorded for it, or else for the newest release."""
    name, new = _record_installed()
    lines = []
    for target, found in new.items():
        recorded = fingerprint.load(file).get(target, {})
        against = name if name in recorded else next(reversed(recorded), "nothing")
        if recorded.get(against) != found:
            lines.append(f"{target}: {recorded.get(against) or 'absent'} in {against}, {found or 'absent'} in {name}")
    return lines


def update(file: Path = fingerprint.FILE) -> str:
    """Record the installed torch in the file; returns the release's name.

    Raises:
        SystemExit: the installed torch is not a final release.
    """
    name, new = _record_installed()
    if not name.replace(".", "").isdigit():
        raise SystemExit(f"fingerprints are recorded from a final release of torch, not {name}")
    try:
        targets = fingerprint.load(file)
    except ValueError:
        targets = {}
    table = {target: {**targets.get(target, {}), name: new[target]} for target in new}
    ordered = {
        target: dict(sorted(table[target].items(), key=lambda item: [int(n) for n in item[0].split(".")]))
        for target in new
    }
    file.write_text(json.dumps({"targets": ordered}, indent=1) + "\n", encoding="utf-8")
    return name


if __name__ == "__main__":
    if sys.argv[1:] == ["--diff"]:
        print("\n".join(diff()) or "nothing changed")
    elif sys.argv[1:] == ["--update"]:
        print(f"recorded torch {update()} in {fingerprint.FILE}")
    else:
        raise SystemExit("usage: python tools/fingerprints.py --diff | --update")
