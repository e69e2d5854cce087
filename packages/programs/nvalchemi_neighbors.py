"""A few steps of Lennard-Jones dynamics, whose neighbours nvalchemi-toolkit-ops finds in each step.

Each of four steps calls `nvalchemiops::_naive_neighbor_matrix_no_pbc`, a *mutable* Python `torch.library.custom_op`
(a Warp kernel that also runs on the CPU), which fills a matrix of neighbours and their number, both freshly
allocated.
"""

import torch


def make():
    from nvalchemiops.torch.neighbors.naive import naive_neighbor_list

    torch.manual_seed(0)
    atoms, most, cutoff = 60, 64, 2.5

    @torch.no_grad()
    def forward(positions):
        for _ in range(4):
            neighbors, number = naive_neighbor_list(positions, cutoff, max_neighbors=most)
            real = torch.arange(most) < number[:, None]
            other = positions[neighbors.clamp(max=atoms - 1).long()]
            apart = positions[:, None] - other
            square = (apart * apart).sum(-1).clamp(min=0.8)
            strength = torch.where(real, 24 * (2 * square**-7 - square**-4), 0.0)
            positions = positions + 1e-4 * (strength[..., None] * apart).sum(1).clamp(-50, 50)
        return positions, number

    return forward, (torch.rand(atoms, 3) * 6,)
