"""``status``: what was found and done on this torch."""

from __future__ import annotations

import argparse
import json
import sys

from compat_shim import shim, support
from compat_shim.commands.load import load
from compat_shim.patching.errors import ShimError
from compat_shim.report import make_status


def main(options: argparse.Namespace) -> int:
    """The command ``status``."""
    if options.releases:
        print(support.table())
        return 0
    owner = shim._owner()
    try:
        import torch  # noqa: F401  (activates what waits for it)

        for name in options.imports:
            load(name)
        if owner.engine is not None:
            owner.engine.import_all()
    except ImportError as error:
        print(f"torch cannot be imported: {error}", file=sys.stderr)
    except ShimError as error:  # COMPAT_SHIM=strict
        print(error, file=sys.stderr)
    status = make_status(owner)
    print(json.dumps(status.to_dict(), indent=2) if options.json else status)
    return 0 if status.good else 1
