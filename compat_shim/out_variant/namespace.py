"""Pair the ops of a namespace with their out variants, where none of them carries a tag."""

from __future__ import annotations

import dataclasses

import torch

from compat_shim.out_variant import lookalikes, names, pairing, registry
from compat_shim.out_variant import schema as schemas

# Those that torch itself defines, on some release from 2.6 to 2.15. ``quantized_decomposed`` is not among
# them: executorch defines out variants in it. Ops of ``_c10d_functional`` are asynchronous.
TORCH_NAMESPACES = frozenset(
    {
        "_c10d_functional",
        "_c10d_functional_autograd",
        "_dtensor",
        "_inductor_test",
        "_native",
        "_native_aot",
        "_quantized",
        "_test",
        "aten",
        "c10d",
        "c10d_functional",
        "coor",
        "debug_mode_ops",
        "debugprims",
        "export",
        "flex_gemm",
        "flex_lib",
        "fsdp",
        "inductor",
        "inductor_prims",
        "mempool",
        "mkl",
        "mkldnn",
        "mkldnn_prepacked",
        "onednn",
        "onnx",
        "onnx_symbolic",
        "prepacked",
        "prim",
        "prims",
        "profiler",
        "quantization",
        "quantized",
        "rngprims",
        "sparse",
        "static_runtime",
        "streams",
        "symm_mem",
    }
)


@dataclasses.dataclass(frozen=True)
class NamespaceReport:
    """What :func:`pair_namespace` did.

    Attributes:
        namespace: the one it was asked for.
        paired: the pairs that it registered, ``(functional, out)`` by name.
        already: the pairs that there were before.
        refused: functional op, the op whose name says that it is the out variant, and why it is not.
        ops: how many overloads the namespace has.
        limited: of the pairs, those of which calls are not lowered on some devices: functional op, out variant,
            and on which, why, and what to do.
    """

    namespace: str
    paired: tuple[tuple[str, str], ...]
    already: tuple[tuple[str, str], ...]
    refused: tuple[tuple[str, str, str], ...]
    ops: int = 0
    limited: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        if not self.ops:
            return f"{self.namespace}: no loaded library defines an op of this namespace; load it first"
        lines = [f"{self.namespace}: {len(self.paired)} paired, {len(self.refused)} refused"]
        lines += [f"  paired   {functional} => {out}" for functional, out in self.paired]
        lines += [f"  already  {functional} => {out}" for functional, out in self.already]
        lines += [f"  limited  {functional} => {out}: {why}" for functional, out, why in self.limited]
        lines += [f"  refused  {functional} => {out}: {why}" for functional, out, why in self.refused]
        return "\n".join(lines)


def pair_namespace(namespace: str) -> NamespaceReport:
    """Register every functional op of a namespace with the out variant that its name suggests.

    For ``ns::op`` the overloads of ``ns::op`` that write to arguments may be out variants, and for a functional
    overload that none of these fits, those of ``ns::op_out``. Which of them belong together is decided as for
    tagged overloads (:mod:`compat_shim.out_variant.families`). It is the caller's word that the kernels keep the
    out contract: each writes its outputs into the buffers that it is given, and does nothing else. Ops that are
    paired are left as they are, and nothing else is changed. Ops that are defined later are not seen.

    Args:
        namespace: for example ``"_C"``.

    Returns:
        What was paired and what was refused and why; ``print`` it.

    Raises:
        ValueError: the namespace is one of torch's own (``aten``, ``prims``, ``_c10d_functional``, ...).
    """
    if namespace in TORCH_NAMESPACES:
        raise ValueError(
            f"{namespace} holds torch's own ops, which are not paired by namespace; pair one of them by"
            " register_out_variant"
        )
    all_names = _all_names(namespace)
    found = _Found()
    for base in sorted({names.op_of(name) for name in all_names}):
        _pair_op(base, found)
    limited = [(*pair, why) for pair in (*found.paired, *found.already) for why in _limits(pair[0])]
    return NamespaceReport(
        namespace,
        tuple(found.paired),
        tuple(found.already),
        tuple(found.refused),
        len(all_names),
        limited=tuple(limited),
    )


@dataclasses.dataclass
class _Found:
    """As in :class:`NamespaceReport`, while it is being made."""

    paired: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    already: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    refused: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)


def _pair_op(base: str, found: _Found) -> None:
    known = _known(base)
    found.already += known.items()
    # Decided as a whole: what has its pair by tag is still a rival of the rest.
    open_to = pairing.family_of(base, names.writing(base)).without({*known, *known.values()})
    _register(open_to, found.paired)
    # The packet goes before the flat name.
    fitted = {names.of_schema(open_to.functionals[mine]) for mine, _ in open_to.decision.edges}
    flat = pairing.family_of(base, names.writing(f"{base}_out"), taken={*known, *fitted})
    _register(flat, found.paired)
    done = {name for name, _ in (*found.paired, *known.items())}
    for schema in open_to.functionals:
        name = names.of_schema(schema)
        if name in done or not schema.returns:
            continue
        for out, reasons in lookalikes.refusals(schema, (open_to, flat)):
            found.refused.append((name, out, "; ".join(reasons)))


def _all_names(namespace: str) -> list[str]:
    return [name for name in torch._C._dispatch_get_all_op_names() if name.startswith(f"{namespace}::")]


def _known(base: str) -> dict[str, str]:
    """The pairs that the op's overloads are in."""
    found = {}
    for schema in names.schemas_of(base):
        pair = pairing.find_pair_by_name(names.of_schema(schema)) if schemas.is_functional(schema) else None
        if pair is not None:
            found[pair.functional.name()] = pair.out.name()
    return found


def _limits(functional: str) -> tuple[str, ...]:
    pair = pairing.find_pair_by_name(functional)
    return () if pair is None else lookalikes.limits(pair)


def _register(family: pairing.Family, paired: list[tuple[str, str]]) -> None:
    for mine, theirs in family.decision.pairs.items():
        functional, out = names.of_schema(family.functionals[mine]), names.of_schema(family.outs[theirs])
        functional_op, out_op = names.find(functional), names.find(out)
        if functional_op is not None and out_op is not None:
            registry.register_from_namespace(functional_op, out_op)
            paired.append((functional, out))
