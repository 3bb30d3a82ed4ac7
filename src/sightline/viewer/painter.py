"""Pictures of a scene for browsers: rendered by its method, shown as colour, depth, opacity or error."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.geometry.regions import Region
from sightline.media.colour import colour_depth, colour_error
from sightline.media.images import to_uint8
from sightline.methods.base import Method, Rendering, Scene
from sightline.methods.pictures import PictureRenderer
from sightline.viewer.looks import Look, Mode, Picture, Settings
from sightline.viewer.passes import Pass
from sightline.viewer.photos import Photos, short_name

_LONGEST_DEPTH = 320
"""pixels of the longer side of the depth that hides what is drawn in front"""
_SOLID = 0.5
"""opacity from which on a pixel hides what is behind it"""


class ScenePainter:
    """Renders a scene for the scheduler, see `Painter`.

    Args:
        method, scene: loaded, on `device`.
        photos: what errors are shown against.
        name: of what is shown, for the status line.
    """

    def __init__(
        self, method: Method, scene: Scene, photos: Photos, device: torch.device | str = "cpu", name: str = ""
    ):
        self.method, self.photos, self.device, self.name = method, photos, device, name
        self._render = PictureRenderer(method, scene)
        self.show(scene)

    def show(self, scene: Scene) -> None:
        """Show another scene of the same method from now on."""
        self.scene, self._draft = scene, scene.drafted()
        self._cut: tuple[Any, Scene] | None = None

    @property
    def whole(self) -> bool:
        """Whether pictures are made in one go."""
        return self.method.whole_pictures

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What can be shown of the scene."""
        known: tuple[Mode, ...] = ("depth", "opacity")
        return ("colour", *(mode for mode in known if mode in self.scene.capabilities), "error")

    def paint(self, look: Look, one: Pass, first: int, end: int) -> Rendering:
        """Render the rows from `first` to before `end` of a picture."""
        camera = view_camera(look, one.width, one.height, first, end)
        self._render.scene = self._shown(look, one.draft)
        self._render.background = torch.tensor(
            look.settings.background, dtype=torch.float32, device=self.device
        )
        return self._square(look, one) if self.whole else self._render(camera)

    def _square(self, look: Look, one: Pass) -> Rendering:
        """Render the middle square of a picture, for methods that know no other shape, and nothing beside."""
        side = min(one.width, one.height)
        found = self._render(view_camera(replace(look, width=side, height=side), side, side))
        left, top = (one.width - side) // 2, (one.height - side) // 2
        rgb = torch.tensor(look.settings.background).expand(one.height, one.width, 3).clone()
        rgb[top : top + side, left : left + side] = found.rgb.float().cpu()
        return Rendering(rgb, statistics=found.statistics)

    def _shown(self, look: Look, draft: bool) -> Scene:
        """The scene, cut as the look wants it; the last cut is kept."""
        settings = look.settings
        scene = self._draft if draft else self.scene
        if not scene.can_be_cut or (settings.box is None and settings.near <= 0):
            return scene
        key = (draft, settings.box, settings.near, look.c2w.tobytes() if settings.near > 0 else None)
        if self._cut is None or self._cut[0] != key:
            self._cut = (key, scene.within(region_of(look)))
        return self._cut[1]

    def finish(self, look: Look, one: Pass, parts: list[Rendering], seconds: float) -> Picture:
        """Make a picture of its bands."""
        found = _Bands.of(parts)
        camera = view_camera(look, one.width, one.height)
        pixels, facts, note = self._pixels(look.settings, found, camera)
        rays = one.width * one.height
        samples = sum(part.statistics.get("samples", 0.0) for part in parts)
        if samples:
            facts.append(f"{samples / rays:.1f} samples per ray")
        depth = None
        if look.settings.with_depth and found.depth is not None:
            depth = axis_depth(found, camera)
        return Picture(look, pixels, depth, one.last, seconds, facts, note)

    def _pixels(
        self, settings: Settings, found: "_Bands", camera: Cameras
    ) -> tuple[np.ndarray, list[str], str | None]:
        """Give the pixels, facts about them, and why they are not what was asked for."""
        if settings.mode == "depth" and found.depth is not None:
            return colour_depth(found.depth), [], None
        if settings.mode == "opacity" and found.opacity is not None:
            grey = to_uint8(found.opacity)
            return np.repeat(grey[..., None], 3, axis=-1), [], None
        if settings.mode == "error":
            return self._error(settings, found.rgb, camera)
        note = None if settings.mode == "colour" else f"{self.method.name} knows no {settings.mode}"
        return to_uint8(found.rgb), [], note

    def _error(
        self, settings: Settings, rgb: np.ndarray, camera: Cameras
    ) -> tuple[np.ndarray, list[str], str | None]:
        index = self.photos.at(camera.centres[0].numpy())
        if index is None:
            return to_uint8(rgb), [], "Errors are shown from where a photo was taken: click on one"
        try:
            truth = self.photos.seen_by(index, camera, settings.background)
        except InputError as error:
            return to_uint8(rgb), [], str(error)
        # The photos that are compared with have been rounded to 8 bits too.
        rounded = np.rint(rgb * 255) / 255
        squares = np.square(rounded - truth)
        name, psnr = short_name(self.photos.names[index]), "no pixels of it"
        if np.isfinite(squares).any():
            psnr = f"{-10 * math.log10(max(float(np.nanmean(squares)), 1e-10)):.2f} dB"
        return colour_error(rounded, truth), [f"{psnr} to photo {name}"], None


@dataclass(frozen=True)
class _Bands:
    """A rendering, put together of its bands, as arrays."""

    rgb: np.ndarray
    depth: np.ndarray | None
    opacity: np.ndarray | None

    @staticmethod
    def of(parts: list[Rendering]) -> "_Bands":
        def joined(values: list[Tensor | None]) -> np.ndarray | None:
            there = [value for value in values if value is not None]
            return torch.cat(there).float().cpu().numpy() if there else None

        rgb = joined([part.rgb for part in parts])
        assert rgb is not None
        return _Bands(rgb, joined([part.depth for part in parts]), joined([part.opacity for part in parts]))


def view_camera(look: Look, width: int, height: int, first: int = 0, end: int | None = None) -> Cameras:
    """Make the pinhole of a look for a picture of a size, or for a band of its rows."""
    focal = 0.5 * height / math.tan(look.fov / 2)
    # The window's shape, whatever whole numbers of pixels made of it.
    across = focal * (width / height) / (look.width / look.height)
    rows = (height if end is None else end) - first
    return Cameras.create(
        torch.from_numpy(look.c2w), across, focal, width / 2, height / 2 - first, width=width, height=rows
    )


def region_of(look: Look) -> Region:
    """The part of space that a look shows."""
    box, near = look.settings.box, look.settings.near
    parts = []
    if box is not None:
        parts.append(Region.box(torch.tensor(box[0]).double(), torch.tensor(box[1]).double()))
    if near > 0:
        parts.append(Region.ahead(torch.from_numpy(look.c2w), near))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole & part
    return whole


def axis_depth(found: _Bands, camera: Cameras) -> Float[np.ndarray, "rows columns"]:
    """Give distance along the camera's axis, reduced, and infinite where there is nothing solid."""
    assert found.depth is not None
    height, width = found.depth.shape
    step = max(1, -(-max(width, height) // _LONGEST_DEPTH))
    depth = found.depth[step // 2 :: step, step // 2 :: step]
    x = (np.arange(width)[step // 2 :: step] + 0.5 - float(camera.cx[0])) / float(camera.fx[0])
    y = (np.arange(height)[step // 2 :: step] + 0.5 - float(camera.cy[0])) / float(camera.fy[0])
    along = depth / np.sqrt(1 + x[None] ** 2 + y[:, None] ** 2)
    known = np.isfinite(along)
    if found.opacity is not None:
        known &= found.opacity[step // 2 :: step, step // 2 :: step] >= _SOLID
    return np.where(known, along, np.inf).astype(np.float32)
