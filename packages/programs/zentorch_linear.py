"""A small MLP classifier of tokens in zentorch's fused operators, for AMD EPYC processors (any x86-64 runs it).

`zentorch::zentorch_embedding` once; each of four layers calls `zentorch_linear_unary` (linear and GELU in one) and
`zentorch_linear_unary_binary` (linear, and the residual added): nine calls, functional, C++.
"""

import torch


def make():
    import zentorch  # noqa: F401

    torch.manual_seed(0)
    ops = torch.ops.zentorch
    width = 64
    table = torch.randn(100, width)
    layers = [
        (torch.randn(4 * width, width) * width**-0.5, torch.randn(width, 4 * width) * width**-0.5) for _ in range(4)
    ]
    norm = torch.nn.LayerNorm(width).requires_grad_(False)

    @torch.no_grad()
    def forward(tokens):
        x = ops.zentorch_embedding(table, tokens)
        for up, down in layers:
            hidden = ops.zentorch_linear_unary(norm(x), up, post_op="gelu_tanh")
            x = ops.zentorch_linear_unary_binary(hidden, down, x, post_op_1="none", post_op_2="add")
        return x * 0.5

    return forward, (torch.randint(0, 100, (16,)),)
