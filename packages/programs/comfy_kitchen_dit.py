"""A diffusion transformer's blocks with comfy_kitchen: adaptive norm, int8 layers, and rotary embedding in place.

For each of two blocks: `adaln` twice, `int8_linear` four times (functional custom_ops), and `rms_rope_` once, which
writes to `q` and `k` (a mutable custom_op). All are Python `torch.library.custom_op`s of the namespace
`comfy_kitchen`. `ck.int8_linear` looks up its backend under a lock, which breaks the graph; so the op, as ck's
quantized tensors call it.
"""

import torch


def make(device="cpu"):
    import comfy_kitchen as ck
    from comfy_kitchen.backends.eager.quantization import DTYPE_TO_CODE

    torch.manual_seed(0)
    dim, heads, tokens = 128, 4, 32

    def quantized(out, in_):
        return ck.quantize_int8_rowwise(torch.randn(out, in_).to(device) * in_**-0.5)

    blocks = [
        [quantized(o, i) for o, i in ((3 * dim, dim), (dim, dim), (4 * dim, dim), (dim, 4 * dim))] for _ in range(2)
    ]
    scale, shift = torch.randn(2, 1, 1, dim).to(device) * 0.1
    angles = torch.arange(tokens)[:, None] * 100.0 ** (-torch.arange(dim // heads // 2) / (dim // heads // 2))
    cos, sin = angles.cos(), angles.sin()
    freqs = torch.stack((cos, -sin, sin, cos), -1).reshape(1, 1, tokens, dim // heads // 2, 2, 2).to(device)
    norm = torch.ones(dim // heads).to(device)

    def linear(x, weight):
        return torch.ops.comfy_kitchen.int8_linear(x.contiguous(), *weight, None, DTYPE_TO_CODE[x.dtype])

    @torch.no_grad()
    def forward(x):
        for qkv, out, up, down in blocks:
            y = linear(ck.adaln(x, scale, shift), qkv).reshape(1, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
            q, k, v = y.contiguous().unbind()
            q, k = ck.rms_rope_(q, k, freqs, norm)
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
            x = x + linear(y, out)
            x = x + linear(torch.nn.functional.gelu(linear(ck.adaln(x, scale, shift), up)), down)
        return x

    return forward, (torch.randn(1, tokens, dim).to(device),)
