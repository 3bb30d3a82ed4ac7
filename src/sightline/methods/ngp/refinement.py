"""What `ngp` learns of its training photos besides the scene: their colours, and where they were taken."""

import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.geometry import Cameras
from sightline.geometry.corrections import (
    common_motions,
    correct_poses,
    without_common_motion,
)
from sightline.kernels.photometric import PhotometricRays
from sightline.methods.base import Optimisation, Progress
from sightline.methods.exposure import transforms
from sightline.methods.ngp.config import NgpConfig
from sightline.methods.ngp.optimiser import HashAdam
from sightline.methods.ngp.pose_steps import PoseNewton, turned_rays
from sightline.networks.encodings import spherical_harmonics


class Refinement(nn.Module):
    """Changes of the training photos' colours, and of their cameras in the model frame; all zero at first.

    Args:
        config: says what is refined.
        photos: number of training photos.
        cameras: theirs, in the model frame; needed for training with poses.
    """

    common: Tensor
    """orthonormal corrections that move all cameras as one"""

    def __init__(self, config: NgpConfig, photos: int, cameras: Cameras | None = None):
        super().__init__()
        self.config, self.photos = config, photos
        self.gains: nn.Parameter | None = None
        self.turns: nn.Parameter | None = None
        self.reach = 1.0
        # Mean squared error of the colours of the latest step; the method says it before gradients are made.
        self.error = 1.0
        if "exposure" in config.refined:
            self.gains = nn.Parameter(torch.zeros(photos, 3))
        if "poses" in config.refined:
            self.turns = nn.Parameter(torch.zeros(photos, 3))
            self.shifts = nn.Parameter(torch.zeros(photos, 3))
            self.curvature = nn.Parameter(torch.zeros(photos, 6, 6))
            common = torch.zeros(6 * photos, 0, dtype=torch.float64)
            if cameras is not None:
                # How far cameras are from the scene's middle: a turn moves the picture as such a shift does.
                self.reach = float(cameras.centres.norm(dim=-1).median())
                common = common_motions(cameras.c2w, self.reach)
            self.register_buffer("common", common, persistent=False)

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        # Weights of the first runs with poses have no such column; it holds nothing.
        if self.turns is not None and f"{prefix}turns" in state:
            state.setdefault(f"{prefix}curvature", torch.zeros_like(self.curvature))
        super()._load_from_state_dict(state, prefix, *arguments)

    def turn(self, rays: PhotometricRays, views: Int[Tensor, "rays"], progress: Progress) -> PhotometricRays:
        """See rays as their photos do; with gradients to where these were taken from in some of the steps.

        Args:
            views: positions of their photos among the training photos.
        """
        if self.gains is not None:
            rays = replace(rays, views=views, transforms=transforms(self.gains))
        if self.turns is None or progress.fraction < self.config.pose_from:
            return rays
        with torch.set_grad_enabled(progress.step % self.config.pose_every == 0):
            origins, directions = turned_rays(
                self.turns, self.shifts, self.curvature, rays.origins, rays.directions, views, self.reach,
                lambda: self.error,
            )  # fmt: skip
            return replace(
                rays, origins=origins, directions=directions, features=spherical_harmonics(directions)
            )

    def shares(self, progress: Progress) -> tuple[float, ...] | None:
        """How much each level of the encoding moves poses: coarse ones first (Lin et al. 2021, eq. 14)."""
        config, levels = self.config, self.config.levels
        if self.turns is None or progress.fraction >= config.pose_fine:
            return None
        done = (progress.fraction - config.pose_from) / max(1e-9, config.pose_fine - config.pose_from)
        joined = [min(max(done * levels - level + 1, 0.0), 1.0) for level in range(levels)]
        return tuple((1 - math.cos(math.pi * part)) / 2 for part in joined)

    def penalty(self) -> Float[Tensor, ""]:
        """What is added to the loss: photos change colours no more than they have to.

        All parameters are part of it, so that they have a gradient in every step, which several processes
        ask for. Where that of a pose is zero, its optimiser leaves it alone.
        """
        total = torch.zeros((), device=next(self.parameters()).device)
        if self.gains is not None:
            total = total + self.config.exposure_weight * self.gains.square().sum() / self.photos
        if self.turns is not None:
            total = total + 0 * (self.turns.sum() + self.shifts.sum() + self.curvature.sum())
        return total

    @torch.no_grad()
    def settle(self) -> None:
        """Take out what all photos have in common: that is the scene's."""
        if self.gains is not None:
            self.gains.sub_(self.gains.mean(0))
        if self.turns is not None:
            turns, shifts = without_common_motion(self.turns, self.shifts, self.common, self.reach)
            self.turns.copy_(turns)
            self.shifts.copy_(shifts)

    def correct(self, cameras: Cameras) -> Cameras:
        """Correct the training photos' cameras, of the model frame."""
        if self.turns is None:
            return cameras
        poses = correct_poses(cameras.c2w, self.turns.detach().cpu(), self.shifts.detach().cpu())
        return replace(cameras, c2w=poses)

    def optimisations(self) -> list[Optimisation]:
        """An optimiser for each kind, which leaves photos alone whose gradient is zero."""
        config, found = self.config, []
        if self.gains is not None:
            groups = [{"params": [self.gains], "name": "exposure"}]
            found.append(
                Optimisation(
                    HashAdam(groups, lr=config.exposure_rate), lambda now: config.falling(now.fraction)
                )
            )
        if self.turns is not None:
            newton = PoseNewton(
                self.turns, self.shifts, self.curvature, lr=config.pose_rate, reach=self.reach,
                pull=config.pose_pull,
            )  # fmt: skip
            found.append(Optimisation(newton, self._pose_schedule))
        return found

    def _pose_schedule(self, progress: Progress) -> float:
        """Fall exponentially from when poses begin to move."""
        config = self.config
        done = (progress.fraction - config.pose_from) / max(1e-9, 1 - config.pose_from)
        return 0.0 if done < 0 else math.exp(math.log(config.final_rate) * min(done, 1.0))
