"""A user's program, run in this process as ``python SCRIPT`` or ``python -m MODULE`` would run it."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from compat_shim.commands.exit_codes import DONE, FOUND_WRONG, INTERRUPTED
from compat_shim.commands.failures import Failure

# The files that stand above the program's own in a traceback.
_ABOVE = (
    __file__,
    runpy.__file__,
    "<frozen runpy>",
    "<frozen importlib._bootstrap>",
    "<frozen importlib._bootstrap_external>",
)


def run(name: str, arguments: Sequence[str], module: bool) -> int:
    """Run a program to its end. What it raises is shown as Python shows it.

    Args:
        name: a Python file, a folder or archive with a ``__main__.py``, or a module.
        arguments: the program's.
        module: whether it is a module.

    Returns:
        The exit code that Python would end with.

    Raises:
        Failure: there is no such program, or it cannot be read.
    """
    sys.argv = [name, *arguments]
    sys.path.insert(0, os.getcwd() if module else os.path.dirname(os.path.abspath(name)))
    try:
        if module:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(name, run_name="__main__")
    except SystemExit as ending:
        return _exit_code(ending.code)
    except (Exception, KeyboardInterrupt) as error:
        own = _own(error.__traceback__)
        if own is None and isinstance(error, (OSError, ImportError)):
            raise Failure(_why(name, error, module)) from error
        sys.excepthook(type(error), error.with_traceback(own), own)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FOUND_WRONG
    return DONE


def _exit_code(code: Any) -> int:
    if code is None or isinstance(code, int):
        return code or DONE
    print(code, file=sys.stderr)
    return FOUND_WRONG


def _own(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the program's first frame on; None for what was raised before it ran."""
    while trace is not None and trace.tb_frame.f_code.co_filename in _ABOVE:
        trace = trace.tb_next
    return trace


def _why(name: str, error: OSError | ImportError, module: bool) -> str:
    if module:
        return f"{error}; give a module that `python -m` can run"
    what = f"{name}: {error.strerror}" if isinstance(error, OSError) else str(error)
    return f"{what}; give the path of a Python file, or a module by -m"
