"""What keeps a command from its work, as one line: ``compat-shim CMD: what; what to do``. The exit code is 2.

What is not known here is a defect of ours, and keeps its traceback.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Callable

from compat_shim import env
from compat_shim.commands.exit_codes import BROKEN_PIPE, MISUSED
from compat_shim.patching.errors import ShimError

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Failure(Exception):
    """A command cannot do what it is asked for. The message says what is wrong; what to do."""


class NoTorch(Failure):
    """Torch cannot be imported."""


def told(command: str, run: Callable[[], int]) -> int:
    """Run a command; a failure that is known becomes one line on stderr.

    Args:
        command: its name.
        run: what it does; returns its exit code.

    Returns:
        The exit code of ``run``, or that of its failure.
    """
    try:
        return run()
    except Failure as failure:
        say(command, str(failure))
    except ShimError as error:
        say(command, f"{error}; mend that, or leave out {env.MODE}=strict, which makes an error of it")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "packaging":
            raise
        say(
            command, f"this Python has no packaging, which compat_shim needs; {sys.executable} -m pip install packaging"
        )
    return MISUSED


def unbroken(run: Callable[[], int]) -> int:
    """Run what prints; that its reader has gone (``| head``) is no error. Returns the exit code."""
    try:
        try:
            return run()
        finally:
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()  # now, so that a closed pipe is met here
    except BrokenPipeError:
        # What is left to write would fail once more at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def say(command: str, what: str) -> None:
    """Print a line on stderr."""
    print(f"compat-shim {command}: {' '.join(line.strip() for line in what.splitlines())}", file=sys.stderr)


def import_torch() -> None:
    """Import torch, which activates what waits for it.

    Raises:
        NoTorch: it cannot be imported.
        ShimError: a feature cannot be applied, and ``COMPAT_SHIM=strict`` asks for an error.
    """
    try:
        import torch  # noqa: F401  # the commands that do without it start without it
    except ShimError:
        raise
    except Exception as error:
        # Needs packaging, which the other commands do without.
        from compat_shim.reports import release_table

        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            what = f"{sys.executable} has no torch"
        else:
            what = f"torch cannot be imported: {described(error)}"
        first, last = release_table.span()
        raise NoTorch(f"{what}; install one of {first} to {last} there, so that `import torch` works") from error


def described(error: BaseException) -> str:
    """An error in one line: its type, its message, and the line of user code that it comes from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_user_code(frame.filename)]
    own = [frame for frame in frames if not _is_installed(frame.filename)]
    place = [f" at {frame.filename}:{frame.lineno}" for frame in (own or frames)[-1:]]
    return f"{type(error).__name__}: {error}{''.join(place)}"


def _is_user_code(file: str) -> bool:
    """Not of this package, and not of the machinery of imports, which is in the standard library."""
    library = sysconfig.get_path("stdlib")
    standard = file.startswith(("<", library)) and not _is_installed(file)
    return not standard and not file.startswith(_PACKAGE)


def _is_installed(file: str) -> bool:
    return any(folder in file.split(os.path.sep) for folder in ("site-packages", "dist-packages"))
