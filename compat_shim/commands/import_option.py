"""The option ``--import`` of several commands: whatever registers the ops that they are asked about."""

from __future__ import annotations

import argparse
import importlib
import os
import runpy
import sys


def add_to(command: argparse.ArgumentParser) -> None:
    """Give a command the option; what it is given stands in ``options.imports``."""
    command.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="NAME",
        help="a module, or a Python file, to import first: what registers the ops (may be repeated)",
    )


def load(name: str) -> None:
    """Import a module, or run a script as a module of another name than ``__main__``."""
    if name.endswith(".py") or os.path.sep in name:
        sys.path.insert(0, os.path.dirname(os.path.abspath(name)))
        runpy.run_path(name, run_name="__compat_shim__")
    else:
        if "" not in sys.path:
            sys.path.insert(0, "")  # as `python -m` has it, also for the console script
        importlib.import_module(name)
