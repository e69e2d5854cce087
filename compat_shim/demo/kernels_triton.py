"""The CUDA kernels, in Triton 3.1 or later, with the same arithmetic as those for the CPU.

Imported when the first CUDA tensor arrives.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from compat_shim.demo.kernels_cpu import SMALLEST_SCALE


@triton.jit  # type: ignore
def _quantize_rows(x, q, scale, width, x_stride, q_stride, SMALLEST: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore
    row = tl.program_id(0).to(tl.int64)
    largest = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, width, BLOCK):
        column = start + tl.arange(0, BLOCK)
        value = tl.load(x + row * x_stride + column, mask=column < width, other=0.0).to(tl.float32)
        largest = tl.maximum(largest, tl.abs(value))
    step = tl.maximum(tl.div_rn(tl.max(largest, axis=0), 127.0), SMALLEST)
    tl.store(scale + row, step)
    for start in range(0, width, BLOCK):
        column = start + tl.arange(0, BLOCK)
        value = tl.load(x + row * x_stride + column, mask=column < width, other=0.0).to(tl.float32)
        # Adding and taking away 1.5 * 2**23 leaves a float32 rounded, half to even.
        rounded = (tl.div_rn(value, tl.zeros_like(value) + step) + 12582912.0) - 12582912.0
        rounded = tl.minimum(tl.maximum(rounded, -127.0), 127.0)
        tl.store(q + row * q_stride + column, rounded.to(tl.int8), mask=column < width)


@triton.jit  # type: ignore
def _linear_dequant(  # type: ignore
    q,
    scale,
    weight_q,
    weight_scale,
    bias,
    out,
    rows,
    features,
    width,
    q_stride,
    weight_stride,
    out_stride,
    HAS_BIAS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_FEATURES: tl.constexpr,
    BLOCK_WIDTH: tl.constexpr,
):
    row = (tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)).to(tl.int64)
    feature = (tl.program_id(1) * BLOCK_FEATURES + tl.arange(0, BLOCK_FEATURES)).to(tl.int64)
    in_rows, in_features = row < rows, feature < features
    total = tl.zeros((BLOCK_ROWS, BLOCK_FEATURES), tl.int32)
    for start in range(0, width, BLOCK_WIDTH):
        column = start + tl.arange(0, BLOCK_WIDTH)
        in_width = column < width
        left = q + row[:, None] * q_stride + column[None, :]
        right = weight_q + feature[None, :] * weight_stride + column[:, None]
        total += tl.dot(
            tl.load(left, mask=in_rows[:, None] & in_width[None, :], other=0),
            tl.load(right, mask=in_features[None, :] & in_width[:, None], other=0),
        )
    row_scale = tl.load(scale + row, mask=in_rows, other=0.0)
    feature_scale = tl.load(weight_scale + feature, mask=in_features, other=0.0)
    result = total.to(tl.float32) * row_scale[:, None] * feature_scale[None, :]
    if HAS_BIAS:
        result += tl.load(bias + feature, mask=in_features, other=0.0)[None, :]
    place = out + row[:, None] * out_stride + feature[None, :]
    tl.store(place, result, mask=in_rows[:, None] & in_features[None, :])


def quantize_rows(x: torch.Tensor, q: torch.Tensor, scale: torch.Tensor) -> None:
    """As :func:`compat_shim.demo.kernels_cpu.quantize_rows`, on CUDA; rows must be contiguous."""
    rows, width = x.shape
    block = min(triton.next_power_of_2(width), 4096)
    with torch.cuda.device(x.device):
        _quantize_rows[(rows,)](
            x, q, scale, width, x.stride(0), q.stride(0), SMALLEST=SMALLEST_SCALE, BLOCK=block, num_warps=4
        )


def linear_dequant(
    q: torch.Tensor,
    scale: torch.Tensor,
    weight_q: torch.Tensor,
    weight_scale: torch.Tensor,
    bias: torch.Tensor | None,
    out: torch.Tensor,
) -> None:
    """As :func:`compat_shim.demo.kernels_cpu.linear_dequant`, on CUDA; rows must be contiguous."""
    rows, width = q.shape
    features = weight_q.shape[0]
    block_rows, block_features, block_width = 32, 64, 64
    grid = (triton.cdiv(rows, block_rows), triton.cdiv(features, block_features))
    with torch.cuda.device(q.device):
        _linear_dequant[grid](
            q,
            scale,
            weight_q,
            weight_scale,
            scale if bias is None else bias,  # without a bias the pointer is not read
            out,
            rows,
            features,
            width,
            q.stride(0),
            weight_q.stride(0),
            out.stride(0),
            HAS_BIAS=bias is not None,
            BLOCK_ROWS=block_rows,
            BLOCK_FEATURES=block_features,
            BLOCK_WIDTH=block_width,
            num_warps=4,
        )
