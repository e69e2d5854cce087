"""Rowwise 8-bit quantization of activations between layers with fbgemm_gpu's CPU operators.

Each of four layers calls `fbgemm::FloatToFused8BitRowwiseQuantized` and `fbgemm::Fused8BitRowwiseQuantizedToFloat`
(functional, C++): eight calls.
"""

import torch


def make():
    import fbgemm_gpu  # noqa: F401

    torch.manual_seed(0)
    layers = torch.nn.ModuleList(torch.nn.Linear(64, 64) for _ in range(4)).requires_grad_(False)

    @torch.no_grad()
    def forward(x):
        for layer in layers:
            packed = torch.ops.fbgemm.FloatToFused8BitRowwiseQuantized(torch.relu(layer(x)))
            x = torch.ops.fbgemm.Fused8BitRowwiseQuantizedToFloat(packed) + x * 0.5
        return x

    return forward, (torch.randn(32, 64),)
