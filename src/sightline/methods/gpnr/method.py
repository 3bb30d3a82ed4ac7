"""The method `gpnr`: views of unseen scenes from nearby photos (Suhail et al. 2022)."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures import Capture, Collection
from sightline.foundation.errors import InputError, inform, warn
from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry import Cameras
from sightline.kernels.warm import compile_operations
from sightline.methods.base import Method, Optimisation, Progress, Rendering, Scene
from sightline.methods.gpnr.batches import GpnrBatch, RayMaker, TrainingScene
from sightline.methods.gpnr.config import GpnrConfig
from sightline.methods.gpnr.network import GpnrNetwork
from sightline.methods.gpnr.patches import from_maps
from sightline.methods.gpnr.scene import GpnrScene
from sightline.methods.gpnr.views import SceneViews
from sightline.methods.loss_parts import sum_over_parts
from sightline.networks.gradient_limits import limit_gradients
from sightline.networks.precision import product_type, products_in

_BETAS, _EPSILON = (0.9, 0.98), 1e-9
# Numbers of all tokens of one layer that are held at a time with their gradients: some gigabytes over all
# layers of the published network.
_HELD = {"cpu": 4_000_000, "gpu": 20_000_000}
_LEAST_RAYS = 4


class Gpnr(Method):
    """Many scenes, each seen in the photos that are nearest to a camera."""

    name: ClassVar[str] = "gpnr"
    usual_sources: ClassVar[int | None] = None
    picks_nearest: ClassVar[bool] = True
    usual_path: ClassVar[str] = "spiral"
    config: GpnrConfig

    def __init__(self, config: GpnrConfig):
        super().__init__(config)
        self.network = GpnrNetwork(config)
        self._said_few = False

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.colour.weight.device

    @property
    def nearest(self) -> int | None:
        """See `Method.nearest`."""
        return self.config.sources

    def use_nearest(self, count: int) -> None:
        """See `Method.use_nearest`."""
        if count < 1:
            raise InputError(f"It must be 1 or above, not {count}", where="--num-sources")
        self.config = replace(self.config, sources=count)

    def warm_up(self) -> None:
        """Compile the kernels that pictures are made with, and settle how memory is reused."""
        keep_freed_memory()
        if self.device.type == "cpu":
            narrow = product_type(self.config.layer_precision, self.device) == torch.bfloat16
            compile_operations("tokens", dtype=np.uint16 if narrow else np.float32)

    def prepare(self, data: Capture | Collection) -> list[TrainingScene]:
        """Bring the training scenes to the network's frame.

        Raises:
            InputError: no scene, one with less than two training views, or one that cannot be taken.
        """
        captures = [data] if isinstance(data, Capture) else [entry.open() for entry in data.split("train")]
        scenes = []
        for capture in captures:
            members = capture.splits.get("train") or tuple(range(len(capture)))
            if len(members) < 2:
                warn(f"{capture.name} has {len(members)} training views and is left out: it takes two")
                continue
            scenes.append(TrainingScene(SceneViews.of(capture, self.config), tuple(members)))
        if not scenes:
            raise InputError("There is no scene to learn from", where=data.path)
        fewest = min(len(scene.members) for scene in scenes) - 1
        if fewest < self.config.sources:
            warn(
                f"Scenes with fewer than {self.config.sources + 1} training views are seen from all but one "
                f"of them; the smallest from {fewest}"
            )
        return scenes

    def batches(
        self, prepared: Sequence[TrainingScene], generator: torch.Generator, rank: int = 0, world: int = 1
    ) -> RayMaker:
        """Rays of one picture at a time; see `RayMaker`."""
        share = self.config.rays // world + (rank < self.config.rays % world)
        return RayMaker(prepared, self.config, max(1, share), generator)

    def forward(self, batch: GpnrBatch, progress: Progress) -> dict[str, Tensor]:
        """Compare the colours of rays, and the mixed colours of their sources, with what a photo shows."""
        batch = batch.to(self.device)
        loss, (difference, mixed) = self._compare(batch)
        if self.config.weight_decay:
            squares = sum(value.square().sum() for value in self.parameters() if value.dim() > 1)
            loss = loss + 0.5 * self.config.weight_decay * squares
        return {
            "loss": loss,
            "psnr": -10 * torch.log10(difference),
            "mixed_psnr": -10 * torch.log10(mixed),
            "rays": torch.tensor(float(len(batch.colours))),
        }

    def _compare(self, batch: GpnrBatch) -> tuple[Tensor, Tensor]:
        """Give the loss, and the mean squared errors of the colours and of the mixed colours.

        The rays are computed in parts with their gradients, so that no more than one part is held.
        """
        config, patches = self.config, self.network.patches
        rays, samples = len(batch.colours), config.samples * len(batch.pictures)
        few = patches.serves_few(batch.pictures, rays * samples)
        cut = patches.cut(batch.pictures) if few else None
        whole_maps = [] if few else [patches(picture) for picture in batch.pictures]
        dtype = product_type(config.layer_precision, self.device)

        def look(part: slice, *maps: Tensor) -> tuple[Tensor, Tensor]:
            evidence = self.network.look(batch.rays[part], batch.cameras, cut or from_maps(maps))
            with products_in(dtype, self.device):
                seen = self.network(evidence)
            found = torch.stack([seen.rgb, seen.mixed])
            errors = (found - batch.colours[part]).square().sum((1, 2)) / (3 * rays)
            return errors.sum(), errors.detach()

        held = _HELD["cpu" if self.device.type == "cpu" else "gpu"]
        size = config.train_chunk or max(_LEAST_RAYS, held // (samples * config.width))
        # Of one part, too: parameters without influence get a gradient of zeros, for which processes wait.
        loss, errors = sum_over_parts(look, rays, min(size, rays), list(self.parameters()), whole_maps)
        return loss, torch.stack(errors).sum(0)

    def optimisers(self) -> list[Optimisation]:
        """AdamW; its rate rises, and falls in one of three ways."""
        config = self.config
        adam = torch.optim.AdamW(
            self.parameters(),
            lr=config.learning_rate * rule_factor(config),
            betas=_BETAS,
            eps=_EPSILON,
            weight_decay=config.weight_decay,
            fused=True,
        )
        limit_gradients(adam, config.clip_norm, config.clip_value)
        return [Optimisation(adam, lambda progress: rate_at(progress, config))]

    @torch.no_grad()
    def encode(self, views: Capture | None = None) -> Scene:
        """See a scene in posed photos; any number of them, of one size."""
        if views is None or not len(views):
            raise InputError("gpnr sees a scene in posed photos", fix="Give --sources")
        keep_freed_memory()
        if len(views) < self.config.sources and not self._said_few:
            self._said_few = True
            inform(f"There are {len(views)} photos: all are used, where {self.config.sources} are asked for")
        return GpnrScene(self.network, SceneViews.of(views, self.config), self.config)

    def render(
        self,
        scene: Scene,
        camera: Cameras,
        *,
        background: Float[Tensor, "3"] | None = None,
        chunk: int | None = None,
    ) -> Rendering:
        """See `Method.render`; the photos' own background is seen."""
        assert isinstance(scene, GpnrScene)
        return scene.render(camera, chunk)

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing of the data shapes the module."""


def rule_factor(config: GpnrConfig) -> float:
    """Give what a step's rays are of those that the learning rate is meant for; 1 without the rule."""
    return config.rays / config.rule_rays if config.scale_rule == "linear" else 1.0


def rate_at(progress: Progress, config: GpnrConfig) -> float:
    """Give the part of the learning rate of a step: it rises evenly from 0, and falls by the schedule."""
    factor, step = rule_factor(config), progress.step
    warm, halve_every = config.warm_up / factor, config.halve_every / factor
    if step < warm:
        return step / warm
    if config.schedule == "step":
        return 0.5 ** ((step - warm) // halve_every)
    # Part of the training that the rise took.
    risen = warm * progress.fraction / step if step else 0.0
    left = (1 - progress.fraction) / (1 - risen) if risen < 1 else 0.0
    return left if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * (1 - left)))
