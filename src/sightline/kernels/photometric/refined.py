"""What the parts of a photometric step leave of gradients to photos' colours and to rays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.compiling import Kernel
from sightline.kernels.mlp import uses_bfloat16
from sightline.kernels.photometric.problem import PhotometricRays, PhotometricSettings


@dataclass(frozen=True)
class RefinedWork:
    """Columns of all rays that a refining step fills."""

    views: np.ndarray
    transforms: Tensor
    """(photos, 3, 4)"""
    shares: np.ndarray
    """(levels,)"""
    adjust: bool
    """whether gradients to the transforms are wanted"""
    move: bool
    """whether gradients to the rays are wanted"""
    seen: np.ndarray
    """(rays, 4) colour of matter, before the photo changes it, and opacity"""
    errors: np.ndarray
    """(rays, 3) gradient of the loss to the colour that is compared"""
    to_rays: tuple[np.ndarray, np.ndarray, np.ndarray]
    """gradients to origins, directions and features"""

    @staticmethod
    def of(rays: PhotometricRays, settings: PhotometricSettings) -> "RefinedWork":
        """Make the columns."""
        count, transforms = len(rays.origins), rays.transforms
        shares = settings.position_shares or (1.0,) * settings.levels.levels
        views = torch.zeros(count, dtype=torch.int64) if rays.views is None else rays.views
        if transforms is None:
            views, transforms = torch.zeros_like(views), torch.eye(3, 4)[None]
        rows = [tensor.shape[1] for tensor in (rays.origins, rays.directions, rays.features)]
        return RefinedWork(
            views.contiguous().numpy(),
            transforms.detach().float().contiguous(),
            np.array(shares, np.float32),
            rays.transforms is not None and rays.transforms.requires_grad,
            rays.move,
            # Parts that no samples reach write their rays' columns too.
            np.empty((count, 4), np.float32),
            np.empty((count, 3), np.float32),
            tuple(np.zeros((count if rays.move else 0, size), np.float32) for size in rows),  # type: ignore[arg-type]
        )

    def arguments(self) -> tuple[Any, ...]:
        """What kernels take, see `refining.REFINED`."""
        return (
            self.views, self.transforms.numpy(), self.shares, self.move, self.seen, self.errors,
            *self.to_rays,
        )  # fmt: skip

    def gradients(self) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        """Gradients to transforms, origins, directions and features; None where none is wanted."""
        to_transforms = None
        if self.adjust:
            errors, seen = torch.from_numpy(self.errors), torch.from_numpy(self.seen)
            # The colour that is compared is T (c, a) and what is behind: an outer product for each ray.
            each = errors[:, :, None] * seen[:, None, :]
            to_transforms = torch.zeros_like(self.transforms)
            to_transforms.index_add_(0, torch.from_numpy(self.views), each)
        if not self.move:
            return to_transforms, None, None, None
        origins, directions, features = (torch.from_numpy(column) for column in self.to_rays)
        return to_transforms, origins, directions, features


def refined_kernel(narrow: bool) -> Kernel:
    """The kernel of a refining step."""
    if narrow and uses_bfloat16():
        from sightline.kernels.photometric.refined_bf16 import step
    else:
        from sightline.kernels.photometric.refined_float32 import step
    return step


def compile_refined(narrow: bool) -> Callable:
    """Compile the kernel of a refining step, or load it from disk."""
    return refined_kernel(narrow).compiled()
