"""Training batches of `pixelnerf`: objects, their source views, and rays through pixels of any view."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.captures import Capture, CollectionObject
from sightline.foundation.errors import InputError
from sightline.methods.colour_variation import bend_channels, exchange_channels
from sightline.methods.pixelnerf.boxes import object_box, pixels_in_boxes
from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.methods.pixelnerf.frame import Frame
from sightline.methods.pixelnerf.jitter import ColourChange
from sightline.methods.pixelnerf.network import SourceViews
from sightline.methods.pixelnerf.tracing import ObjectRays
from sightline.methods.pixelnerf.views import PosedPictures, as_sources, load_views, pixel_rays

HELD_BYTES = 2 << 30
"""of decoded pictures that opened objects may hold together"""


@dataclass(frozen=True, eq=False)
class PixelNerfBatch:
    """Source views of some objects, and rays with what photos show along them."""

    sources: SourceViews
    rays: ObjectRays
    colours: Float[Tensor, "groups rays 3"]
    """in [0, 1]"""

    def to(self, device: torch.device | str) -> "PixelNerfBatch":
        """Move to a device."""
        return PixelNerfBatch(self.sources.to(device), self.rays.to(device), self.colours.to(device))


class OpenedObjects:
    """Objects that stay open, the least recently used of them closed where their pictures would not fit."""

    def __init__(self, objects: Sequence[CollectionObject], limit: int = HELD_BYTES):
        self.objects, self.limit = objects, limit
        self._opened: OrderedDict[int, Capture] = OrderedDict()

    def __len__(self) -> int:
        return len(self.objects)

    def __getitem__(self, index: int) -> Capture:
        capture = self._opened.pop(index, None) or self.objects[index].open()
        self._opened[index] = capture
        held = sum(opened.images.cached_bytes for opened in self._opened.values())
        while len(self._opened) > 1 and held > self.limit:
            held -= self._opened.popitem(last=False)[1].images.cached_bytes
        return capture


class BatchMaker:
    """An endless iterator of `PixelNerfBatch`, which counts the steps of its box phase.

    Args:
        objects: what to learn from.
        generator: where all randomness comes from; batches are on its device.
    """

    def __init__(
        self, objects: OpenedObjects, config: PixelNerfConfig, frame: Frame, generator: torch.Generator
    ):
        self.objects, self.config, self.frame, self.generator = objects, config, frame, generator
        self._given = 0
        self._boxes: dict[tuple[int, int], np.ndarray | None] = {}

    def __iter__(self) -> "BatchMaker":
        return self

    def __next__(self) -> PixelNerfBatch:
        """Give the next objects."""
        device = self.generator.device
        # One number from the device's generator: all else is drawn on the CPU, where pictures are.
        seed = int(torch.randint(1 << 62, (1,), generator=self.generator, device=device))
        chance = torch.Generator().manual_seed(seed)
        count = self._choose(self.config.source_counts, chance)
        chosen = draw_distinct(len(self.objects), self.config.objects, chance)
        share = 1.0 if self._given < self.config.box_steps else self.config.box_share
        parts = [self._visit(index, count, share, chance) for index in chosen]
        self._given += 1
        sources, origins, directions, colours = zip(*parts, strict=True)
        rays = torch.stack(origins), torch.stack(directions)
        near, far = (torch.full(rays[0].shape[:2], value) for value in (self.frame.near, self.frame.far))
        batch = PixelNerfBatch(as_sources(sources), ObjectRays(*rays, near, far), torch.stack(colours))
        return batch.to(device)

    def state_dict(self) -> dict[str, Any]:
        """How many batches were given."""
        return {"given": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._given = int(state["given"])

    def _visit(
        self, index: int, count: int, box_share: float, chance: torch.Generator
    ) -> tuple[PosedPictures, Tensor, Tensor, Tensor]:
        capture, config = self.objects[index], self.config
        if len(capture) < count:
            raise InputError(
                f"The object {self.objects.objects[index].id!r} has {len(capture)} views, fewer than the "
                f"{count} that it is to be seen from",
                where=capture.path,
                fix="Use a smaller --source-counts",
            )
        most = min(len(capture), max(count, config.most_views or len(capture)))
        views = draw_distinct(len(capture), most, chance)
        sources = [views[k] for k in draw_distinct(len(views), count, chance)]
        targets = views
        if config.target_views is not None and config.target_views < len(views):
            targets = [views[k] for k in draw_distinct(len(views), config.target_views, chance)]
        which = torch.randint(len(targets), (config.rays,), generator=chance)
        across, down = torch.rand(2, config.rays, generator=chance)
        # Only those views that rays go through are read.
        used, which = which.unique(return_inverse=True)
        needed = list(dict.fromkeys([*sources, *(targets[int(k)] for k in used)]))
        pictures = load_views(capture, needed, config, self.frame.to_model)
        if config.colour_jitter:
            change = ColourChange.draw(config.colour_jitter, chance)
            pictures = replace(pictures, images=change(pictures.images))
        if config.permute_colours:
            pictures = replace(pictures, images=exchange_channels(pictures.images[None], chance)[0])
        if config.bend_colours:
            bent = bend_channels(pictures.images[None] * 0.5 + 0.5, config.bend_colours, chance)[0]
            pictures = replace(pictures, images=(bent - 0.5) / 0.5)
        place = torch.tensor([needed.index(targets[int(k)]) for k in used])[which]
        boxed = torch.full((config.rays,), box_share == 1)
        if 0 < box_share < 1:
            boxed = torch.rand(config.rays, generator=chance) < box_share
        boxes = self._find_boxes(index, capture, needed, pictures, place, boxed)
        last = torch.tensor([pictures.images.shape[-1] - 1, pictures.images.shape[-2] - 1])
        found = pixels_in_boxes(boxes, across.numpy(), down.numpy())
        pixels = torch.minimum(torch.from_numpy(found).clamp_min(0), last)
        origins, directions = pixel_rays(pictures, place, pixels.float())
        colours = pictures.images[place, :, pixels[:, 1], pixels[:, 0]] * 0.5 + 0.5
        return pictures[[needed.index(view) for view in sources]], origins, directions, colours

    def _find_boxes(
        self,
        index: int,
        capture: Capture,
        views: list[int],
        pictures: PosedPictures,
        place: Int[Tensor, "rays"],
        boxed: Bool[Tensor, "rays"],
    ) -> Float[np.ndarray, "rays 4"]:
        """Give the box that the pixel of each ray is drawn from: that of the object, or the whole picture."""
        height, width = pictures.images.shape[-2:]
        boxes = np.tile(np.array([0, 0, width - 1, height - 1], np.float32), (len(views), 1))
        for row in set(place[boxed].tolist()):
            key = (index, views[row])
            if key not in self._boxes:
                self._boxes[key] = object_box(capture, views[row], self.config)
            found = self._boxes[key]
            if found is not None:
                boxes[row] = found * np.float32(pictures.ratio)
        whole = np.array([0, 0, width - 1, height - 1], np.float32)
        return np.where(boxed.numpy()[:, None], boxes[place.numpy()], whole)

    def _choose(self, options: Sequence[int], chance: torch.Generator) -> int:
        return options[int(torch.randint(len(options), (1,), generator=chance))]


def draw_distinct(total: int, count: int, generator: torch.Generator) -> list[int]:
    """Draw `count` different numbers below `total`; where there are fewer, again from the first."""
    order = torch.randperm(total, generator=generator).tolist()
    return [order[k % total] for k in range(count)]
