"""A user's program, run in this process as ``python SCRIPT`` or ``python -m MODULE`` would run it."""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import os
import pkgutil
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from compat_shim.commands.exit_codes import DONE, FOUND_WRONG, INTERRUPTED
from compat_shim.commands.failures import Failure

# The files that stand above the program's own in a traceback.
_ABOVE = (
    __file__,
    importlib.util.__file__,
    "<frozen importlib.util>",
    "<frozen importlib._bootstrap>",
    "<frozen importlib._bootstrap_external>",
    "<frozen zipimport>",
)


def check(name: str) -> None:
    """Refuse what cannot be a program before anything slow is imported.

    Raises:
        Failure: there is no such file or folder.
    """
    if name == "-":
        raise Failure("-: a program is not read from there; give /dev/stdin")
    if not os.path.exists(name):
        raise Failure(_why(name, FileNotFoundError(2, os.strerror(2)), False))


def run(name: str, arguments: Sequence[str], module: bool) -> int:
    """Run a program to its end, and that of its threads. What it raises is shown as Python shows it.

    It is this process's ``__main__`` from then on: what runs at the end of the process finds it there.

    Args:
        name: a Python file, a folder or archive with a ``__main__.py``, or a module.
        arguments: the program's.
        module: whether it is a module.

    Returns:
        The exit code that Python would end with.

    Raises:
        Failure: there is no such program, or it cannot be read.
    """
    sys.argv = ["-m" if module else name, *arguments]
    started = False
    raised: BaseException | None = None
    try:
        spec, file, code = _of_module(name) if module else _of_path(name)
        main = _main(spec, file)
        started = True
        exec(code, vars(main))
    except SystemExit as ending:
        return _ended(_exit_code(ending.code))
    except BaseException as error:
        if not started and isinstance(error, (OSError, ImportError)) and _own(error.__traceback__) is None:
            raise Failure(_why(name, error, module)) from error
        raised = error.with_traceback(_own(error.__traceback__))
    if raised is None:
        return _ended(DONE)
    sys.last_type, sys.last_value, sys.last_traceback = type(raised), raised, raised.__traceback__
    sys.excepthook(type(raised), raised, raised.__traceback__)
    return _ended(INTERRUPTED if isinstance(raised, KeyboardInterrupt) else FOUND_WRONG)


def _main(spec: ModuleSpec | None, file: str) -> ModuleType:
    main = ModuleType("__main__")
    attributes = {
        "__annotations__": {},
        "__builtins__": builtins,
        "__cached__": None if spec is None else spec.cached,
        "__file__": file,
        "__loader__": _loader(file) if spec is None else spec.loader,
        "__package__": None if spec is None else spec.parent,
        "__spec__": spec,
    }
    vars(main).update(attributes)
    sys.modules["__main__"] = main
    return main


def _of_path(name: str) -> tuple[ModuleSpec | None, str, CodeType]:
    """What ``python NAME`` runs: its spec, if it has one, its file and its code."""
    path = os.path.abspath(name)
    if pkgutil.get_importer(path) is not None:  # a folder or an archive
        sys.path.insert(0, path)
        spec = importlib.machinery.PathFinder.find_spec("__main__", [path])
        if spec is None:
            raise ImportError(f"can't find '__main__' module in {name!r}")
        return spec, str(spec.origin), _code(spec)
    _put_first(os.path.dirname(os.path.realpath(path)))
    loader = _loader(path)
    if isinstance(loader, SourceFileLoader):
        return None, path, loader.source_to_code(loader.get_data(path), path)
    compiled = loader.get_code("__main__")
    assert compiled is not None  # or it has raised
    return None, path, compiled


def _loader(path: str) -> SourceFileLoader | SourcelessFileLoader:
    return (SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader)("__main__", path)


def _put_first(folder: str) -> None:
    if not getattr(sys.flags, "safe_path", False):  # Python 3.11 on
        sys.path.insert(0, folder)


def _of_module(name: str) -> tuple[ModuleSpec, str, CodeType]:
    """What ``python -m NAME`` runs."""
    _put_first(os.getcwd())
    spec = _find(name)
    if spec.submodule_search_locations is not None:
        spec = _find(f"{name}.__main__", f"; {name!r} is a package and cannot be directly executed")
    sys.argv[0] = str(spec.origin)
    return spec, str(spec.origin), _code(spec)


def _find(name: str, why: str = "") -> ModuleSpec:
    try:
        spec = importlib.util.find_spec(name)
    except ValueError as error:  # a relative name, or a module without a spec
        raise ImportError(f"{error}") from error
    if spec is None:
        raise ImportError(f"No module named {name}{why}")
    return spec


def _code(spec: ModuleSpec) -> CodeType:
    code: CodeType | None = getattr(spec.loader, "get_code", lambda name: None)(spec.name)
    if code is None:
        raise ImportError(f"No code object available for {spec.name}")
    return code


def _ended(code: int) -> int:
    """Wait for the program's threads, as Python does before it calls what ``atexit`` knows."""
    while True:
        rest = [one for one in threading.enumerate() if not (one.daemon or one in _of_pools())]
        others = [one for one in rest if one not in (threading.current_thread(), threading.main_thread())]
        if not others:
            return code
        try:
            for thread in others:
                thread.join()
        except KeyboardInterrupt:  # Python goes on to end, too
            return code


def _of_pools() -> set[Any]:
    """The threads of executors, which end only when Python tells them that it ends."""
    queues = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", {})
    wakeups = getattr(sys.modules.get("concurrent.futures.process"), "_threads_wakeups", {})
    return {*queues, *wakeups}


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
