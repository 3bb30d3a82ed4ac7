"""Colours of points on a surface: from the field, or mixed from the photos that see them."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures import Capture
from sightline.exports.grids import Grid, look_up
from sightline.exports.mesh.threshold import box_distances
from sightline.exports.source import Field
from sightline.foundation.errors import InputError

_ABOVE, _BELOW = 1.0, 3.0
"""cells of the grid above and below the surface between which the field is looked at"""
_SAMPLES = 8
_LEAST_WEIGHT = 0.02
"""part of the light below which a sample's colour is not asked for"""
_CLEARANCE = 1.5
"""cells before the surface at which the occlusion ray to a camera begins"""
_HIDDEN = 4.0
"""optical depth at which nothing is seen any more"""
_STEPS = 16
"""steps of occlusion rays between looks at which are done"""


def colours_of_field(
    field: Field,
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    cell: float,
    on_points: Callable[[int], None] = lambda done: None,
) -> Float[np.ndarray, "n 3"]:
    """Render each point from just above it, along the inward normal, to just below it.

    What the short ray lets through is left out of the mean, so that a point where the field is thin has
    the colour of what is there.

    Args:
        normals: unit outward normals.
        cell: distance between the points of the grid that the surface is from.
    """
    result = np.zeros((len(points), 3), dtype=np.float32)
    size = max(1, field.chunk // _SAMPLES)
    step = (_ABOVE + _BELOW) * cell / _SAMPLES
    heights = _ABOVE * cell - step * (torch.arange(_SAMPLES) + 0.5)
    for k in range(0, len(points), size):
        at, up = (torch.from_numpy(values[k : k + size]) for values in (points, normals))
        along = (at[:, None] + heights[:, None] * up[:, None]).reshape(-1, 3)
        through = field.density(along).view(-1, _SAMPLES) * step
        light = torch.exp(-through.cumsum(-1) + through)
        weights = light * -torch.expm1(-through)
        weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-12)
        # Where there is nothing at all, the surface itself.
        weights[weights.sum(-1) < 0.5] = torch.eye(_SAMPLES)[int(heights.abs().argmin())]
        weights = torch.where(weights > _LEAST_WEIGHT, weights, 0.0)
        weights = weights / weights.sum(-1, keepdim=True)
        wanted = weights.flatten() > 0
        down = -up[:, None].expand(-1, _SAMPLES, -1).reshape(-1, 3)
        colours = torch.zeros(len(along), 3)
        colours[wanted] = field.radiance(along[wanted], down[wanted])
        result[k : k + size] = (weights[..., None] * colours.view(-1, _SAMPLES, 3)).sum(1).numpy()
        on_points(min(k + size, len(points)))
    return result


def colours_of_photos(
    photos: Capture,
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    density: Float[np.ndarray, "x y z"],
    grid: Grid,
    views: int = 64,
    on_view: Callable[[int], None] = lambda done: None,
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """Mix the colours in which photos show each point.

    A photo's weight is the light that an occlusion ray through the grid lets pass from just above the point
    to the camera, times the cosine of the angle to the normal, over the squared distance, times the photo's
    own alpha; points outside the picture, behind the camera or under an ignore-mask have none.

    Args:
        photos: capture whose views are all used, or `views` of them, evenly spread.

    Returns:
        Colours, and the sum of visibility times cosine of each point; a point that no photo sees has 0 there
        and no colour.
    """
    if not len(photos):
        raise InputError("There are no photos to take colours from", where="--colours photos")
    chosen = np.unique(np.linspace(0, len(photos) - 1, min(views, len(photos))).round().astype(int)).tolist()
    at, up = torch.from_numpy(points), torch.from_numpy(normals)
    volume = torch.from_numpy(density)
    cameras = photos.cameras.to("cpu")
    total, weights, seen = torch.zeros(len(points), 3), torch.zeros(len(points)), torch.zeros(len(points))
    nearest = torch.cdist(cameras.centres[chosen], at.mean(0)[None]).min().clamp_min(1e-9) if len(at) else 1.0
    for count, view in enumerate(chosen, start=1):
        offset = cameras.centres[view] - at
        distance = offset.norm(dim=-1).clamp_min(1e-12)
        cosine = (offset * up).sum(-1) / distance
        rows = ((cosine > 0.05) & cameras.sees(at, view)).nonzero()[:, 0]
        if len(rows):
            start = at[rows] + _CLEARANCE * grid.cell * up[rows]
            passed = light_to(cameras.centres[view], start.float(), volume, grid)
            colour, alpha = _sample_photo(photos, view, cameras.project(at[rows], view)[0])
            visible = passed * alpha * cosine[rows].float()
            weight = visible * (nearest / distance[rows]).square().float()
            total[rows] += weight[:, None] * colour
            weights[rows] += weight
            seen[rows] += visible
        on_view(count)
    return (total / weights.clamp_min(1e-12)[:, None]).numpy(), seen.numpy()


def light_to(
    eye: Float[Tensor, "3"], points: Float[Tensor, "n 3"], volume: Float[Tensor, "x y z"], grid: Grid
) -> Float[Tensor, "n"]:
    """Transmittance between points and an eye, through a grid of densities; 0 for next to nothing."""
    offset = eye.to(points) - points
    length = offset.norm(dim=-1)
    directions = offset / length.clamp_min(1e-12)[:, None]
    end = torch.minimum(box_distances(grid, points, directions)[1], length)
    depth = torch.zeros(len(points))
    rows = torch.arange(len(points))
    t = 0.5 * grid.cell
    while len(rows):
        steps = t + grid.cell * torch.arange(_STEPS)
        at = points[rows, None] + steps[:, None] * directions[rows, None]
        sigmas = look_up(volume, grid, at) * (steps <= end[rows, None])
        depth[rows] += sigmas.sum(-1) * grid.cell
        t += _STEPS * grid.cell
        rows = rows[(t < end[rows]) & (depth[rows] < _HIDDEN)]
    return torch.where(depth < _HIDDEN, torch.exp(-depth), 0.0)


def _sample_photo(photos: Capture, view: int, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Straight colours and weights (alpha, none under a mask) at continuous pixel positions, bilinear."""
    image = torch.from_numpy(np.array(photos.images[view])).float() / 255
    alpha = image[..., 3:] if image.shape[-1] == 4 else torch.ones_like(image[..., :1])
    if photos.masks is not None:
        alpha = alpha * torch.from_numpy(photos.masks[view] == 0)[..., None]
    # Colours of transparent pixels mean nothing: they are mixed by their alpha.
    planes = torch.cat([image[..., :3] * alpha, alpha], -1).permute(2, 0, 1)[None]
    size = torch.tensor([image.shape[1], image.shape[0]])
    positions = (2 * pixels / size - 1).float()[None, :, None]
    found = torch.nn.functional.grid_sample(planes, positions, padding_mode="border", align_corners=False)
    found = found[0, :, :, 0].T
    return found[:, :3] / found[:, 3:].clamp_min(1e-6), found[:, 3]
