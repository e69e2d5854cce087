"""Models, training steps and control flow without an out variant of a custom op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal, self.qkv, self.out = causal, nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, 4, 8).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(x.shape))


class ByHand(nn.Module):
    """Attention with a mask and a bias by position, from matrix products."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = x @ x.transpose(-1, -2) / x.shape[-1] ** 0.5
        distance = torch.arange(x.shape[1])[:, None] - torch.arange(x.shape[1])
        return (scores - distance.abs()).masked_fill(distance < 0, float("-inf")).softmax(-1) @ x


class Loop(nn.Module):
    """A recurrent cell, step by step."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: Any = None
        outputs = []
        for step in x.unbind(1):
            state = self.cell(step, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs, 1)


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


class Experts(nn.Module):
    """Routing of rows to the best two of four linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(16, 4)
        self.weights = nn.Parameter(torch.randn(4, 16, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, which = self.gate(x).softmax(-1).topk(2)
        return torch.einsum("nk,nki->ni", weight, torch.einsum("ni,nkij->nkj", x, self.weights[which]))


def rows() -> torch.Tensor:
    return torch.randn(8, 16)


def sequence() -> torch.Tensor:
    return torch.randn(2, 5, 32)


def image() -> torch.Tensor:
    return torch.randn(2, 4, 12, 12)


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(288, 4)
    )


# Name → the module and its input. Each is compiled for inference and for a training step.
MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 4), nn.LogSoftmax(-1)), rows),
    "deep mlp": (
        lambda: nn.Sequential(*[Residual(nn.Sequential(nn.Linear(16, 16), nn.SiLU())) for _ in range(6)]),
        rows,
    ),
    "dropout": (lambda: nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.3), nn.ReLU()), rows),
    "convolutions": (convolutions, image),
    "depthwise": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Hardswish(), nn.Conv2d(4, 8, 1)), image),
    "transposed convolution": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 2, 3, stride=2), nn.Tanh()), image),
    "group norm": (lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 1)), image),
    "instance norm": (lambda: nn.InstanceNorm2d(4, affine=True), image),
    "layer norm": (lambda: nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16)), rows),
    "rms norm": (lambda: nn.RMSNorm(16), rows),
    "pooling": (lambda: nn.Sequential(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3), nn.Flatten()), image),
    "upsampling": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), image),
    "attention": (lambda: Attention(False), sequence),
    "causal attention": (lambda: Attention(True), sequence),
    "attention by hand": (ByHand, sequence),
    "transformer layer": (lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.0), sequence),
    "rnn cell": (lambda: Loop(nn.RNNCell(32, 16)), sequence),
    "gru cell": (lambda: Loop(nn.GRUCell(32, 16)), sequence),
    "lstm cell": (lambda: Loop(nn.LSTMCell(32, 16)), sequence),
    "experts": (Experts, rows),
}


def _while(x: torch.Tensor) -> Any:
    from torch._higher_order_ops.while_loop import while_loop

    return while_loop(lambda i, x: i < 4, lambda i, x: (i + 1, (x @ x).sin()), (torch.tensor(0), x))


def _scan(x: torch.Tensor) -> Any:
    from torch._higher_order_ops.scan import scan

    return scan(lambda carry, x: ((carry + x).tanh(), carry * 2), torch.zeros(16), x)


def _map(x: torch.Tensor) -> Any:
    from torch._higher_order_ops.map import map as each

    return each(lambda row, y: row * y, x, x.sum(0))


@torch.compiler.nested_compile_region
def _region(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x @ x, -1)


# Name → a function of a square matrix.
CONTROL_FLOW: dict[str, Callable[[torch.Tensor], Any]] = {
    "cond": lambda x: torch.cond(x.sum() > 0, lambda x: x.sin() @ x, lambda x: x.cos() + 1, (x,)),
    "while_loop": _while,
    "scan": _scan,
    "map": _map,
    "nested compile region": lambda x: _region(_region(x) + 1),
    "checkpoint": lambda x: torch.utils.checkpoint.checkpoint(lambda x: (x @ x).relu() @ x, x, use_reentrant=False),
}
