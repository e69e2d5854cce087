"""Two-dimensional diffusion and advection on a periodic grid with the finite differences of NVIDIA PhysicsNeMo.

Each of four time steps calls `uniform_grid_gradient`, `uniform_grid_laplacian` and `uniform_grid_divergence`,
functional Python `torch.library.custom_op`s of the namespace `physicsnemo` (`..._warp_impl`, Warp kernels that also
run on the CPU): twelve calls.
"""

import torch


def make():
    from physicsnemo.nn.functional import uniform_grid_divergence, uniform_grid_gradient, uniform_grid_laplacian

    torch.manual_seed(0)
    velocity = torch.randn(2, 64, 64) * 0.1

    @torch.no_grad()
    def forward(field):
        for _ in range(4):
            gradient = uniform_grid_gradient(field, spacing=0.1, implementation="warp")
            laplacian = uniform_grid_laplacian(field, spacing=0.1, implementation="warp")
            flux = uniform_grid_divergence(velocity * field, spacing=0.1, implementation="warp")
            field = field + 1e-4 * (laplacian - (velocity * gradient).sum(0) - flux)
        return field

    return forward, (torch.randn(64, 64),)
