"""LLM.int8() by hand, with the functions of `bitsandbytes.functional`: a residual MLP of six int8 matrix products.

Each product quantizes its input by rows (`bitsandbytes::int8_vectorwise_quant`), multiplies in int8
(`bitsandbytes::int8_linear_matmul`) and scales the int32 result back (`bitsandbytes::int8_mm_dequant`): 18 calls.
"""

import torch


def make(device="cpu"):
    import bitsandbytes.functional as F

    torch.manual_seed(0)
    sizes = [(256, 512), (512, 256)] * 3
    weights = [F.int8_vectorwise_quant(torch.randn(out, in_).half().to(device))[:2] for in_, out in sizes]

    def linear(x, weight, scale):
        rows, row_scale, _ = F.int8_vectorwise_quant(x)
        return F.int8_mm_dequant(F.int8_linear_matmul(rows, weight), row_scale, scale)

    @torch.no_grad()
    def forward(x):
        for up, down in zip(weights[::2], weights[1::2]):
            hidden = torch.nn.functional.silu(linear(x, *up) * 0.05)
            x = x + linear(hidden, *down) * 0.05
        return x

    return forward, (torch.randn(32, 256).half().to(device),)
