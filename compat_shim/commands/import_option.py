"""The option ``--import`` of several commands: whatever registers the ops that they are asked about."""

from __future__ import annotations

import argparse
import os

from compat_shim.activation import user_code
from compat_shim.commands.failures import Failure, described, import_torch
from compat_shim.patching.errors import ShimError


def add_to(command: argparse.ArgumentParser, more: str = "") -> None:
    """Give a command the option; what it is given stands in ``options.imports``."""
    command.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a module, or a Python file, to import first: what registers the ops{more} (may be repeated)",
    )


def load(options: argparse.Namespace) -> None:
    """Import torch, and then what the option names.

    Raises:
        Failure: one of them cannot be imported.
        ShimError: a feature cannot be applied, and ``COMPAT_SHIM=strict`` asks for an error.
    """
    import_torch()
    for name in options.imports:
        if not name.strip("."):
            raise Failure(f"--import {name!r}: give a module that this Python can import, or the path of a .py file")
        try:
            user_code.load(name)
        except ShimError:
            raise
        except (Exception, SystemExit) as error:
            raise Failure(f"--import {name}: {described(error)}; {_remedy(name, error)}") from error


def _remedy(name: str, error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and error.filename == os.path.abspath(name):
        return "give the path of a file that there is"
    if isinstance(error, ModuleNotFoundError) and error.name in (name, name.partition(".")[0]):
        return "give a module that this Python can import, or the path of a .py file"
    return "mend it, or leave it out"
