"""`pixelnerf`: radiance fields from one or few pictures, learnt from many scenes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.captures import Capture, Collection, CollectionObject, ImageStore
from sightline.foundation.cache import UnavailableError
from sightline.foundation.errors import InputError, inform, warn
from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry import Cameras
from sightline.kernels.warm import compile_operations
from sightline.methods.base import Method, Optimisation, Progress, Rendering, Scene
from sightline.methods.pixelnerf.batches import BatchMaker, OpenedObjects, PixelNerfBatch
from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.methods.pixelnerf.frame import Frame, find_frame, published_frame
from sightline.methods.pixelnerf.network import PixelNerfNetwork, layer_type
from sightline.methods.pixelnerf.scene import PixelNerfScene
from sightline.methods.pixelnerf.tracing import Chance, Pass, SampleCounts, Tracer
from sightline.methods.pixelnerf.views import as_sources, load_views
from sightline.networks.fused_adam import fused_adam

_LOOKED_AT = 8
"""objects that the frame is found from"""
_PHOTO_SIDE = 128
"""of the published crops, where the configuration states no size"""


@dataclass(frozen=True)
class Prepared:
    """What batches are made from."""

    objects: tuple[CollectionObject, ...]


class PixelNerf(Method):
    """Many scenes, each seen from its source views.

    Parameters are those of `PixelNerfNetwork`, below `network.`.
    """

    name: ClassVar[str] = "pixelnerf"
    usual_sources: ClassVar[int | None] = 1
    most_sources: ClassVar[int | None] = None
    usual_path: ClassVar[str] = "pixelnerf"
    config: PixelNerfConfig

    def __init__(self, config: PixelNerfConfig):
        super().__init__(config)
        config.check()
        self.network = PixelNerfNetwork(config)
        if not config.fine_samples and not config.schedule_fine and self.network.mlp_fine is not None:
            # Never asked, and so without gradients.
            self.network.mlp_fine.requires_grad_(False)
        self._frame: Frame | None = None
        self._told: set[int] = set()
        if config.schedule_at:
            # What rendering follows: the last numbers of samples of the training.
            self.register_buffer("schedule_count", torch.zeros((), dtype=torch.long))

    @property
    def frame(self) -> Frame:
        """The network's frame, known after `prepare` or `restore`."""
        assert self._frame is not None, "call prepare() or restore() first"
        return self._frame

    @property
    def counts(self) -> SampleCounts:
        """How many samples rays get now."""
        count = int(self.schedule_count) if self.config.schedule_at else 0
        return SampleCounts.at(self.config, count)

    def warm_up(self) -> None:
        """Compile the kernels, settle how memory is reused, and fetch ImageNet weights where they are wanted.

        It goes on without those, with a warning.
        """
        keep_freed_memory()
        if next(self.parameters()).device.type == "cpu":
            compile_operations("feature_maps")
            if layer_type(self.config) == torch.bfloat16:
                compile_operations("feature_maps", dtype=np.uint16)
        if not self.config.imagenet:
            return
        for encoder in (self.network.encoder, self.network.global_encoder):
            if encoder is None:
                continue
            try:
                encoder.model.load_imagenet()
            except UnavailableError as error:
                warn(f"The encoder begins with random weights, and so learns more slowly. {error}")
                return

    def prepare(self, data: Capture | Collection) -> Prepared:
        """Take the training objects, and find the frame from the first of them.

        Raises:
            InputError: there are no training objects, or they cannot be opened.
        """
        if isinstance(data, Capture):
            if not data.splits.get("train"):
                raise InputError("The capture has no training views", where=data.path)
            objects = (CollectionObject(data.name, "scene", partial(data.split, "train")),)
        else:
            objects = data.split("train")
        chosen = np.linspace(0, len(objects) - 1, min(len(objects), _LOOKED_AT)).round().astype(int)
        self._frame = find_frame([objects[index].open() for index in dict.fromkeys(chosen)], self.config)
        return Prepared(objects)

    def batches(
        self, prepared: Prepared, generator: torch.Generator, rank: int = 0, world: int = 1
    ) -> BatchMaker:
        """Objects with source views and rays; see `BatchMaker`."""
        return BatchMaker(OpenedObjects(prepared.objects), self.config, self.frame, generator)

    def forward(self, batch: PixelNerfBatch, progress: Progress) -> dict[str, Any]:
        """Mean squared errors of the coarse and the fine colours, weighted and added."""
        config, counts = self.config, self.counts
        encoded = self.network.encode(batch.sources)
        rays = batch.rays
        number = rays.near.numel()
        chance = Chance.draw(counts, number, rays.origins, noise=config.noise > 0)
        traced = Tracer(config, counts)(partial(self.network, encoded), rays, chance)
        truth = batch.colours.flatten(0, 1)
        coarse = self._error(traced.coarse, truth)
        losses: dict[str, Any] = {"rays": number, "samples": traced.coarse.t.numel()}
        if traced.fine is None:
            weight = config.coarse_weight if config.weigh_lone_coarse else 1.0
            losses |= {"loss": weight * coarse, "psnr": -10 * torch.log10(coarse.detach())}
            return losses
        fine = self._error(traced.fine, truth)
        losses["loss"] = config.coarse_weight * coarse + config.fine_weight * fine
        losses["psnr"] = -10 * torch.log10(fine.detach())
        losses["psnr_coarse"] = -10 * torch.log10(coarse.detach())
        losses["samples"] += traced.fine.t.numel()
        return losses

    def _error(self, found: Pass, truth: Float[Tensor, "rays 3"]) -> Tensor:
        colour = found.seen.colour
        if self.config.background == "white":
            colour = colour + 1 - found.seen.opacity[:, None]
        return (colour - truth).square().mean()

    def after_step(self, progress: Progress) -> bool:
        """Count for the schedule; running statistics differ between processes."""
        if self.config.schedule_at:
            self.schedule_count += self.config.objects if self.config.schedule_objects else 1
        return self.config.batch_statistics and not self.config.freeze_encoder

    def optimisers(self) -> list[Optimisation]:
        """Adam on all parameters that the configuration trains; its rate falls as the configuration says."""
        config = self.config
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimiser = fused_adam(trained, lr=config.learning_rate)

        def schedule(progress: Progress) -> float:
            falling = 1 + (config.final_rate - 1) * 0.5 * (1 - math.cos(math.pi * progress.fraction))
            return falling * config.decay_rate ** (progress.step / config.decay_span)

        return [Optimisation(optimiser, schedule)]

    def encode(self, views: Capture | None = None) -> Scene:
        """See an object or a scene from its source views; any number of them, of one size."""
        if views is None or not len(views):
            raise InputError("pixelnerf sees an object from its source views", fix="Give --sources")
        keep_freed_memory()
        self._tell_size(views)
        device = next(self.parameters()).device
        mode = self.training
        self.eval()
        try:
            pictures = load_views(views, range(len(views)), self.config, self.frame.to_model)
            encoded = self.network.encode(as_sources([pictures]).to(device))
        finally:
            self.train(mode)
        return PixelNerfScene(self.network, encoded, self.frame, self.config, self.counts)

    def _tell_size(self, views: Capture) -> None:
        """Say once for each size that the network sees pictures of another size than it learnt from."""
        height, learnt = int(views.images.sizes[0, 1]), self.config.image_size
        if learnt is None or height == learnt or height in self._told:
            return
        self._told.add(height)
        if height > learnt:
            inform(f"Source pictures are {height} pixels high; the network sees them reduced to {learnt}")
        else:
            inform(
                f"Source pictures are {height} pixels high, while the network learnt from {learnt}: what it "
                "makes of them may be worse"
            )

    def render(
        self,
        scene: Scene,
        camera: Cameras,
        *,
        background: Tensor | None = None,
        chunk: int | None = None,
    ) -> Rendering:
        """Render one camera; see `Method.render`."""
        assert isinstance(scene, PixelNerfScene)
        return scene.render(camera, background, chunk)

    @property
    def photo_side(self) -> int:
        """Side of the crops that it sees: the size of the pictures that it learnt from."""
        return self.config.image_size or _PHOTO_SIDE

    def views_of_photos(self, photos: Sequence[UInt8[np.ndarray, "height width channels"]]) -> Capture:
        """Take a photo as seen from straight before the object, at the middle of near and far.

        The camera looks along -z of the data's frame with y up; the object is at the origin.
        """
        if len(photos) != 1:
            raise InputError(
                f"The cameras of {len(photos)} photos of one object cannot be guessed",
                where="--photo",
                fix="Give one photo, or posed images with --data and --object",
            )
        height, width = photos[0].shape[:2]
        pose = torch.eye(4, dtype=torch.float64)
        near, far = self.frame.near, self.frame.far
        pose[2, 3] = (near + far) / 2
        cameras = Cameras.create(
            pose[None, :3], self.config.photo_focal * min(height, width), width=width, height=height
        ).transformed(self.frame.to_model.inverse())
        return Capture(
            name="photo",
            cameras=cameras,
            images=ImageStore.from_arrays([np.ascontiguousarray(photos[0])]),
            image_names=("photo",),
            splits={"train": (0,), "val": (), "test": ()},
            near=np.array([near / self.frame.to_model.scale]),
            far=np.array([far / self.frame.to_model.scale]),
            background="alpha" if photos[0].shape[2] == 4 else "white",
            format="photo",
        )

    def choose_sampler(self, name: str) -> None:
        """Render with another sampler; see `Method.choose_sampler`.

        Raises:
            InputError: there is no such sampler.
        """
        if name not in ("stratified", "occupancy"):
            raise InputError(
                f"pixelnerf has no sampler {name!r}", where="--sampler", fix="Use stratified or occupancy"
            )
        self.config = replace(self.config, sampler=name)

    def state(self) -> dict[str, Any]:
        """The frame."""
        return {"frame": self.frame.to_json()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back the frame; without one, that of the configuration."""
        frame = state.get("frame")
        self._frame = published_frame(self.config) if frame is None else Frame.from_json(frame)

    def describe(self) -> dict[str, float | int | str]:
        """Counts of parameters, used ones apart."""
        used = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return {"parameters": sum(p.numel() for p in self.parameters()), "trained_parameters": used}
