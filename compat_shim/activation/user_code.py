"""The user's own modules and files that register ops and pairs: ``--import`` and ``COMPAT_SHIM_IMPORT``."""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Iterable
from typing import Any

from compat_shim import env, process
from compat_shim.patching.log import warn

# What has been loaded here → what was wrong with it, or nothing.
_loaded: dict[str, str] = process.shared("loaded user code", dict)
# What the files define.
_kept: list[dict[str, Any]] = []


def is_file(name: str) -> bool:
    """Whether a name stands for a Python file, not for a module."""
    return name.endswith(".py") or os.path.sep in name


def load(name: str) -> None:
    """Import a module, or run a file as a module of another name than ``__main__``.

    The file's folder is first on ``sys.path`` while it runs, and it is given no arguments; the current folder is last
    while a module is imported.
    """
    arguments = sys.argv
    folder = os.path.dirname(os.path.abspath(name)) if is_file(name) else os.getcwd()
    sys.path.insert(0 if is_file(name) else len(sys.path), folder)
    try:
        if is_file(name):
            sys.argv = [name]
            # A library goes with the last reference to it, and its ops with it.
            _kept.append(runpy.run_path(name, run_name="__compat_shim__"))
        else:
            importlib.import_module(name)
    finally:
        sys.argv = arguments
        sys.path[:] = [entry for entry in sys.path if entry is not folder]  # an equal one may have been there


def load_all(settings: env.Settings, names: Iterable[str]) -> None:
    """Load each, once a process. What fails is one warning, and no error unless strict."""
    for name in names:
        if name in _loaded:
            continue
        _loaded[name] = ""  # now: it may activate the shim
        try:
            load(name)
        except (Exception, SystemExit) as error:
            _loaded[name] = f"{type(error).__name__}: {error}"
            if settings.mode == "strict":
                raise
            warn(settings, f"{env.IMPORT}: {name} could not be loaded: {_loaded[name]}")
        except BaseException:  # Ctrl-C
            del _loaded[name]
            raise


def problems() -> tuple[str, ...]:
    """What could not be loaded in this process, and why."""
    return tuple(f"{env.IMPORT}: {name}: {why}" for name, why in _loaded.items() if why)
