"""The same kind of VAE blocks with comfy_kitchen's convolution, which adds bias and residual in its epilogue.

Each block calls `comfy_kitchen::group_norm_silu_pad3d` and `comfy_kitchen::fp16_conv3d` twice (both functional,
Python `torch.library.custom_op`s): twelve calls for three blocks.
"""

import torch


def make(device="cpu"):
    import comfy_kitchen as ck

    class Block(torch.nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.norm1, self.norm2 = (torch.nn.GroupNorm(8, channels, eps=1e-6) for _ in range(2))
            self.conv1, self.conv2 = (torch.nn.Conv3d(channels, channels, 3) for _ in range(2))

        def step(self, x, norm, conv, residual=None):
            x = ck.group_norm_silu_pad3d(x, norm.weight, norm.bias, norm.num_groups, norm.eps, pad=(1, 1, 1, 1, 2))
            return ck.fp16_conv3d(x, conv.weight, conv.bias, residual)

        def forward(self, x):
            return self.step(self.step(x, self.norm1, self.conv1), self.norm2, self.conv2, residual=x)

    torch.manual_seed(0)
    model = torch.nn.Sequential(*(Block(32) for _ in range(3))).half().eval().requires_grad_(False).to(device)
    return model, (torch.randn(1, 32, 3, 12, 12).half().to(device),)
