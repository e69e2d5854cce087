"""Fingerprints: a hash of the source of each function that a patch replaces or relies on.

``fingerprints.json`` beside this file holds, for each target and each tested torch release, the
hash of that function, or ``null`` where the release has no such function. It is generated:
``python tools/fingerprints.py --update`` records the installed torch.

The hash is that of the *code object's* own source. ``inspect.getsource`` of a function follows
``__wrapped__``, so somebody's decorated replacement would pass for the original.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import json
import linecache
import re
import sys
import tokenize
import types
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("fingerprints.json")


class Unverifiable(Exception):
    """The source of a function cannot be read, so it cannot be compared."""


def split(target: str) -> tuple[str, str]:
    """``"torch._inductor.ir:FallbackKernel.create"`` → module name and qualified name."""
    module, _, qualname = target.partition(":")
    return module, qualname


def find_owner(target: str) -> tuple[Any, str]:
    """The object that holds the target, and the attribute's name. Walks no inherited names.

    Raises:
        LookupError: the module is not imported, or the path to the target is not there.
    """
    module_name, qualname = split(target)
    owner: Any = sys.modules.get(module_name)
    if owner is None:
        raise LookupError(f"module {module_name} is not imported")
    *parents, name = qualname.split(".")
    for parent in parents:
        if parent not in vars(owner):
            raise LookupError(f"{module_name} has no {'.'.join(parents)}")
        owner = vars(owner)[parent]
    return owner, name


def find(target: str) -> Any:
    """The raw object at the target, for example a ``classmethod`` object.

    Raises:
        LookupError: it is not there.
    """
    owner, name = find_owner(target)
    if name not in vars(owner):
        raise LookupError(f"{target} does not exist")
    return vars(owner)[name]


# Our replacements → the functions they replaced. Not an attribute of the replacement:
# functools.wraps copies those, so a foreign patch on top of ours would pass for ours.
replaced: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def function_of(raw: Any) -> types.FunctionType | None:
    """The plain function in ``raw`` (a function, classmethod, staticmethod), or None.

    Beneath a replacement of ours it is the function that was there before.
    """
    if isinstance(raw, (classmethod, staticmethod)):
        raw = raw.__func__
    while isinstance(raw, types.FunctionType) and raw in replaced:
        raw = replaced[raw]
    # torch caches some methods by decorators that keep the function under __wrapped__. Only a
    # wrapper defined in torch itself is opened: a foreign one must not pass for the original.
    while isinstance(raw, types.FunctionType) and hasattr(raw, "__wrapped__"):
        if not _is_torch(raw):
            return raw
        raw = raw.__wrapped__
    return raw if isinstance(raw, types.FunctionType) else None


def reaches(raw: Any, ours: Any) -> bool:
    """Whether ``raw`` is ``ours`` or stands on it: wrapped by us again, or by one who says so."""
    ours, now, seen = _inner(ours), _inner(raw), set()
    while now is not ours:
        if id(now) in seen:
            return False
        seen.add(id(now))
        if isinstance(now, types.FunctionType) and now in replaced:
            now = _inner(replaced[now])
        elif "__wrapped__" in getattr(now, "__dict__", ()):
            now = _inner(vars(now)["__wrapped__"])
        else:
            return False
    return True


def _inner(raw: Any) -> Any:
    """The function in a classmethod, a staticmethod or a bound method; anything else is itself."""
    return raw.__func__ if isinstance(raw, (classmethod, staticmethod, types.MethodType)) else raw


def describe(raw: Any) -> str:
    """An object at a target in words: for a function its name and the module that its code is from."""
    function = _inner(raw)
    if isinstance(function, types.FunctionType):
        return f"{function.__qualname__} from {defined_in(function)}"
    return f"{type(raw).__name__} object"


def _is_torch(function: types.FunctionType) -> bool:
    return str(function.__globals__.get("__name__", "")).partition(".")[0] == "torch"


def defined_in(function: types.FunctionType) -> str:
    """The module whose file the function's code comes from, as far as can be told."""
    return str(function.__globals__.get("__name__", function.__code__.co_filename))


def is_foreign(function: types.FunctionType, target: str) -> bool:
    """Whether the function at ``target`` (as ``function_of`` gives it) is not that module's own."""
    return defined_in(function) != split(target)[0] or hasattr(function, "__wrapped__")


def hash_of(function: types.FunctionType, expected: str | None = None) -> str:
    """The fingerprint of a function.

    Args:
        expected: a fingerprint that it may have; if it has, that is found out in a tenth of the time.

    Raises:
        Unverifiable: its source cannot be read.
    """
    code = function.__code__
    try:
        linecache.checkcache(code.co_filename)  # somebody may have read an older file of that name
        # The loader in the module's globals lets linecache read sources inside archives.
        lines = linecache.getlines(code.co_filename, function.__globals__)
        if not lines:
            raise Unverifiable(f"no source file {code.co_filename}")
        lines = lines[code.co_firstlineno - 1 :]
        if expected is not None and _hash(_until_dedent(lines)) == expected:
            return expected
        block = inspect.getblock(lines)  # token by token, in Python
    except (OSError, IndexError, SyntaxError, tokenize.TokenError) as error:
        raise Unverifiable(str(error)) from error
    definition = re.compile(rf"\bdef\s+{re.escape(code.co_name)}\b")
    if not any(map(definition.search, block)) and code.co_name != "<lambda>":
        raise Unverifiable(f"{code.co_filename} no longer matches the code that runs")
    return _hash(block)


def _until_dedent(lines: list[str]) -> list[str]:
    """Where a function ends by the indentation of its lines. A string or comment in it can mislead that."""
    own = len(lines[0]) - len(lines[0].lstrip())
    end, in_body = 0, False
    for number, line in enumerate(lines):
        text = line.lstrip()
        if not text:
            continue
        if len(line) - len(text) <= own:
            if in_body and text.startswith("#"):
                continue
            if in_body and not text.startswith(")"):
                break
            in_body = in_body or text.startswith(("def ", "async def "))
        end = number
    return lines[: end + 1]


def _hash(block: list[str]) -> str:
    text = inspect.cleandoc("\n".join(line.rstrip() for line in block))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def load(file: Path = FILE) -> dict[str, dict[str, str | None]]:
    """The recorded fingerprints: target → release → hash, or None where it does not exist.

    Raises:
        ValueError: the file is missing or is not what this module writes.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        targets = data["targets"]
        if not all(isinstance(recorded, dict) for recorded in targets.values()):
            raise TypeError("a target's value is not an object")
        hashes = [found for recorded in targets.values() for found in recorded.values()]
        if not all(found is None or isinstance(found, str) for found in hashes):
            raise TypeError("a hash is neither a string nor null")
    except (OSError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"the fingerprint file {file} is broken ({error!r})") from error
    return targets  # type: ignore[no-any-return]


def record(targets: Iterable[str]) -> dict[str, str | None]:
    """The fingerprints of ``targets`` in the torch of this process, which must be unpatched."""
    found: dict[str, str | None] = {}
    for target in targets:
        try:
            importlib.import_module(split(target)[0])
            function = function_of(find(target))
        except (ImportError, LookupError):
            found[target] = None
            continue
        found[target] = hash_of(function) if function is not None else None
    return found
