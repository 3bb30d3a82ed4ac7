"""Which source view, and which depth, each pixel of a frame was taken from."""

import colorsys
from dataclasses import dataclass, field

import numpy as np

from sightline.captures import Capture
from sightline.evaluation.views import Background, truth_picture
from sightline.media.colour import colour_depth, depth_range
from sightline.media.images import to_uint8
from sightline.methods.base import Rendering
from sightline.workflows.source_strip import GAP, MOST, SourceStrip

# Neighbouring numbers get hues that are far apart.
_GOLDEN = 0.618033988749895
_FRAME = 2


@dataclass
class OriginSheet:
    """The source views that a frame is made of, the frame, a map of the views, and depth, side by side.

    Views are framed in their colours of the map; those that say most of most pixels are shown.
    """

    views: Capture
    background: Background
    _limits: tuple[float, float] | None = field(default=None, init=False)

    def beside(self, frame: np.ndarray, rendering: Rendering) -> np.ndarray:
        """Put all of it beside a frame: uint8 (height, width, 3 or 4)."""
        assert rendering.origin is not None
        assert rendering.depth is not None
        origin, depth = rendering.origin.cpu().numpy(), rendering.depth.cpu().numpy()
        if self._limits is None:
            # Of the first frame, so that colours mean the same in all.
            self._limits = depth_range(depth)
        numbers, counts = np.unique(origin, return_counts=True)
        order = numbers[np.argsort(-counts, kind="stable")][:MOST].tolist()
        # As many places in every frame.
        order += [None] * (min(MOST, len(self.views)) - len(order))
        strip = SourceStrip(tuple(self._framed(view) for view in order))
        palette = np.stack([colour_of_view(view) for view in range(len(self.views))])
        parts = [palette[origin], colour_depth(depth, self._limits)]
        height, _, channels = frame.shape
        gap = np.full((height, GAP, channels), 255, np.uint8)
        sheet = [strip.beside(frame, rendering)]
        for part in parts:
            opaque = np.full((*part.shape[:2], channels), 255, np.uint8)
            opaque[..., :3] = part[..., :3]
            sheet += [gap, opaque]
        return np.concatenate(sheet, 1)

    def _framed(self, view: int | None) -> np.ndarray:
        picture = to_uint8(truth_picture(self.views, view or 0, self.background))
        # As thick in all pictures, once they are as small as the strip.
        border = max(_FRAME, _FRAME * picture.shape[0] // 32)
        # An empty place is white, and as large: all frames of a video have one size.
        framed = np.full((picture.shape[0] + 2 * border, picture.shape[1] + 2 * border, 3), 255, np.uint8)
        if view is not None:
            framed[:] = colour_of_view(view)
            framed[border:-border, border:-border] = picture
        return framed


def colour_of_view(view: int) -> np.ndarray:
    """Give the colour, uint8 (3,), that stands for a source view, by its number."""
    rgb = colorsys.hsv_to_rgb(view * _GOLDEN % 1, 0.65, 0.95)
    return np.array([round(255 * value) for value in rgb], np.uint8)
