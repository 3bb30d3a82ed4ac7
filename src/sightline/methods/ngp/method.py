"""`ngp`: a hash-grid radiance field with a density grid that guides sampling (Müller et al. 2022)."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from sightline.captures import Capture, Collection
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, Rays
from sightline.kernels.compositing import composite
from sightline.kernels.marching import MarchSettings, locate
from sightline.methods.base import Method, Optimisation, Progress, Rendering, Scene
from sightline.methods.ngp.batches import RayBatch, RayPool
from sightline.methods.ngp.config import NgpConfig
from sightline.methods.ngp.field import HashField
from sightline.methods.ngp.frame import Frame, find_frame
from sightline.methods.ngp.optimiser import HashAdam
from sightline.networks.encodings import spherical_harmonics
from sightline.rendering.opacity_grid import OpacityGrid
from sightline.rendering.sampler import SamplerSettings, sample

# Rays of the first step; later ones follow the sample budget.
_FIRST_RAYS = 1024


class Ngp(Method):
    """One scene, from its photos."""

    name: ClassVar[str] = "ngp"
    config: NgpConfig

    def __init__(self, config: NgpConfig):
        super().__init__(config)
        self.field = HashField(config)
        self.frame: Frame | None = None
        self.grid: OpacityGrid | None = None
        self.rays_per_step = _FIRST_RAYS

    def prepare(self, data: Capture | Collection) -> Capture:
        if not isinstance(data, Capture):
            raise InputError(
                "ngp learns one scene, and this is a collection of many", fix="Give one of its folders"
            )
        self._set_frame(find_frame(data, self.config.scene))
        return data

    def _set_frame(self, frame: Frame) -> None:
        self.frame = frame
        self.grid = OpacityGrid(self.config.grid, 2 / self.config.bins_per_box, frame.contracted)

    def batches(
        self, prepared: Capture, generator: torch.Generator, rank: int = 0, world: int = 1
    ) -> RayPool:
        assert self.frame is not None
        views = list(prepared.splits["train"])
        cameras = prepared.cameras[views].transformed(self.frame.to_model)
        return RayPool(prepared, views, cameras, generator, lambda: self.rays_per_step)

    def march_settings(self) -> MarchSettings:
        """How rays walk through this scene's grid."""
        assert self.frame is not None
        step = 2 / self.config.bins_per_box
        return MarchSettings(
            contracted=self.frame.contracted,
            step=step,
            near=self.frame.near,
            far=64.0,
            threshold=1e-3,
            max_bins=1024,
        )

    def forward(self, batch: RayBatch, progress: Progress) -> dict[str, Tensor]:
        assert self.grid is not None and self.frame is not None
        settings = SamplerSettings(
            self.config.samples_per_ray,
            largest_alpha=self.config.largest_alpha,
            floor=self.config.floor,
            per_bin=self.config.per_bin,
        )
        with torch.no_grad():
            samples = sample(
                batch.origins, batch.directions, self.grid, self.march_settings(), settings, jitter=True
            )
            index = samples.ray_indices
            cube = locate(batch.origins, batch.directions, samples, self.frame.contracted)
            harmonics = spherical_harmonics(batch.directions)
        sigmas, colours = self.field(cube, harmonics, index)
        result = composite(sigmas, colours, samples)
        self.grid.observe(cube, sigmas.detach(), self.config.observe_rate)
        rgb, truth = result.colour, batch.colours
        remaining = 1 - result.opacity[:, None]
        if truth.shape[1] == 4:
            alpha = truth[:, 3:]
            background = (
                batch.backgrounds if self.config.random_background else torch.ones_like(batch.backgrounds)
            )
            truth = truth[:, :3] * alpha + (1 - alpha) * background
            rgb = rgb + remaining * background
        loss = (rgb - truth).square().mean()
        self._follow_budget(len(batch.origins), len(samples))
        return {
            "loss": loss,
            "psnr": -10 * torch.log10(loss.detach()),
            "rays": torch.tensor(float(len(batch.origins))),
            "samples": torch.tensor(float(len(samples))),
        }

    def _follow_budget(self, rays: int, samples: int) -> None:
        wanted = rays * self.config.batch_samples / max(1, samples)
        # Steps of a quarter at most: the grid changes quickly at first.
        wanted = min(max(wanted, rays * 0.75), rays * 1.25)
        self.rays_per_step = int(min(max(wanted, 64), 65536))

    def after_step(self, progress: Progress) -> bool:
        assert self.grid is not None
        step, every = progress.step, self.config.refresh_every
        if step % every:
            return False
        # All cells at steps 16, 32, 64 … while the field takes shape, a few of them later.
        rounds = step // every
        everything = rounds & (rounds - 1) == 0 and rounds <= 32
        cells = self.grid.random_cells(self.grid.side**3 if everything else self.config.refresh_cells)
        self.grid.refresh(self.field.density, cells, self.config.refresh_rate)
        return True

    def optimisers(self) -> list[Optimisation]:
        config = self.config
        networks = [*self.field.density_network, *self.field.colour_network]
        optimiser = HashAdam([{"params": [self.field.table]}, {"params": networks}], lr=config.learning_rate)

        def schedule(progress: Progress) -> float:
            late = (progress.fraction - config.decay_from) / max(1e-9, 1 - config.decay_from)
            warm = min(1.0, (progress.step + 1) / 50)
            return warm * math.exp(math.log(config.final_rate) * min(max(late, 0.0), 1.0))

        return [Optimisation(optimiser, schedule)]

    def encode(self, views: Capture | None = None) -> Scene:
        return Scene()

    @torch.no_grad()
    def render(
        self, scene: Scene, camera: Cameras, *, background: Tensor | None = None, chunk: int | None = None
    ) -> Rendering:
        assert self.grid is not None and self.frame is not None
        camera = camera.transformed(self.frame.to_model)
        rays = camera.image_rays(0)
        height, width = int(camera.height[0]), int(camera.width[0])
        parts = [self._render_rays(rays[k : k + (chunk or 8192)]) for k in range(0, len(rays), chunk or 8192)]
        colour, opacity, depth_sum = (torch.cat(column) for column in zip(*parts, strict=True))
        if background is None:
            background = torch.ones(3)
        rgb = colour + (1 - opacity[:, None]) * background
        depth_sum = depth_sum / self.frame.to_model.scale
        depth = torch.where(opacity >= 0.01, depth_sum / opacity, torch.nan)
        shape = (height, width)
        return Rendering(
            rgb.clamp(0, 1).view(*shape, 3), depth.view(shape), opacity.view(shape), depth_sum.view(shape)
        )

    def _render_rays(self, rays: Rays) -> tuple[Tensor, Tensor, Tensor]:
        assert self.grid is not None and self.frame is not None
        settings = SamplerSettings(
            self.config.render_samples,
            largest_alpha=self.config.largest_alpha,
            floor=self.config.floor,
            per_bin=self.config.per_bin,
        )
        samples = sample(rays.origins, rays.directions, self.grid, self.march_settings(), settings)
        index = samples.ray_indices
        cube = locate(rays.origins, rays.directions, samples, self.frame.contracted)
        sigmas, colours = self.field(cube, spherical_harmonics(rays.directions), index)
        result = composite(sigmas, colours, samples)
        return result.colour, result.opacity, result.depth_sum

    def state(self) -> dict[str, Any]:
        assert self.frame is not None
        return {"frame": self.frame.to_json()}

    def restore(self, state: dict[str, Any]) -> None:
        self._set_frame(Frame.from_json(state["frame"]))

    def training_state(self) -> dict[str, Any]:
        return {"rays_per_step": self.rays_per_step}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.rays_per_step = int(state["rays_per_step"])
