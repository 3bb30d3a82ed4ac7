"""The source views of a scene, beside each frame of a video of it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from sightline.captures import Capture
from sightline.evaluation.views import Background, truth_picture
from sightline.media.images import to_uint8
from sightline.methods.base import Rendering

MOST = 6
"""source views that are shown; the first ones"""
GAP = 4
"""pixels between what is side by side"""


@dataclass(frozen=True)
class SourceStrip:
    """Source views one above the other, together as high as a frame, at its left."""

    pictures: tuple[np.ndarray, ...]
    """uint8 (height, width, 3)"""

    @classmethod
    def of(cls, views: Capture, background: Background) -> "SourceStrip":
        """Read the source views, over the background where they are transparent."""
        shown = range(min(MOST, len(views)))
        return cls(tuple(to_uint8(truth_picture(views, index, background)) for index in shown))

    def beside(self, frame: np.ndarray, rendering: Rendering | None = None) -> np.ndarray:
        """Put the strip at the left of a frame: uint8 (height, width, 3 or 4), opaque white between them."""
        height, channels = frame.shape[0], frame.shape[2]
        count = len(self.pictures)
        each = max(1, (height - GAP * (count - 1)) // count)
        small = [_scaled(picture, each) for picture in self.pictures]
        width = max(picture.shape[1] for picture in small)
        sheet = np.full((height, width + GAP + frame.shape[1], channels), 255, np.uint8)
        top = 0
        for picture in small:
            rows = min(each, height - top)
            sheet[top : top + rows, : picture.shape[1], :3] = picture[:rows]
            top += each + GAP
        sheet[:, width + GAP :] = frame
        return sheet


def _scaled(picture: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
