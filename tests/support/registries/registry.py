"""Random registries of ops: what an author writes down, before any of it exists.

A registry is a namespace with one op, its functional overloads, the overloads that may be out variants, the way
in which its author says so, and what changes between two compiles.
"""

from __future__ import annotations

import dataclasses

# Stock torch refuses a call that gives these by keyword, and gives defaults so. It takes ``self`` as the first only.
BY_POSITION = ("out", "kernel", "cls", "self")


@dataclasses.dataclass(frozen=True)
class Input:
    """An argument that is read."""

    type: str
    name: str
    default: str | None = None
    keyword_only: bool = False

    def __str__(self) -> str:
        return f"{self.type} {self.name}" + (f"={self.default}" if self.default is not None else "")


@dataclasses.dataclass(frozen=True)
class Functional:
    """A functional overload.

    Attributes:
        kernels: the dispatch keys of its kernels; ``custom_op`` stands for a custom_op's default kernel.
        fake: ``Meta`` if the fake kernel is registered with that key, else ``register_fake``.
        comes: it is defined only before the second compile.
        exchanged: it gets another kernel for the CPU before the second compile.
    """

    overload: str
    inputs: tuple[Input, ...]
    returns: int
    kernels: tuple[str, ...]
    fake: str = ""
    comes: bool = False
    exchanged: bool = False

    def schema(self) -> str:
        returns = ", ".join(["Tensor"] * self.returns)
        return f"({_listed(self.inputs)}) -> {returns if self.returns == 1 else f'({returns})'}"


@dataclasses.dataclass(frozen=True)
class Out:
    """An overload that writes.

    Attributes:
        flat: it is an overload of ``<op>_out``.
        place: where its out arguments stand, ``keyword`` or ``middle``.
        letters: the out arguments are ``Tensor(a!)``, not ``Tensor!``.
        returns: it returns its out arguments.
        tag: ``out_variant``, ``out`` (where torch has it), ``tag_out`` or none.
        comes, goes: it is defined only before the second compile; its library goes away before that.
        kernels_come: its kernels are registered only before the second compile.
    """

    overload: str
    flat: bool
    inputs: tuple[Input, ...]
    outs: tuple[str, ...]
    kernels: tuple[str, ...]
    place: str = "keyword"
    letters: bool = True
    returns: bool = False
    tag: str = ""
    comes: bool = False
    goes: bool = False
    kernels_come: bool = False

    def schema(self) -> str:
        outs = [
            f"Tensor({'abc'[i]}!) {name}" if self.letters else f"Tensor! {name}" for i, name in enumerate(self.outs)
        ]
        returns = ", ".join(f"Tensor({'abc'[i]}!)" for i in range(len(outs))) if self.returns else ""
        returns = returns if self.returns and len(outs) == 1 else f"({returns})"
        return f"({_listed(self.inputs, outs, self.place)}) -> {returns}"


def _listed(inputs: tuple[Input, ...], outs: list[str] | None = None, place: str = "keyword") -> str:
    positional = [str(given) for given in inputs if not given.keyword_only]
    keyword_only = [str(given) for given in inputs if given.keyword_only]
    if outs and place == "middle":
        required = sum(not given.keyword_only and given.default is None for given in inputs)
        positional[required:required] = outs
    elif outs:
        keyword_only += outs
    return ", ".join(positional + (["*", *keyword_only] if keyword_only else []))


@dataclasses.dataclass(frozen=True)
class Registry:
    """What the author of a namespace writes.

    Attributes:
        base: the op's name.
        order: the order of definition: places in ``functionals``, then (from ``len(functionals)`` on) in ``outs``.
        explicit: pairs by ``register_out_variant``, as places in ``functionals`` and ``outs``.
        namespace: ``pair_namespace`` is called before the first compile.
    """

    seed: str
    base: str
    functionals: tuple[Functional, ...]
    outs: tuple[Out, ...]
    order: tuple[int, ...]
    explicit: tuple[tuple[int, int], ...] = ()
    namespace: bool = False

    def __str__(self) -> str:
        lines = [f"registry {self.seed}: order {self.order}, explicit {self.explicit}, namespace={self.namespace}"]
        for functional in self.functionals:
            marks = _marks(functional, "comes", "exchanged", "fake")
            lines.append(f"  {name_of(self, functional)}{functional.schema()}  {functional.kernels}{marks}")
        for out in self.outs:
            marks = _marks(out, "tag", "comes", "goes", "kernels_come")
            lines.append(f"  {name_of(self, out)}{out.schema()}  {out.kernels}{marks}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    @property
    def changes(self) -> bool:
        """Whether something differs at the second compile."""
        return any(f.comes or f.exchanged for f in self.functionals) or any(
            out.comes or out.goes or out.kernels_come for out in self.outs
        )


def _marks(overload: object, *names: str) -> str:
    return "".join(f" {name}={value}" for name in names if (value := getattr(overload, name)))


def name_of(registry: Registry, overload: Functional | Out) -> str:
    """``op.overload``, without the namespace."""
    base = f"{registry.base}_out" if isinstance(overload, Out) and overload.flat else registry.base
    return f"{base}.{overload.overload}" if overload.overload else base


def fits(functional: Functional, out: Out) -> bool:
    """Whether the out overload can be called in the functional one's place: defaults do not count."""
    return _shape(functional.inputs) == _shape(out.inputs) and functional.returns == len(out.outs)


def _shape(inputs: tuple[Input, ...]) -> list[tuple[str, str]]:
    return [(given.name, given.type.replace("SymInt", "int")) for given in inputs]
