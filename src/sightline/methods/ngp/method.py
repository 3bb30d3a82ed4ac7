"""`ngp`: a hash-grid radiance field with an opacity grid that guides sampling (Müller et al. 2022)."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from sightline.captures import Capture, Collection
from sightline.foundation.errors import InputError
from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry import Cameras
from sightline.kernels.marching import MarchSettings
from sightline.kernels.parallel import torch_on_one_thread
from sightline.kernels.photometric import PhotometricRays, PhotometricSettings
from sightline.kernels.photometric.refined import compile_refined
from sightline.kernels.warm import compile_all
from sightline.methods.base import Method, Optimisation, Progress, Rendering, Scene
from sightline.methods.ngp.batches import RayBatch, RayPool
from sightline.methods.ngp.config import NgpConfig
from sightline.methods.ngp.field import LARGEST_LOG_DENSITY, HashField
from sightline.methods.ngp.frame import Frame, find_frame
from sightline.methods.ngp.optimiser import HashAdam
from sightline.methods.ngp.refinement import Refinement
from sightline.methods.ngp.scene import NgpScene
from sightline.networks.encodings import spherical_harmonics
from sightline.rendering.opacity_grid import OpacityGrid
from sightline.rendering.sampler import SamplerSettings, random_seed

# Rays of the first step; later ones follow the sample budget.
_FIRST_RAYS = 1024
_LEAST_RAYS, _MOST_RAYS = 64, 1 << 16
# Looks at the opacity grid that take in all of its cells.
_FULL_ROUNDS = (1, 2, 4, 8, 16)
# How far they move towards what is found: what was there before is of no use yet.
_FULL_RATE = 0.9
# Steps over which the learning rate rises.
_WARM_STEPS = 50


class Ngp(Method):
    """One scene, from its photos."""

    name: ClassVar[str] = "ngp"
    torch_threads: ClassVar[int | None] = 1
    config: NgpConfig

    def __init__(self, config: NgpConfig):
        super().__init__(config)
        self.field = HashField(config)
        self._frame: Frame | None = None
        self._grid: OpacityGrid | None = None
        self.rays_per_step = _FIRST_RAYS
        self._processes = 1
        self._has_background = True
        self.refinement: Refinement | None = None

    @property
    def frame(self) -> Frame:
        """The model frame, known after `prepare` or `restore`."""
        assert self._frame is not None, "call prepare() or restore() first"
        return self._frame

    @property
    def grid(self) -> OpacityGrid:
        """The opacity grid, there after `prepare` or `restore`."""
        assert self._grid is not None, "call prepare() or restore() first"
        return self._grid

    def warm_up(self) -> None:
        """Compile the CPU kernels or load them from disk; settle how memory is reused."""
        keep_freed_memory()
        compile_all()
        if self.config.refined:
            compile_refined(self.field.narrow)

    def prepare(self, data: Capture | Collection) -> Capture:
        """Find the model frame; see `find_frame`."""
        if not isinstance(data, Capture):
            raise InputError(
                "ngp learns one scene, and this is a collection of many", fix="Give the folder of one scene"
            )
        if not data.splits.get("train"):
            raise InputError(
                "The capture has no training views",
                where=data.path,
                fix="Give --holdout 0 to train on all views, or another --split-rule",
            )
        self._set_frame(find_frame(data, self.config.scene))
        self._has_background = data.images.channels == 4
        if self.config.refined:
            views = list(data.splits["train"])
            cameras = data.cameras[views].transformed(self.frame.to_model)
            self.refinement = Refinement(self.config, len(views), cameras)
        return data

    def _set_frame(self, frame: Frame) -> None:
        self._frame = frame
        self._grid = OpacityGrid(self.config.grid, self._step, frame.contracted, threshold=self.config.empty)

    @property
    def _step(self) -> float:
        return 2 / self.config.bins_per_box

    def batches(
        self, prepared: Capture, generator: torch.Generator, rank: int = 0, world: int = 1
    ) -> RayPool:
        """Random rays of all training photos, as many as this process's share of the sample budget takes."""
        self._processes = world
        views = list(prepared.splits["train"])
        cameras = prepared.cameras[views].transformed(self.frame.to_model)
        return RayPool(
            prepared, views, cameras, generator, lambda: self.rays_per_step, self.refinement is not None
        )

    def _marching(self) -> MarchSettings:
        config = self.config
        return MarchSettings(
            contracted=self.frame.contracted,
            step=self._step,
            near=self.frame.near,
            far=config.far,
            threshold=config.empty,
            largest=config.largest_alpha,
            least_transmittance=config.least_transmittance,
            max_bins=8 * config.bins_per_box,
        )

    def _sampling(self, samples: int) -> SamplerSettings:
        config = self.config
        return SamplerSettings(samples, config.samples_per_bin, config.floor)

    def forward(self, batch: RayBatch, progress: Progress) -> dict[str, Any]:
        """Mean squared error of the rays' colours, in sRGB."""
        with torch.no_grad():
            target, behind = batch.colours, torch.zeros_like(batch.backgrounds)
            if target.shape[1] == 4:
                random = self.config.random_background
                behind = batch.backgrounds if random else torch.ones_like(batch.backgrounds)
                target = torch.lerp(behind, target[:, :3], target[:, 3:])
            features = spherical_harmonics(batch.directions)
            rays = PhotometricRays(batch.origins, batch.directions, features, target, behind)
        if self.refinement is not None and batch.views is not None:
            rays = self.refinement.turn(rays, batch.views, progress)
        step = self.field.photometric_step(rays, self.grid, self._photometric(progress))
        if self.refinement is not None:
            self.refinement.error = float(step.loss.detach())
        self.grid.observe(step.points, step.sigmas, self.config.observe_rate)
        # A sample that is not trained on has cost about a quarter of one that is.
        candidates = len(step.points)
        self._follow_budget(len(batch.origins), step.samples + (candidates - step.samples) // 4)
        return {
            "loss": step.loss if self.refinement is None else step.loss + self.refinement.penalty(),
            "psnr": -10 * torch.log10(step.loss.detach()),
            "rays": len(batch.origins),
            "samples": step.samples,
            "candidates": candidates,
        }

    def _photometric(self, progress: Progress) -> PhotometricSettings:
        config = self.config
        return PhotometricSettings(
            levels=self.field.levels,
            marching=self._marching(),
            sampling=self._sampling(config.samples_per_ray),
            seed=random_seed(),
            least_weight=config.least_weight,
            largest_log_density=LARGEST_LOG_DENSITY,
            narrow=self.field.narrow,
            position_shares=None if self.refinement is None else self.refinement.shares(progress),
        )

    def _follow_budget(self, rays: int, samples: int) -> None:
        """Let the next step have the rays that would have taken the budget of samples now."""
        budget = self.config.batch_samples / self._processes
        wanted = rays * budget / max(1, samples)
        # By a quarter at most: the grid changes quickly at first.
        wanted = min(max(wanted, rays * 0.75), rays * 1.25)
        self.rays_per_step = int(min(max(wanted, _LEAST_RAYS), _MOST_RAYS))

    def after_step(self, progress: Progress) -> bool:
        """Look at some of the grid's cells now and then, at all of them while the scene takes shape."""
        if self.refinement is not None:
            self.refinement.settle()
        step, every = progress.step, self.config.refresh_every
        if step % every:
            return False
        rounds = step // every
        everything = rounds in _FULL_ROUNDS
        cells = self.grid.random_cells(self.grid.side**3 if everything else self.config.refresh_cells)
        rate = _FULL_RATE if everything else self.config.refresh_rate
        with torch.no_grad():
            self.grid.refresh(self.field.density, cells, rate)
        return True

    def optimisers(self) -> list[Optimisation]:
        """Adam for everything; the rate rises briefly, stays, and falls exponentially."""
        config = self.config
        networks = [*self.field.density_network, *self.field.colour_network]
        optimiser = HashAdam(
            [
                {"params": [self.field.table], "name": "table"},
                {"params": networks, "lr": config.network_rate, "name": "networks"},
            ],
            lr=config.learning_rate,
        )

        def schedule(progress: Progress) -> float:
            warm = min(1.0, (progress.step + 1) / _WARM_STEPS)
            return warm * config.falling(progress.fraction)

        refined = [] if self.refinement is None else self.refinement.optimisations()
        return [Optimisation(optimiser, schedule), *refined]

    def encode(self, views: Capture | None = None) -> Scene:
        """The trained scene; `views` are not needed."""
        sampling = self._sampling(self.config.render_samples)
        return NgpScene(self.field, self.frame, self.grid, self._marching(), sampling, self._has_background)

    def render(
        self,
        scene: Scene,
        camera: Cameras,
        *,
        background: Tensor | None = None,
        chunk: int | None = None,
    ) -> Rendering:
        """Render one camera; see `Method.render`."""
        assert isinstance(scene, NgpScene)
        with torch_on_one_thread():
            return scene.render(camera, background, chunk)

    @property
    def fitted(self) -> tuple[str, ...]:
        """The exposure of photos, where it is learnt."""
        return tuple(name for name in self.config.refined if name == "exposure")

    def state(self) -> dict[str, Any]:
        """The model frame, and whether something was behind the scene."""
        found = {"frame": self.frame.to_json(), "has_background": self._has_background}
        return found if self.refinement is None else {**found, "photos": self.refinement.photos}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self._set_frame(Frame.from_json(state["frame"]))
        self._has_background = bool(state.get("has_background", True))
        if self.config.refined:
            self.refinement = Refinement(self.config, int(state["photos"]))

    def refined_cameras(self, cameras: Cameras) -> Cameras | None:
        """Correct the training photos' cameras, where poses are learnt; see `Method.refined_cameras`."""
        if self.refinement is None or "poses" not in self.config.refined:
            return None
        to_model = self.frame.to_model
        return self.refinement.correct(cameras.transformed(to_model)).transformed(to_model.inverse())

    def training_state(self) -> dict[str, Any]:
        """How many rays the next step has."""
        return {"rays_per_step": self.rays_per_step}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take back what `training_state` gave."""
        self.rays_per_step = int(state["rays_per_step"])
