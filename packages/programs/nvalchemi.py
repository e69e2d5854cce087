"""Message passing over the atoms of a batch of molecules with the segmented operations of nvalchemi-toolkit-ops.

Each of three layers calls `segmented_rms_norm`, `segmented_mean`, `segmented_dot` and `segmented_mul` (functional
Python `torch.library.custom_op`s of the namespace `nvalchemiops`, Warp kernels that also run on the CPU), and the end
`segmented_sum`: 13 calls.
"""

import torch


def make():
    from nvalchemiops.torch.segment_ops import (
        segmented_dot,
        segmented_mean,
        segmented_mul,
        segmented_rms_norm,
        segmented_sum,
    )  # fmt: skip

    torch.manual_seed(0)
    molecules, atoms, width = 8, 200, 3
    molecule = torch.sort(torch.randint(0, molecules, (atoms,), dtype=torch.int32)).values
    scales = torch.randn(3, width)

    @torch.no_grad()
    def forward(x, y):
        for scale in scales:
            rms = segmented_rms_norm(x, molecule, molecules)
            mean = segmented_mean(x, molecule, molecules)
            dot = segmented_dot(x, y, molecule, molecules)
            gate = torch.tanh(rms + mean.sum(-1) + dot)
            x = segmented_mul(torch.relu(x * scale) + y, gate, molecule, molecules) + x * 0.5
        return segmented_sum(x * 2.0, molecule, molecules)

    return forward, (torch.randn(atoms, width), torch.randn(atoms, width))
