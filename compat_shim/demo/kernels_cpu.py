"""The CPU kernels: aten out ops that write into the buffers given.

No output is allocated here. Each kernel has one scratch tensor of its own, since aten has no op
that divides and stores int8, nor one that multiplies int8 matrices into float32.
"""

from __future__ import annotations

import torch

SMALLEST_SCALE = 1e-12  # a row of zeros has scale 0, which nothing can be divided by


def quantize_rows(x: torch.Tensor, q: torch.Tensor, scale: torch.Tensor) -> None:
    """Write ``round(x / scale)`` to ``q`` and each row's ``max(abs(x)) / 127`` to ``scale``.

    Args:
        x: floating point, (rows, width).
        q: int8, (rows, width), written to.
        scale: float32, (rows, 1), written to.
    """
    torch.linalg.vector_norm(x, float("inf"), dim=1, keepdim=True, dtype=torch.float32, out=scale)
    scale.div_(127).clamp_(min=SMALLEST_SCALE)
    scratch = torch.div(x, scale)
    q.copy_(scratch.round_().clamp_(-127, 127))


def linear_dequant(
    q: torch.Tensor,
    scale: torch.Tensor,
    weight_q: torch.Tensor,
    weight_scale: torch.Tensor,
    bias: torch.Tensor | None,
    out: torch.Tensor,
) -> None:
    """Write ``(q * scale) @ (weight_q * weight_scale).T + bias`` to ``out``, summing in int32.

    Args:
        q, scale: int8, (rows, width); float32, (rows, 1).
        weight_q, weight_scale: int8, (out_features, width); float32, (out_features, 1).
        bias: float32, (out_features,), or None.
        out: float32, (rows, out_features), written to.
    """
    scratch = torch._int_mm(q, weight_q.t())
    torch.mul(scratch, scale, out=out)
    out.mul_(weight_scale.t())
    if bias is not None:
        out.add_(bias)
