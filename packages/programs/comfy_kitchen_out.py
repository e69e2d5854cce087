"""A causal video VAE's blocks with comfy_kitchen, which keep their padded activations in buffers (`out=`).

Each of four blocks calls `comfy_kitchen::group_norm_silu_pad3d_out` twice: a *mutable* Python
`torch.library.custom_op` that fills a buffer with channels last, allocated inside the compiled function; eight calls,
between convolutions.
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
            batch, channels, frames, height, width = x.shape
            shape = (batch, channels, frames + 2, height + 2, width + 2)
            out = torch.empty(shape, device=x.device, memory_format=torch.channels_last_3d)
            return ck.group_norm_silu_pad3d(
                x, norm.weight, norm.bias, norm.num_groups, norm.eps, pad=(1, 1, 1, 1, 2), out=out
            )

        def forward(self, x):
            y = self.conv1(self.padded(x, self.norm1))
            return x + self.conv2(self.padded(y, self.norm2))

    torch.manual_seed(0)
    model = torch.nn.Sequential(*(Block(32) for _ in range(4))).eval().requires_grad_(False).to(device)
    return model, (torch.randn(1, 32, 3, 12, 12, device=device),)
