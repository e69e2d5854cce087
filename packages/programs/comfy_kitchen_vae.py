"""The residual blocks of a causal video VAE, as ComfyUI runs them, with comfy_kitchen's fused norm and padding.

Each block calls `comfy_kitchen::group_norm_silu_pad3d` twice (GroupNorm, SiLU and the padding of the causal 3D
convolution in one op; functional, a Python `torch.library.custom_op`): eight calls for four blocks, between
convolutions.
"""

import torch


def make(device="cpu"):
    import comfy_kitchen as ck

    class Block(torch.nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.norm1, self.norm2 = (torch.nn.GroupNorm(8, channels, eps=1e-6) for _ in range(2))
            self.conv1, self.conv2 = (torch.nn.Conv3d(channels, channels, 3) for _ in range(2))

        def padded(self, x, norm):
            return ck.group_norm_silu_pad3d(x, norm.weight, norm.bias, norm.num_groups, norm.eps, pad=(1, 1, 1, 1, 2))

        def forward(self, x):
            y = self.conv1(self.padded(x, self.norm1))
            return x + self.conv2(self.padded(y, self.norm2))

    torch.manual_seed(0)
    model = torch.nn.Sequential(*(Block(32) for _ in range(4))).eval().requires_grad_(False).to(device)
    return model, (torch.randn(1, 32, 3, 12, 12, device=device),)
