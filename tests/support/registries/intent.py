"""What the author of a registry means: the rules of pairing, read once more and apart from the code that is tested.

Nothing here imports compat_shim or torch.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable

from support.registries.registry import Functional, Input, Out, Registry, fits

Hidden = tuple[set[int], set[int]]
Pairs = dict[int, int]  # the place of a functional overload → that of an out overload, in the registry's lists


@dataclasses.dataclass(frozen=True)
class Meant:
    """The out variant of a functional overload, and how it came to be that."""

    out: int
    source: str


def pairs_of(registry: Registry, second: bool, by_namespace: Pairs, hidden: Hidden) -> dict[int, Meant]:
    """The pairs at the first or the second compile.

    Args:
        by_namespace: what ``pair_namespace`` paired before the first compile.
        hidden: the functional and the out overloads that Python cannot reach.
    """
    functionals, outs = alive(registry, second)
    found, given = {}, set()
    for f, o in registry.explicit:
        if (
            second
            and f in alive(registry, False)[0]
            and is_dropped(registry, f, o)
            and (f, o) in effective(registry, False, hidden)
        ):
            continue
        given.add(o)  # from now on it is nobody else's
        if (f, o) in effective(registry, second, hidden):
            found[f] = Meant(o, "registered")
    # An explicit pair leaves with both its ends.
    free_functionals = [f for f in functionals if f not in found]
    free_outs = [o for o in outs if o not in given]
    kept = {
        f: o
        for f, o in by_namespace.items()
        if f in free_functionals and o in free_outs and not (second and is_dropped(registry, f, o))
    }
    found |= {f: Meant(o, "namespace") for f, o in kept.items()}
    tagged = [o for o in free_outs if registry.outs[o].tag and not registry.outs[o].flat]
    for f, o in decide(registry, free_functionals, tagged, functionals).items():
        if f not in kept and o not in kept.values():
            found[f] = Meant(o, "tag")
    return {f: meant for f, meant in found.items() if f not in hidden[0] and meant.out not in hidden[1]}


def effective(registry: Registry, second: bool, hidden: Hidden) -> list[tuple[int, int]]:
    """The explicit pairs both of whose ops are there."""
    functionals, outs = alive(registry, second)
    return [
        (f, o)
        for f, o in registry.explicit
        if f in functionals and o in outs and f not in hidden[0] and o not in hidden[1]
    ]


def is_dropped(registry: Registry, f: int, o: int) -> bool:
    """torch.ops drops an op when a library that defined an overload of it goes, and pairs made by hand with it."""
    flat = registry.outs[o].flat
    return any(out.goes and (not out.flat or flat) for out in registry.outs)


def paired_by_namespace(registry: Registry, hidden: Hidden) -> Pairs:
    """What ``pair_namespace`` pairs before the first compile: of the whole family, the packet before the flat name."""
    functionals, outs = alive(registry, False)
    known = pairs_of(registry, False, {}, hidden)
    explicit = {f: meant.out for f, meant in known.items() if meant.source == "registered"}
    given = {o for _, o in registry.explicit}
    functionals_left = [f for f in functionals if f not in explicit]
    outs_left = [o for o in outs if o not in given]
    packet = [o for o in outs_left if not registry.outs[o].flat]
    flat = [o for o in outs_left if registry.outs[o].flat]
    found = decide(registry, functionals_left, packet, functionals)
    without = [f for f in functionals_left if not any(fits(registry.functionals[f], registry.outs[o]) for o in packet)]
    found |= decide(registry, without, flat, functionals)
    used = {meant.out for meant in known.values()}
    return {
        f: o for f, o in found.items() if f not in known and o not in used and f not in hidden[0] and o not in hidden[1]
    }


def alive(registry: Registry, second: bool) -> tuple[list[int], list[int]]:
    """The places of the overloads that exist at the first or the second compile."""
    functionals = [f for f, functional in enumerate(registry.functionals) if second or not functional.comes]
    outs = [o for o, out in enumerate(registry.outs) if not (out.goes if second else out.comes)]
    return functionals, outs


def decide(registry: Registry, functionals: Iterable[int], outs: Iterable[int], packet: Iterable[int]) -> Pairs:
    """Rules 2 to 6. Overloads that fit each other all fit the same ones, so each such group is decided by itself.

    Args:
        packet: all functional overloads of the op, whether they have a pair already or not.
    """
    functionals, packet = list(functionals), list(packet)
    groups: dict[object, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for f in functionals:
        functional = registry.functionals[f]
        groups[_key(functional.inputs, functional.returns)][0].append(f)
    for o in outs:
        out = registry.outs[o]
        # ``X_out`` is nobody's where it fits an ``X`` that has its pair already.
        named = {f for f in packet if _read(out) == f"{registry.functionals[f].overload.lower() or None}_out"}
        if not named.isdisjoint(functionals):
            named = set()
        if any(fits(registry.functionals[f], out) for f in named):
            continue
        groups[_key(out.inputs, len(out.outs))][1].append(o)
    has_default = any(not registry.functionals[f].overload for f in packet)
    found: Pairs = {}
    for mine, theirs in groups.values():
        found |= _decide_group(registry, mine, theirs, has_default)
    return found


def _key(inputs: tuple[Input, ...], count: int) -> object:
    return tuple((given.name, given.type.replace("SymInt", "int")) for given in inputs), count


def _decide_group(registry: Registry, functionals: list[int], outs: list[int], has_default: bool) -> Pairs:
    if len(functionals) == 1 and len(outs) == 1:
        return {functionals[0]: outs[0]}
    found: Pairs = {}
    for f in functionals:
        same = [o for o in outs if _defaults(registry.functionals[f]) == _defaults(registry.outs[o])]
        rivals = [g for g in functionals if _defaults(registry.functionals[g]) == _defaults(registry.functionals[f])]
        if len(same) == 1 and len(rivals) == 1:
            found[f] = same[0]
    functionals = [f for f in functionals if f not in found]
    outs = [o for o in outs if o not in found.values()]

    names = {f: registry.functionals[f].overload.lower() for f in functionals}
    read = {o: _read(registry.outs[o]) for o in outs}
    first = _claims(functionals, outs, lambda f, o: read[o] == (f"{names[f]}_out" if names[f] else "out"))
    open_outs = [o for o in outs if all(o != claimed for _, claimed in first)]
    open_functionals = [f for f in functionals if all(f != claimant for claimant, _ in first)]
    second = _claims(
        open_functionals,
        open_outs,
        lambda f, o: (
            (read[o] == "out" and not has_default)
            or (names[f].startswith("dim_") and read[o] == f"{names[f].removeprefix('dim_')}_out")
        ),
    )
    claims = first + second
    claimants, claimed = Counter(f for f, _ in claims), Counter(o for _, o in claims)
    return found | {f: o for f, o in claims if claimants[f] == 1 and claimed[o] == 1}


def _claims(
    functionals: Collection[int], outs: Collection[int], says: Callable[[int, int], bool]
) -> list[tuple[int, int]]:
    return [(f, o) for f in functionals for o in outs if says(f, o)]


def _defaults(overload: Functional | Out) -> list[str | None]:
    # torch does not tell a default of None from none.
    return [given.default if given.default != "None" else None for given in overload.inputs]


def _read(out: Out) -> str:
    """The name that says whose out variant it is: ``op_out.x`` reads as ``op.x_out``."""
    name = out.overload.lower()
    if not out.flat or name.endswith("out"):
        return name
    return f"{name}_out" if name else "out"


def is_called_instead(registry: Registry, f: int, meant: Meant, second: bool) -> bool:
    """Rule 7 on the CPU: whether the functional overload's call runs the out variant."""
    functional, out = registry.functionals[f], registry.outs[meant.out]
    keys = () if out.kernels_come and not second else out.kernels
    if not {*keys} & {"CPU", "CompositeExplicitAutograd", "CompositeImplicitAutograd", "custom_op"}:
        return False
    if meant.source == "registered":
        return True
    since = second and (out.comes or out.kernels_come)  # the out variant's kernels are those of the second compile
    exchanged = second and functional.exchanged
    if exchanged and not since:
        return False
    # The own kernel of a custom_op takes the place of its default one: like an exchange, if the out variant's is older.
    if functional.kernels == ("custom_op", "CPU") and not exchanged and not (since and not functional.comes):
        order = registry.order
        if (functional.comes and not since) or order.index(f) > order.index(len(registry.functionals) + meant.out):
            return False
    own = "CPU" in functional.kernels or exchanged
    return not own or "CPU" in keys or "custom_op" in keys
