"""What the dispatcher makes of what a Python kernel returns: it passes on, converts or refuses it.

A kernel that compiled code calls itself has run once when its result is looked at, and must not run again.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import _C, Tensor

_pending = threading.local()
_numbers = itertools.count()


_making = threading.Lock()
_library: list[torch.library.Library] = []
_ops: dict[str, Any] = {}


def _returning(returns: str) -> Any:
    """An op of these returns, whose kernel returns what is pending."""
    with _making:
        if returns not in _ops:
            if not _library:
                _library.append(torch.library.Library("compat_shim_results", "FRAGMENT"))
            name = f"result{next(_numbers)}"
            _library[0].define(f"{name}() -> {returns}")
            _library[0].impl(name, lambda: _pending.result, "CompositeExplicitAutograd")
            _ops[returns] = getattr(torch.ops.compat_shim_results, name).default
        return _ops[returns]


def converted(schema: _C.FunctionSchema, result: Any) -> Any:
    """What a call by the dispatcher returns where its Python kernel has returned ``result``.

    Raises:
        RuntimeError, TypeError: the dispatcher refuses the result; it is the dispatcher that raises.
    """
    returns = str(schema).rpartition(" -> ")[2]
    op = _returning(re.sub(r"\([a-z]\d*!?\)", "", returns))  # which argument a result is makes no difference here
    _pending.result = result
    try:
        return op()
    except Exception as error:
        error.args = tuple(_renamed(text, op, schema.name) for text in error.args)
        raise
    finally:
        del _pending.result


def _renamed(text: Any, op: Any, name: str) -> Any:
    return text.replace(op._schema.name, name) if isinstance(text, str) else text


_EXACT = {"Tensor": Tensor, "float": float, "bool": bool}  # an int may be too large


def passes(schema: _C.FunctionSchema) -> Callable[[Any], bool]:
    """Whether the dispatcher would pass a result on as it is; where that is not plain, it is ``converted``."""
    types = [_EXACT.get(str(one.real_type)) for one in schema.returns]
    if not types:
        return lambda result: result is None
    if None in types:
        return lambda result: False
    if len(types) == 1:
        only = types[0]
        return lambda result: type(result) is only
    return lambda result: type(result) is tuple and [*map(type, result)] == types


def _share_storage(args: tuple[Any, ...], kwargs: dict[str, Any], made: tuple[Any, ...]) -> bool:
    given = [_storage(tensor) for tensor in _tensors((*args, *kwargs.values()))]
    storages = [_storage(tensor) for tensor in _tensors(made)]
    return len({*given, *storages}) < len({*given}) + len(storages)


def _storage(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


#: Whether tensors of a result (a tuple of results) share storage with each other or with an argument: ``custom_op``
#: refuses that. It takes the arguments, those by name, and the results; torch has its own from 2.8 on.
share_storage: Callable[[tuple[Any, ...], dict[str, Any], tuple[Any, ...]], bool] = getattr(
    _C, "_any_output_is_alias_to_input_or_output", _share_storage
)
