"""A registry becomes ops: kernels with real signatures, each with a result of its own.

A kernel looks up what it computes in a table when it is called, since what an out variant means may change with
what is registered after it. ``GARBAGE`` is what an out variant writes that nobody's call may run.
"""

from __future__ import annotations

import collections
import ctypes
import dataclasses
import inspect
import itertools
import keyword
import random
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch

from support.ops import poison
from support.registries.registry import Functional, Out, Registry, name_of

GARBAGE = 0
MODULUS = 1009  # a prime: results stay small whole numbers, and unlike factors give unlike results
_DTYPES = {torch.float16: 5, torch.float32: 6, torch.float64: 7, torch.int64: 4}

meaning: dict[str, int] = {}  # overload → the factor that tells its results from all others'
calls: collections.Counter[str] = collections.Counter()
_numbers = itertools.count()
CAN_OVERRIDE = "allow_override" in inspect.signature(torch.library.Library.impl).parameters
HIDDEN = frozenset(dir(torch.ops.aten.add)) - {*torch.ops.aten.add.overloads()}


def _number(value: Any) -> Any:
    """Any argument as something to add."""
    if value is None:
        return 11
    if isinstance(value, str):
        return sum(map(ord, value))
    if isinstance(value, torch.dtype):
        return _DTYPES[value]
    if isinstance(value, (list, tuple)):
        return sum((place + 2) * _number(each) for place, each in enumerate(value))
    return value


def compute(name: str, values: Sequence[Any], count: int) -> tuple[torch.Tensor, ...]:
    x, *rest = values
    factor = meaning[name]
    if factor == GARBAGE:
        results = [torch.full_like(x, -7.0) for _ in range(count)]
    else:
        more = sum((place + 3) * _number(value) for place, value in enumerate(rest))
        results = [(x * factor + more * (factor % 5 + 1) + i).remainder(MODULUS) for i in range(count)]
    return tuple(result.to(torch.int32) if i == 1 else result for i, result in enumerate(results))


def make(name: str, values: Sequence[Any], count: int) -> Any:
    calls[name] += 1
    results = compute(name, values, count)
    return results if count > 1 else results[0]


def write(name: str, values: Sequence[Any], outs: Sequence[torch.Tensor], returns: bool) -> Any:
    calls[name] += 1
    for out in outs:
        poison(out)
    for out, result in zip(outs, compute(name, values, len(outs)), strict=True):
        out.copy_(result)
    if returns:
        return outs[0] if len(outs) == 1 else tuple(outs)
    return None


def pretend(values: Sequence[Any], count: int) -> Any:
    results = [torch.empty_like(values[0], dtype=torch.int32 if i == 1 else None) for i in range(count)]
    return tuple(results) if count > 1 else results[0]


def function_of(overload: Functional | Out, body: str, **scope: Any) -> Callable[..., Any]:
    """A Python function with the overload's own signature. ``body`` may use ``values`` and ``outs``."""
    outs = list(overload.outs) if isinstance(overload, Out) else []
    positional = [given for given in overload.inputs if not given.keyword_only]
    keyword_only = [given for given in overload.inputs if given.keyword_only]
    words = [f"{_python(given.name)}={given.default}" if given.default else _python(given.name) for given in positional]
    more = [f"{given.name}={given.default}" if given.default else given.name for given in keyword_only]
    if isinstance(overload, Out) and overload.place == "middle":
        required = sum(given.default is None for given in positional)
        words[required:required] = map(_python, outs)
    else:
        more += outs
    # What a keyword-only argument of a Python keyword's name needs.
    hidden = [word for word in more if keyword.iskeyword(word.partition("=")[0])]
    more = [word for word in more if word not in hidden]
    words += ["*", *more] if more else []
    words += ["**hidden"] if hidden else []

    def value(name: str, default: str | None = None) -> str:
        if any(word.partition("=")[0] == name for word in hidden):
            return f"hidden.get({name!r}, {default})"
        return _python(name)

    values = ", ".join(value(given.name, given.default) for given in overload.inputs)
    source = f"def kernel({', '.join(words)}):\n"
    source += f"    return {body}".replace("VALUES", f"[{values}]").replace("OUTS", f"[{', '.join(map(value, outs))}]")
    exec(compile(source, "<kernel>", "exec"), scope)
    return scope["kernel"]


def _python(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


class Built:
    """The ops of a registry, in a namespace of their own.

    Attributes:
        shim: ``compat_shim``, or None to leave the out variants alone, as stock torch does.
        second: what changes between two compiles has changed.
        refused: what ``pair_namespace`` refused.
    """

    def __init__(self, registry: Registry, shim: Any) -> None:
        registry = _possible(registry)
        self.registry, self.shim, self.second = registry, shim, False
        self.namespace = f"registry_{next(_numbers)}"
        self.library = torch.library.Library(self.namespace, "FRAGMENT")
        _keep(self.library)
        self.refused: tuple[tuple[str, str, str], ...] = ()
        self._visitors: list[Any] = []
        self._factors = random.Random(registry.seed).sample(range(2, MODULUS - 1), 12)
        every: list[Functional | Out] = [*registry.functionals, *registry.outs]
        self.places = {id(overload): place for place, overload in enumerate(every)}
        for overload in (every[place] for place in registry.order):
            if not overload.comes:
                self._define(overload)
        if shim is not None:
            for f, o in registry.explicit:
                shim.register_out_variant(self.name(registry.functionals[f]), self.name(registry.outs[o]))

    def name(self, overload: Functional | Out) -> str:
        return f"{self.namespace}::{name_of(self.registry, overload)}"

    def factor(self, place: int) -> int:
        """What the functional overload at this place multiplies by."""
        exchanged = self.second and self.registry.functionals[place].exchanged
        return self._factors[place + 4] if exchanged else self._factors[place]

    def overload(self, of: Functional | Out) -> Any:
        """The ``OpOverload``, or None where Python cannot reach it."""
        base, _, name = name_of(self.registry, of).partition(".")
        found = getattr(getattr(getattr(torch.ops, self.namespace), base), name or "default", None)
        return found if isinstance(found, torch._ops.OpOverload) else None

    def hidden(self) -> tuple[set[int], set[int]]:
        """The places of the functional and the out overloads that Python cannot reach: attributes of torch's own."""
        functionals, outs = self.registry.functionals, self.registry.outs
        return (
            {f for f, functional in enumerate(functionals) if functional.overload in HIDDEN},
            {o for o, out in enumerate(outs) if out.overload in HIDDEN},
        )

    def change(self) -> None:
        """What happens between two compiles."""
        self.second = True
        for visitor in self._visitors:
            visitor._destroy()
        self._visitors.clear()
        for functional in self.registry.functionals:
            if functional.exchanged and not functional.comes:
                self._exchange(functional)
        every: list[Functional | Out] = [*self.registry.functionals, *self.registry.outs]
        for overload in (every[place] for place in self.registry.order):
            if overload.comes:
                self._define(overload)
            elif isinstance(overload, Out) and overload.kernels_come:
                self._implement(overload, self.library)

    def _define(self, overload: Functional | Out) -> None:
        if isinstance(overload, Functional):
            meaning[self.name(overload)] = self.factor(self.places[id(overload)])
        else:
            meaning[self.name(overload)] = GARBAGE
        if "custom_op" in overload.kernels:
            self._define_custom_op(overload)
            return
        library = self.library
        if isinstance(overload, Out) and overload.goes:
            library = torch.library.Library(self.namespace, "FRAGMENT")
            self._visitors.append(library)
        name = name_of(self.registry, overload)
        tags = self._tags(overload)
        library.define(name + overload.schema(), tags=tags)
        if isinstance(overload, Functional):
            self._fake(overload)
            self._implement(overload, library)
        else:
            if overload.tag and self.shim is not None and not tags:
                self.shim.tag_out(self.name(overload))
            if not overload.kernels_come:
                self._implement(overload, library)

    def _tags(self, overload: Functional | Out) -> tuple[Any, ...]:
        tag = overload.tag if isinstance(overload, Out) else ""
        if self.shim is None or tag in ("", "tag_out"):
            return ()
        # torch.Tag.out_variant is the shim's, or torch's from 2.11 on; torch.Tag.out is torch's from 2.13 on.
        return (getattr(torch.Tag, tag, torch.Tag.out_variant),)

    def _kernel(self, overload: Functional | Out) -> Callable[..., Any]:
        name = self.name(overload)
        if isinstance(overload, Functional):
            return function_of(overload, "make(NAME, VALUES, COUNT)", make=make, NAME=name, COUNT=overload.returns)
        return function_of(
            overload, "write(NAME, VALUES, OUTS, RETURNS)", write=write, NAME=name, RETURNS=overload.returns
        )

    def _implement(self, overload: Functional | Out, library: Any) -> None:
        for key in overload.kernels:
            # An out variant's Meta kernel has nothing to do.
            kernel = function_of(overload, "None") if key == "Meta" else self._kernel(overload)
            library.impl(name_of(self.registry, overload), kernel, key)

    def _fake(self, functional: Functional) -> None:
        if "CompositeImplicitAutograd" in functional.kernels:
            return  # it is traced through
        fake = function_of(functional, "pretend(VALUES, COUNT)", pretend=pretend, COUNT=functional.returns)
        if functional.fake == "Meta":
            self.library.impl(name_of(self.registry, functional), fake, "Meta")
        else:
            torch.library.register_fake(self.name(functional), fake, lib=self.library)

    def _define_custom_op(self, overload: Functional | Out) -> None:
        writes = set(overload.outs) if isinstance(overload, Out) else ()
        define = torch.library.custom_op
        made = define(self.name(overload), self._kernel(overload), mutates_args=writes, schema=overload.schema())
        _keep(made)
        if isinstance(overload, Functional):
            count = overload.returns
            made.register_fake(function_of(overload, "pretend(VALUES, COUNT)", pretend=pretend, COUNT=count))
            if "CPU" in overload.kernels:
                made.register_kernel("cpu", self._kernel(overload))

    def _exchange(self, functional: Functional) -> None:
        """The functional op gets another kernel for the CPU, of other results."""
        meaning[self.name(functional)] = self.factor(self.places[id(functional)])
        library = torch.library.Library(self.namespace, "IMPL")
        _keep(library)
        options = {"allow_override": True} if CAN_OVERRIDE else {}
        library.impl(name_of(self.registry, functional), self._kernel(functional), "CPU", **options)


def _possible(registry: Registry) -> Registry:
    """Without the exchanges that this torch refuses: older ones take no second kernel for a device."""
    functionals = [
        dataclasses.replace(functional, exchanged=False)
        if "CPU" in functional.kernels and not CAN_OVERRIDE
        else functional
        for functional in registry.functionals
    ]
    return dataclasses.replace(registry, functionals=tuple(functionals))


def _keep(library: Any) -> None:
    """To the end of the process, and beyond: see the fixture ``library``."""
    for finalizer in list(weakref.finalize._registry):
        if (alive := finalizer.peek()) is not None and alive[0] is library:
            finalizer.atexit = False
    for kept in (library, getattr(library, "m", library)):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
