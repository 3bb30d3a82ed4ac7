"""From captures to what the network takes: pictures in [-1, 1], cameras in its frame, rays through pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.geometry.poses import normalise
from sightline.geometry.similarity import Similarity
from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.methods.pixelnerf.network import SourceViews
from sightline.methods.view_checks import check_views


@dataclass(frozen=True, eq=False)
class PosedPictures:
    """Some views of one object in the network's frame and conventions."""

    images: Float[Tensor, "views 3 height width"]
    """in [-1, 1]"""
    c2w: Float[Tensor, "views 3 4"]
    focal: Float[Tensor, "views 2"]
    """across and down, in pixels"""
    centre: Float[Tensor, "views 2"]
    """column and row; a pixel is where its ray goes through"""
    ratio: float
    """pixels of these pictures for one of the capture's"""

    def __getitem__(self, chosen: Sequence[int]) -> "PosedPictures":
        rows = list(chosen)
        return PosedPictures(
            self.images[rows], self.c2w[rows], self.focal[rows], self.centre[rows], self.ratio
        )


def load_views(
    capture: Capture, indices: Sequence[int], config: PixelNerfConfig, frame: Similarity
) -> PosedPictures:
    """Load views of a capture, at the size that the network learns with.

    Args:
        indices: of the views; they must have one size.
        frame: from the capture's frame to the network's.

    Raises:
        InputError: the views have several sizes, or lenses that bend light, or cannot be decoded.
    """
    chosen = list(indices)
    cameras = capture.cameras[chosen]
    _, height = check_views(capture, chosen, "pixelnerf")
    wanted = min(config.image_size or height, height)
    images = to_network(np.stack([capture.images[index] for index in chosen]), config)
    focal, centre = _lenses(capture, chosen, config)
    if wanted < height:
        images = reduce_pictures(images, wanted)
    ratio = wanted / height
    c2w = cameras.transformed(frame).c2w.float()
    if config.world_scale_focal:
        focal = focal * config.world_scale
    return PosedPictures(images, c2w, (focal * ratio).float(), (centre * ratio).float(), ratio)


def to_network(pictures: np.ndarray, config: PixelNerfConfig) -> Float[Tensor, "views 3 height width"]:
    """Turn uint8 (views, height, width, 3 or 4) into [-1, 1]; what is transparent shows white, or black."""
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    colours = (images[:, :3] - 0.5) / 0.5
    if images.shape[1] == 3:
        return colours
    alpha = images[:, 3:]
    behind = 1.0 if config.background == "white" else -1.0
    return colours * alpha + behind * (1 - alpha)


def reduce_pictures(
    images: Float[Tensor, "views channels height width"], height: int
) -> Float[Tensor, "views channels h w"]:
    """Reduce pictures to a height as published: the mean of all pixels that a new one touches."""
    width = max(1, round(images.shape[-1] * height / images.shape[-2]))
    return functional.interpolate(images, (height, width), mode="area")


def _lenses(capture: Capture, chosen: list[int], config: PixelNerfConfig) -> tuple[Tensor, Tensor]:
    cameras = capture.cameras if config.average_intrinsics else capture.cameras[chosen]
    focal = torch.stack([cameras.fx, cameras.fy], -1)
    centre = torch.stack([cameras.cx, cameras.cy], -1) - config.pixel_centre
    if config.average_intrinsics:
        focal, centre = (value.mean(0, keepdim=True).expand(len(chosen), 2) for value in (focal, centre))
    return focal, centre


def pixel_rays(
    views: PosedPictures, which: Int[Tensor, "rays"], pixels: Float[Tensor, "rays 2"]
) -> tuple[Float[Tensor, "rays 3"], Float[Tensor, "rays 3"]]:
    """Give origins and unit directions of the rays through pixels (column, row) of views."""
    offsets = (pixels - views.centre[which]) / views.focal[which]
    local = torch.stack([offsets[:, 0], -offsets[:, 1], -torch.ones_like(offsets[:, 0])], -1)
    poses = views.c2w[which]
    return poses[:, :, 3], (poses[:, :, :3] @ normalise(local)[..., None])[..., 0]


def as_sources(objects: Sequence[PosedPictures]) -> SourceViews:
    """Put the source views of several objects together.

    Raises:
        InputError: their pictures have different sizes.
    """
    if len({tuple(views.images.shape) for views in objects}) > 1:
        listing = ", ".join(sorted({f"{v.images.shape[-1]}x{v.images.shape[-2]}" for v in objects})[:3])
        raise InputError(
            f"The objects of one step have pictures of different sizes ({listing})",
            fix="Set --image-size, or bring the pictures to one shape",
        )
    return SourceViews(
        torch.stack([views.images for views in objects]),
        torch.stack([views.c2w for views in objects]),
        torch.stack([views.focal for views in objects]),
        torch.stack([views.centre for views in objects]),
    )
