"""A small MLP with dynamically quantized linear layers, in the ops that executorch's quantizers and backends speak.

Each of four layers calls `quantized_decomposed::choose_qparams_per_token_asymmetric`, `quantize_per_token`,
`dequantize_per_token` (functional, composite, Python), the weights are int8 with a scale by channel
(`dequantize_per_channel`, which Inductor compiles itself), and the input is looked up by `embedding_byte`: 13 calls.
`executorch.kernels.quantized` brings C++ out variants of all of them.
"""


def make():
    import executorch.exir.passes._quant_patterns_and_replacements
    import executorch.extension.pybindings.portable_lib
    import executorch.kernels.quantized  # noqa: F401
    import torch.ao.quantization.fx._decomposed

    torch.manual_seed(0)
    ops = torch.ops.quantized_decomposed
    width = 64
    table = torch.randint(-128, 127, (100, width), dtype=torch.int8)
    table_scales = torch.rand(100) * 0.01 + 0.001
    zeros = torch.zeros(width, dtype=torch.int64)
    layers = [(torch.randint(-128, 127, (width, width), dtype=torch.int8), torch.rand(width) * 0.002) for _ in range(4)]

    @torch.no_grad()
    def forward(tokens):
        x = ops.embedding_byte(table, table_scales, None, -128, 127, tokens)
        for weight, scales in layers:
            scale, zero_point = ops.choose_qparams_per_token_asymmetric(x, torch.int8)
            q = ops.quantize_per_token(x, scale, zero_point, -128, 127, torch.int8)
            y = ops.dequantize_per_token(q, scale, zero_point, -128, 127, torch.int8, torch.float32)
            w = ops.dequantize_per_channel(weight, scales, zeros, 0, -128, 127, torch.int8)
            x = x + torch.tanh(torch.nn.functional.linear(y, w))
        return x

    return forward, (torch.randint(0, 100, (32,)),)
