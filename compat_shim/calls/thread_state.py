"""The dispatcher's state in a thread: where nobody listens on the way of a call, and what the body of a kernel sees.

Both are observed, not written down: they differ between releases.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import _C

_include, _exclude = _C._dispatch_tls_local_include_set, _C._dispatch_tls_local_exclude_set

State = tuple[int, int]


def now() -> State:
    """The dispatch keys that this thread includes and excludes.

    Modes of every kind but function modes, autocast, functorch, functionalization and others' guards show there.
    """
    return _include().raw_repr(), _exclude().raw_repr()


def _in_a_new_thread(look: Callable[[list[Any]], None]) -> list[Any]:
    """What ``look`` finds where no mode and no guard of the caller's is in force."""
    found: list[Any] = []
    thread = threading.Thread(target=look, args=(found,))
    thread.start()
    thread.join()
    return found


def _look_for_quiet(states: list[State]) -> None:
    with torch.inference_mode():
        states.append(now())
    states.append(now())
    # A backward pass is not run to look at its state: on a machine with GPUs the engine's threads would forbid a later
    # fork. Up to torch 2.12 it excludes one key more.
    try:
        named = _C.DispatchKeySet(_C._dispatch_key_parse("Named"))
    except RuntimeError:
        return
    states.append((_include().raw_repr(), (_exclude() | named).raw_repr()))


_observing = threading.RLock()
_numbers = itertools.count()
_quiet: dict[State, bool] = {}


def quiet() -> dict[State, bool]:
    """The states in which nobody listens: of a thread, of inference mode, of autograd's engine.

    Each with whether tensors that were made in inference mode pass by ADInplaceOrView, as they do in that mode alone.
    """
    if not _quiet:
        with _observing:
            in_inference_mode, *elsewhere = _in_a_new_thread(_look_for_quiet)
            _quiet.update({**dict.fromkeys(elsewhere, False), in_inference_mode: True})
    return _quiet


_PROBES = {
    "functional": ("(Tensor x) -> Tensor", ()),
    "mutable": ("(Tensor(a!) x) -> ()", ()),
    "out": ("(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", ("out",)),
}


_excluded: dict[str, _C.DispatchKeySet | None] = {}


def excluded_below(kind: str) -> _C.DispatchKeySet | None:
    """The keys that ``custom_op`` excludes around the body of a kernel, beyond those that its caller excludes.

    Args:
        kind: of the op: ``"functional"``, ``"mutable"``, or ``"out"`` for one tagged ``torch.Tag.out``.

    Returns:
        The keys; None where the state differs in more than excluded keys.
    """
    if kind not in _excluded:
        with _observing:  # two threads may come here at once, with their first steps
            if kind not in _excluded:
                _excluded[kind] = _observe_below(kind)
    return _excluded[kind]


def _observe_below(kind: str) -> _C.DispatchKeySet | None:
    schema, tags = _PROBES[kind]
    found = _in_a_new_thread(functools.partial(_look_below, kind, schema, tags))
    (include, exclude), *inside = found
    if len(inside) != 1 or inside[0][0].raw_repr() != include.raw_repr():
        return None
    excluded: _C.DispatchKeySet = inside[0][1]
    return excluded - exclude


def _look_below(kind: str, schema: str, tags: tuple[str, ...], found: list[Any]) -> None:
    def body(x: torch.Tensor, out: torch.Tensor | None = None) -> Any:
        found.append((_include(), _exclude()))
        return x * 1 if kind == "functional" else out

    options: dict[str, Any] = {"tags": [getattr(torch.Tag, name) for name in tags]} if tags else {}
    written = {"functional": (), "mutable": ("x",), "out": ("out",)}[kind]
    with torch.no_grad():
        found.append((_include(), _exclude()))
        probe = torch.library.custom_op(
            f"compat_shim_probe::{kind}{next(_numbers)}", body, mutates_args=written, schema=schema, **options
        )
        probe(torch.ones(1), **({"out": torch.ones(1)} if kind == "out" else {}))
