"""Out ops by the user's word: ops that carry no tag and are treated as if they carried one."""

from __future__ import annotations

from typing import Any

from torch._ops import OpOverload

from compat_shim import process
from compat_shim.calls.kernel_record import BUILTIN as BUILTIN
from compat_shim.out_variant import names
from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant.tag import out_tags

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

# Names, not overloads: an op may be marked before its library is loaded.
_tagged: set[str] = process.shared("tagged", set)
_called_directly: set[str] = process.shared("called directly", set)


def tag_out(op: OpOverload | str) -> None:
    """Treat ``op`` as if it carried ``torch.Tag.out_variant``: for ops registered without a tag.

    Functional ops of the same name are then paired with it where the schemas match, and it can be
    called directly in compiled code. It is the caller's word that the kernel writes each output
    into the buffer that it is given and does nothing else. The op itself is not changed.

    Args:
        op: the overload, or its name (``"ns::op.out"``), which may be defined later.

    Raises:
        TypeError: ``op`` is neither.
        ValueError: the name is not one or that of an op of torch's own, or the op exists and is no
            out op: it writes to no Tensor, or returns something other than nothing or its out
            arguments in order. One that comes later and is none is left to torch.
    """
    name = names.name_of(op)
    if names.split(name)[0] in BUILTIN:
        raise ValueError(f"{name} is an op of torch's own, which torch lowers itself; only custom ops are tagged")
    process.warn_of_other_version()
    overload = names.find(name)
    if overload is not None:
        found = problems(overload._schema)
        if found:
            raise ValueError(f"{name} is not an out op: {'; '.join(found)}\n  {overload._schema}")
    _tagged.add(name)


def problems(schema: Any) -> list[str]:
    """Why an op of this schema is not an out op; empty if it is one."""
    outs = schemas.out_arguments(schema)
    found = [f"it writes to a {out.type}, {out.name!r}" for out in outs if str(out.type) not in schemas.OUT_TYPES]
    if not outs:
        found.append("it writes to no argument")
    if not schemas.returns_match(schema):
        found.append("it returns something other than nothing or its out arguments in order")
    return found


def is_tagged(op: OpOverload) -> bool:
    """Whether ``op`` is tagged as an out variant, or marked by :func:`tag_out`."""
    return any(tag in op.tags for tag in out_tags()) or op.name() in _tagged


def is_tagged_name(name: str) -> bool:
    """:func:`is_tagged` of the overload of this name, without making its packet."""
    return name in _tagged or any(tag in names.tags_of(name) for tag in out_tags())


def marked_names() -> tuple[str, ...]:
    """The names given to :func:`tag_out`."""
    return tuple(_tagged)


def allow_direct_calls(name: str) -> None:
    """Let compiled code call the op of this name directly: it was registered as an out variant."""
    _called_directly.add(name)


def is_allowed_direct(name: str) -> bool:
    """Whether the op of this name was registered as an out variant, so that compiled code may call it directly."""
    return name in _called_directly
