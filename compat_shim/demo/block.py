"""What is compiled: layers of quantization ops with plain torch between them.

Inductor fuses the plain parts (norm, silu, residual) to kernels of its own, so their buffers and
those of the quantization ops are planned together.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from compat_shim.demo.ops import NAMESPACE

CALLS_PER_LAYER = 2  # quantize_rows and linear_dequant


class Layer(torch.nn.Module):
    """``x + silu(linear(layer_norm(x)))`` with an int8 linear.

    Args:
        width: features of input and output.
        bias: whether the linear has one.
        generator: of the random weights, on the CPU.
    """

    def __init__(self, width: int, bias: bool, generator: torch.Generator) -> None:
        super().__init__()
        weight = torch.randn(width, width, generator=generator) * (2.0 / width**0.5)
        weight_q, weight_scale = _op("quantize_rows")(weight)
        self.register_buffer("weight_q", weight_q)
        self.register_buffer("weight_scale", weight_scale)
        self.register_buffer("bias", torch.randn(width, generator=generator) if bias else None)
        self.register_buffer("gain", 1.0 + 0.1 * torch.randn(width, generator=generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Args: ``x``: float32, (rows, width). Returns the same."""
        normed = F.layer_norm(x, self.gain.shape, self.gain)
        q, scale = _op("quantize_rows")(normed)
        return x + F.silu(_op("linear_dequant")(q, scale, self.weight_q, self.weight_scale, self.bias))


class Block(torch.nn.Sequential):
    """``layers`` layers, every other one with a bias; float32, (rows, width) in and out."""

    def __init__(self, layers: int, width: int) -> None:
        generator = torch.Generator().manual_seed(0)
        super().__init__(*(Layer(width, bias=index % 2 == 0, generator=generator) for index in range(layers)))


def ops_alone(x: torch.Tensor, layer: Layer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One call of each op, all outputs returned: compiled, it must equal eager bit by bit.

    Args:
        x: float32, (rows, width).
        layer: whose weight the linear has.

    Returns:
        q: int8, (rows, width); scale: float32, (rows, 1); the linear's output: float32, (rows, width).
    """
    q, scale = _op("quantize_rows")(x)
    return q, scale, _op("linear_dequant")(q, scale, layer.weight_q, layer.weight_scale, layer.bias)


def _op(name: str) -> torch._ops.OpOverloadPacket:
    return getattr(getattr(torch.ops, NAMESPACE), name)
