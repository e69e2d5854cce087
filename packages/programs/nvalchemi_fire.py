"""Structure relaxation of a batch of clusters with nvalchemi-toolkit-ops' FIRE2 optimizer.

Each of six steps calls `nvalchemiops::fire2_step_coord`, a *mutable* Python `torch.library.custom_op` (a Warp kernel
that also runs on the CPU), which writes to positions, velocities and nine more tensors.
"""

import torch


def make():
    from nvalchemiops.torch.fire2 import fire2_step_coord

    torch.manual_seed(0)
    systems, atoms = 4, 100
    system = torch.sort(torch.randint(0, systems, (atoms,), dtype=torch.int32)).values

    @torch.no_grad()
    def forward(positions):
        positions, velocities = positions.clone(), torch.zeros_like(positions)
        alpha, dt = torch.full((systems,), 0.09), torch.full((systems,), 0.05)
        steps = torch.zeros(systems, dtype=torch.int32)
        for _ in range(6):
            forces = -torch.tanh(positions) * 2.0
            fire2_step_coord(positions, velocities, forces, system, alpha, dt, steps)
        return positions, velocities * 1.0, alpha, dt

    return forward, (torch.randn(atoms, 3),)
