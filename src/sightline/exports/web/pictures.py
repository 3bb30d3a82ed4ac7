"""What refined voxels should show: the training photos, or the field's own pictures of the same views."""

import time
from collections.abc import Callable

import numpy as np
import torch

from sightline.captures import Capture
from sightline.exports.source import Source
from sightline.exports.web.refine import Pictures
from sightline.foundation.errors import InputError
from sightline.media.images import parse_colour

_MOST_BYTES = 1 << 30
"""of photos that are held at once"""
_VIEWS, _LEAST_VIEWS = 32, 4
"""pictures that the field is asked for"""
_SECONDS = 60.0
"""after which it is asked for no more of them"""
_PIXELS = 250_000
"""of each of them at most"""


def behind_photos(source: Source) -> tuple[float, float, float]:
    """Colour behind what is transparent in the photos: what is painted there, white, or nothing at all."""
    if not getattr(source.scene, "has_background", True):
        return (0.0, 0.0, 0.0)
    painted = None if source.capture is None else source.capture.background
    return parse_colour(painted) if painted in ("white", "black") else (1.0, 1.0, 1.0)


def photos(source: Source) -> Pictures:
    """The training photos, evenly spread ones where not all can be held.

    Raises:
        InputError: they are not where they were, or none of their pixels counts.
    """
    capture = source.open_photos()
    sizes = capture.images.sizes.prod(-1) * capture.images.channels
    count = max(1, min(len(capture), int(_MOST_BYTES / max(1.0, float(sizes.mean())))))
    chosen = np.unique(np.linspace(0, len(capture) - 1, count).round().astype(int)).tolist()
    images = capture.images.load(chosen)
    usable = None
    if capture.masks is not None:
        usable = [mask.reshape(-1) == 0 for mask in capture.masks.load(chosen)]
        if not any(part.any() for part in usable):
            raise InputError("The masks leave no pixel to refine with", where=capture.path)
    return Pictures(
        cameras=capture.cameras[chosen].to("cpu"),
        colours=[image.reshape(-1, image.shape[-1]) for image in images],
        usable=usable,
        behind=behind_photos(source),
    )


def field_pictures(source: Source, on_view: Callable[[int], None] = lambda done: None) -> Pictures:
    """The field's pictures of some of the training cameras, as many as a minute gives (four at least)."""
    cameras, has_background = source.cameras, getattr(source.scene, "has_background", True)
    order = _spread(len(cameras), _VIEWS)
    colours, used, started = [], [], time.perf_counter()
    for done, view in enumerate(order, start=1):
        camera = cameras[view]
        pixels = int(camera.width[0]) * int(camera.height[0])
        if pixels > _PIXELS:
            camera = camera.downscaled((pixels / _PIXELS) ** 0.5)
        seen = source.method.render(source.scene, camera.to(source.device), background=torch.zeros(3))
        rgb = seen.rgb.cpu()
        if has_background and seen.opacity is not None:
            opacity = seen.opacity.cpu()[..., None].clamp(0, 1)
            rgb = torch.cat([(rgb / opacity.clamp_min(1e-4)).clamp(0, 1), opacity], -1)
        colours.append((255 * rgb).round().byte().reshape(-1, rgb.shape[-1]).numpy())
        used.append(camera)
        on_view(done)
        if done >= _LEAST_VIEWS and time.perf_counter() - started > _SECONDS:
            break
    return Pictures(type(cameras).concatenate(used).to("cpu"), colours, None, behind_photos(source))


def _spread(count: int, most: int) -> list[int]:
    """Numbers below `count`, at most so many, each as far from those before it as halving gives."""
    chosen = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
    bits = max(1, int(np.ceil(np.log2(max(2, len(chosen))))))
    places = sorted(range(len(chosen)), key=lambda k: int(f"{k:0{bits}b}"[::-1], 2))
    return [int(chosen[k]) for k in places]


def choose_pictures(source: Source, wanted: str | None) -> str:
    """Decide what to refine against; see `WebOptions.refine`."""
    if wanted is not None:
        return wanted
    return "field" if "multi-view" in source.scene.capabilities else "photos"


def is_everywhere(source: Source) -> bool:
    """Whether there is matter all around: photos of a world that is full."""
    painted: Capture | None = source.capture
    return source.scene.unbounded or (painted is not None and painted.background == "photo")
