"""The picture of a validation: per view its truth, its picture, its depth in colour and its opacity."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from torch import Tensor

from sightline.media.colour import colour_depth, depth_range
from sightline.media.panels import Tile, draw_sheet
from sightline.methods.base import Rendering

LEAST_WIDTH = 112
"""smaller pictures are enlarged, pixels staying squares, so that captions have room"""


@dataclass(frozen=True)
class ShownView:
    """What is shown of one view."""

    name: str
    psnr: float
    truth: np.ndarray
    """uint8 (height, width, 3)"""
    picture: np.ndarray
    """uint8 (height, width, 3)"""
    depth: np.ndarray | None
    """float32 (height, width), NaN where there is nothing"""
    opacity: np.ndarray | None
    """float32 (height, width)"""
    sources: tuple[np.ndarray, ...] = ()
    """uint8 (height, width, 3): views that the object was shown by"""

    @classmethod
    def of(
        cls, name: str, psnr: float, truth: Tensor, rendering: Rendering, sources: Sequence[Tensor] = ()
    ) -> "ShownView":
        """Copy what is shown of a rendering; `truth` and `sources` are float (height, width, 3) in [0, 1]."""
        picture = to_uint8(rendering.rgb.float().cpu().clamp(0, 1))
        depth, opacity = _copy(rendering.depth), _copy(rendering.opacity)
        return cls(name, psnr, to_uint8(truth), picture, depth, opacity, tuple(map(to_uint8, sources)))


def draw_views(views: list[ShownView]) -> np.ndarray:
    """Draw sources, truth, picture, depth and opacity side by side, uint8 (height, width, 3), a row per view.

    Depth and opacity are left out where the method gives none. All views share the range of depths, from red
    (near) to blue (far), whose ends stand under each picture. Small pictures are enlarged; see `LEAST_WIDTH`.
    """
    depths = [view.depth.ravel() for view in views if view.depth is not None]
    limits = depth_range(np.concatenate(depths)) if depths else None
    headings = ["source"] * len(views[0].sources) + ["truth", "picture"]
    headings += ["depth"] if depths else []
    headings += ["opacity"] if views[0].opacity is not None else []
    return draw_sheet([_row(view, limits) for view in views], headings=headings)


def _row(view: ShownView, limits: tuple[float, float] | None) -> list[Tile]:
    row = [_tile(source, "") for source in view.sources]
    row += [_tile(view.truth, PurePosixPath(view.name).name), _tile(view.picture, f"{view.psnr:.2f} dB")]
    if view.depth is not None:
        ends = "" if limits is None else f"{limits[0]:.3g} to {limits[1]:.3g}"
        row.append(_tile(colour_depth(view.depth, limits), ends))
    if view.opacity is not None:
        grey = np.rint(view.opacity.clip(0, 1) * 255).astype(np.uint8)
        row.append(_tile(np.repeat(grey[..., None], 3, -1), f"mean {view.opacity.mean():.3f}"))
    return row


def _tile(image: np.ndarray, caption: str) -> Tile:
    factor = -(-LEAST_WIDTH // image.shape[1])
    return Tile(image.repeat(factor, 0).repeat(factor, 1), caption)


def to_uint8(picture: Tensor) -> np.ndarray:
    """Round colours in [0, 1] to uint8."""
    return (picture * 255).round().byte().numpy()


def _copy(values: Tensor | None) -> np.ndarray | None:
    return None if values is None else values.float().cpu().numpy()
