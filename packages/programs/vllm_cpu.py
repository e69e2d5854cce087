"""Llama's MLP blocks in the CPU kernels of vLLM: RMS norm with the residual, and the gated activation.

Each of four blocks calls `_C::fused_add_rms_norm` (writes to the activation and the residual) and `_C::silu_and_mul`
(writes to a fresh buffer): eight calls of *mutable* C++ ops. Only vLLM's library of ops is loaded: `import vllm`
wants an engine's worth of requirements.
"""

import importlib.util
from pathlib import Path

import torch


def make():
    folder = Path(importlib.util.find_spec("vllm").submodule_search_locations[0])
    avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    torch.ops.load_library(folder / ("_C_AVX512.abi3.so" if avx512 else "_C_AVX2.abi3.so"))

    torch.manual_seed(0)
    width = 64
    norms = [torch.rand(width) for _ in range(4)]
    weights = [(torch.randn(8 * width, width) * 0.1, torch.randn(width, 4 * width) * 0.1) for _ in range(4)]

    @torch.no_grad()
    def forward(x):
        x, residual = x.clone(), torch.zeros_like(x)
        for norm, (up, down) in zip(norms, weights):
            torch.ops._C.fused_add_rms_norm(x, residual, norm, 1e-6)
            gate = torch.nn.functional.linear(x, up)
            hidden = torch.empty(gate.shape[0], gate.shape[1] // 2)
            torch.ops._C.silu_and_mul(hidden, gate)
            x = torch.nn.functional.linear(hidden, down) * 0.5
        return x + residual

    return forward, (torch.randn(32, width),)
