"""Activations kept in float8 between layers, with torchao's float8 primitives.

Each of four layers calls `torchao::quantize_affine_float8_non_decomposed` and
`torchao::dequantize_affine_float8_non_decomposed` (functional, Python): eight calls. (`choose_scale_float8` is
decomposed.)
"""

import torch


def make():
    import torchao.quantization  # noqa: F401

    torch.manual_seed(0)
    ops = torch.ops.torchao
    layers = torch.nn.ModuleList(torch.nn.Linear(64, 64) for _ in range(4)).requires_grad_(False)

    @torch.no_grad()
    def forward(x):
        for layer in layers:
            y = torch.relu(layer(x))
            scale = ops.choose_scale_float8(y, [1, y.shape[-1]])
            packed = ops.quantize_affine_float8_non_decomposed(y, scale)
            x = x * 0.5 + ops.dequantize_affine_float8_non_decomposed(packed, scale)
        return x

    return forward, (torch.randn(32, 64),)
