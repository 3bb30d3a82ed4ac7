"""How poses move while a scene is learnt: rays with gradients to their photos' poses, and Newton's steps.

Gradients of single rays say more than their sum. For a squared error, the sum of their outer products is, but
for a factor, the matrix of Gauss and Newton: it says how much a photo's picture changes with each motion of
its camera, and which motions make up for each other (Amari 1998, natural gradient, with the empirical Fisher
matrix). Steps are divided by it, so that all photos, turns and shifts move at one rate, and gradients that
are noise move what is seen equally little. Errors of all photos count as equally large here: a photo that is
seen better than others takes longer steps.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.geometry.corrections import rotation_matrices

# Looks at the curvature before a photo moves, and what part of it each later look replaces.
_LOOKS = 8
_FOLLOW = 0.05
# The longest step, radians, or as much as that turns.
_LONGEST = 3e-3


class RayMoves(torch.autograd.Function):
    """Rays as seen by cameras that are turned and moved; `turned_rays` calls it."""

    @staticmethod
    def forward(ctx: Any, turns, shifts, curvature, origins, directions, views, reach, error):
        """Turn and move; see `turned_rays`."""
        rotations = rotation_matrices(turns).index_select(0, views)
        directions = (rotations * directions[:, None, :]).sum(-1)
        ctx.save_for_backward(directions, views)
        ctx.photos, ctx.reach, ctx.error = len(turns), reach, error
        return origins + shifts.index_select(0, views), directions

    @staticmethod
    def backward(ctx: Any, to_origins, to_directions):
        """Sum gradients, and their outer products, by photos."""
        directions, views = ctx.saved_tensors
        twists = torch.cat([torch.linalg.cross(directions, to_directions), to_origins * ctx.reach], -1)
        sums = twists.new_zeros(ctx.photos, 6).index_add_(0, views, twists)
        products = (twists[:, :, None] * twists[:, None, :]).view(-1, 36)
        matrices = twists.new_zeros(ctx.photos, 36).index_add_(0, views, products).view(-1, 6, 6)
        # E(g gᵀ) of the mean of squares over R rays of 3 channels is 2 σ² / (3 R) times the matrix sought.
        matrices = matrices * (1.5 * len(views) / max(ctx.error(), 1e-12))
        return sums[:, :3], sums[:, 3:] / ctx.reach, matrices, None, None, None, None, None


def turned_rays(
    turns: Float[Tensor, "photos 3"],
    shifts: Float[Tensor, "photos 3"],
    curvature: Float[Tensor, "photos 6 6"],
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    views: Int[Tensor, "rays"],
    reach: float,
    error: Callable[[], float],
) -> tuple[Float[Tensor, "rays 3"], Float[Tensor, "rays 3"]]:
    """Origins and directions of rays whose cameras are turned and moved.

    Args:
        curvature: holds nothing; its gradient will be the Hessian of the loss to (turns, shifts / reach), by
            Gauss and Newton.
        views: positions of the rays' photos.
        error: gives the mean squared error of the step's colours, when gradients are asked for.
    """
    return RayMoves.apply(turns, shifts, curvature, origins, directions, views, reach, error)  # type: ignore[return-value]


class PoseNewton(torch.optim.Optimizer):
    """Damped steps of Newton for each photo's pose, drawn to where it was at first.

    Args:
        turns, shifts, curvature: as in `turned_rays`.
        lr: part of Newton's step that is taken.
        reach: a shift that counts as much as a turn by a radian.
        pull: how much the way back counts, in parts of the mean curvature of all photos.
    """

    def __init__(
        self, turns: Tensor, shifts: Tensor, curvature: Tensor, *, lr: float, reach: float, pull: float
    ):
        super().__init__([turns, shifts, curvature], {"lr": lr, "reach": reach, "pull": pull})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move the photos that rays were drawn from, and clear all gradients."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            turns, shifts, curvature = group["params"]
            if curvature.grad is not None and bool(curvature.grad.any()):
                self._move(turns, shifts, curvature, group)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.zero_()
        return loss

    def _move(self, turns: Tensor, shifts: Tensor, curvature: Tensor, group: dict[str, Any]) -> None:
        state, found = self.state[curvature], curvature.grad
        assert found is not None
        assert turns.grad is not None
        assert shifts.grad is not None
        if not state:
            state["mean"] = torch.zeros_like(curvature)
            state["looks"] = torch.zeros(len(curvature), device=curvature.device)
        mean, looks = state["mean"], state["looks"]
        seen = found.diagonal(dim1=1, dim2=2).sum(-1) > 0
        looks += seen
        rate = torch.where(seen, (1 / looks.clamp_min(1)).clamp_min(_FOLLOW), 0.0)
        mean += rate[:, None, None] * (found - mean)
        moving = seen & (looks > _LOOKS)
        if not bool(moving.any()) or group["lr"] == 0:
            return
        reach = group["reach"]
        size = mean[moving].diagonal(dim1=1, dim2=2).mean()
        pose = torch.cat([turns, shifts / reach], -1)
        gradient = torch.cat([turns.grad, shifts.grad * reach], -1) + group["pull"] * size * pose
        # Beside the pull a little, so that what no ray shows can be divided by.
        damping = (group["pull"] + 1e-4) * size * torch.eye(6, dtype=mean.dtype, device=mean.device)
        move = -group["lr"] * torch.linalg.solve(mean + damping, gradient)
        move *= (_LONGEST / move.norm(dim=-1, keepdim=True).clamp_min(1e-12)).clamp_max(1.0)
        move *= moving[:, None]
        turns += move[:, :3]
        shifts += move[:, 3:] * reach
