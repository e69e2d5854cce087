"""Two quantization ops, each with a functional form and an out variant tagged as one.

``quantize_rows(Tensor x) -> (Tensor q, Tensor scale)``
    ``x``: floating point, (rows, width). ``q``: int8, (rows, width). ``scale``: float32, (rows, 1).
    ``q * scale`` is ``x`` up to rounding.
``linear_dequant(Tensor q, Tensor scale, Tensor weight_q, Tensor weight_scale, Tensor? bias) -> Tensor``
    ``weight_q``: int8, (out_features, width), as quantized by rows. ``bias``: float32,
    (out_features,). Returns float32, (rows, out_features).

All tensors are on one device, CPU or CUDA. Both forms run one kernel: the out variant in the
buffers that it is given, the functional form in buffers that it allocates.
"""

from __future__ import annotations

from types import ModuleType

import torch

from compat_shim.demo import kernels_cpu

NAMESPACE = "compat_shim_demo"

_LINEAR_INPUTS = "Tensor q, Tensor scale, Tensor weight_q, Tensor weight_scale, Tensor? bias=None"


def register() -> torch.library.Library:
    """Define the ops and their kernels. They exist as long as the library that is returned.

    Up to torch 2.10 the shim must be active, or there is no such tag.
    """
    tags = (torch.Tag.out_variant,)
    library = torch.library.Library(NAMESPACE, "DEF")
    library.define("quantize_rows(Tensor x) -> (Tensor q, Tensor scale)")
    library.define("quantize_rows.out(Tensor x, *, Tensor(a!) q, Tensor(b!) scale) -> ()", tags=tags)
    library.define(f"linear_dequant({_LINEAR_INPUTS}) -> Tensor")
    library.define(f"linear_dequant.out({_LINEAR_INPUTS}, *, Tensor(a!) out) -> Tensor(a!)", tags=tags)
    for key in ("CPU", "CUDA"):
        library.impl("quantize_rows", _quantize_rows, key)
        library.impl("quantize_rows.out", _quantize_rows_out, key)
        library.impl("linear_dequant", _linear_dequant, key)
        library.impl("linear_dequant.out", _linear_dequant_out, key)
    torch.library.register_fake(f"{NAMESPACE}::quantize_rows", _empty_quantized, lib=library)
    torch.library.register_fake(f"{NAMESPACE}::linear_dequant", _empty_linear, lib=library)
    return library


def _kernels(tensor: torch.Tensor) -> ModuleType:
    if not tensor.is_cuda:
        return kernels_cpu
    # Imports triton, which a machine without a GPU need not have.
    from compat_shim.demo import kernels_triton

    return kernels_triton


def _quantize_rows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    q, scale = _empty_quantized(x)
    _quantize_rows_out(x, q=q, scale=scale)
    return q, scale


def _quantize_rows_out(x: torch.Tensor, *, q: torch.Tensor, scale: torch.Tensor) -> None:
    _kernels(x).quantize_rows(x, q, scale)


def _linear_dequant(
    q: torch.Tensor,
    scale: torch.Tensor,
    weight_q: torch.Tensor,
    weight_scale: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    return _linear_dequant_out(
        q, scale, weight_q, weight_scale, bias, out=_empty_linear(q, scale, weight_q, weight_scale, bias)
    )


def _linear_dequant_out(
    q: torch.Tensor,
    scale: torch.Tensor,
    weight_q: torch.Tensor,
    weight_scale: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    out: torch.Tensor,
) -> torch.Tensor:
    _kernels(q).linear_dequant(q, scale, weight_q, weight_scale, bias, out)
    return out


def _empty_quantized(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``quantize_rows`` returns, uninitialised. Also its fake kernel."""
    rows, width = x.shape
    return x.new_empty((rows, width), dtype=torch.int8), x.new_empty((rows, 1), dtype=torch.float32)


def _empty_linear(
    q: torch.Tensor,
    scale: torch.Tensor,
    weight_q: torch.Tensor,
    weight_scale: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """What ``linear_dequant`` returns, uninitialised. Also its fake kernel."""
    return q.new_empty((q.shape[0], weight_q.shape[0]), dtype=torch.float32)
