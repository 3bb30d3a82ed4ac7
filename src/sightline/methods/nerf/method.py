"""`nerf`: coarse and fine perceptrons along world rays or in normalised device coordinates."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures import Capture, Collection
from sightline.foundation.errors import InputError, inform, warn
from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry import Cameras
from sightline.kernels.compositing import Composite
from sightline.kernels.warm import compile_operations
from sightline.methods.base import Method, Optimisation, Progress, Rendering, Scene
from sightline.methods.loss_parts import rays_at_a_time, sum_over_parts
from sightline.methods.nerf.batches import BatchMaker, NerfBatch, Pixels
from sightline.methods.nerf.config import NerfConfig
from sightline.methods.nerf.frame import Frame, find_frame
from sightline.methods.nerf.network import build_networks, name_shown, network_of
from sightline.methods.nerf.occupancy import (
    ROUGH_CELLS,
    GridSpace,
    OccupancyTracer,
    empty_grid,
    survey,
    tighten,
)
from sightline.methods.nerf.optimisation import build_optimiser, rate_factor
from sightline.methods.nerf.rays import RayMaker
from sightline.methods.nerf.scene import NerfScene
from sightline.methods.nerf.tracing import Chance, NerfRays, Tracer, over
from sightline.networks.radiance_mlp import RadianceMlp
from sightline.rendering.opacity_grid import OpacityGrid
from sightline.rendering.quadrature import Quadrature

# A network that gives no density for so many steps gives none ever after.
_DEAD_AFTER = 100
_MOST_RESTARTS = 10
# Looks at the grid of training that take in all of its cells, and how far these move towards what is found;
# what was there before is of no use yet. Other looks, and samples on the way.
_FULL_ROUNDS = (1, 2, 4, 8, 16, 32)
_FULL_RATE, _REFRESH_RATE, _OBSERVE_RATE = 0.9, 0.5, 0.1
_REFRESH_CELLS = 8192
# Mean squared error above which the pictures are not empty themselves.
_NOTHING_TO_LEARN = 1e-4


class Nerf(Method):
    """One scene, from its photos.

    Parameters are those of `build_networks`: `networks.coarse.…` and `networks.fine.…`. Everything else that
    rendering needs is in the configuration and in `state()`.
    """

    name: ClassVar[str] = "nerf"
    config: NerfConfig
    _quiet: Tensor

    def __init__(self, config: NerfConfig):
        super().__init__(config)
        config.check()
        self.networks = build_networks(config)
        if self._guided and "fine" in self.networks:
            # Never asked, and so without gradients.
            self.networks["coarse"].requires_grad_(False)
        # Of training, which follows the network; and of pictures, which is made of it as it is.
        self._learning: OpacityGrid | None = None
        self._learnt: OccupancyTracer | None = None
        self._frame: Frame | None = None
        # Of the training images, in pixels; not known of imported networks.
        self._focal: float | None = None
        self._background: str = "white"
        self._pixels, self._views = 0, 0
        self._processes = 1
        self._restarts = 0
        self._optimisers: list[torch.optim.Optimizer] = []
        # Steps in which each network has found nothing: up to now, and as the processes agreed on last.
        self.register_buffer("_quiet", torch.zeros(2, 2, dtype=torch.long), persistent=False)

    @property
    def frame(self) -> Frame:
        """The frame of the networks, known after `prepare` or `restore`."""
        assert self._frame is not None, "call prepare() or restore() first"
        return self._frame

    @property
    def noise(self) -> float:
        """Standard deviation of noise on densities."""
        if self.config.noise is not None:
            return self.config.noise
        return 0.0 if self.frame.kind == "bounded" else 1.0

    @property
    def _guided(self) -> bool:
        return self.config.sampler == "occupancy"

    @property
    def shown(self) -> str:
        """Name of the network that is shown: the fine one, where there is one."""
        return name_shown(self.networks)

    @property
    def tracer(self) -> Tracer:
        """The rules of the configuration, applied to the networks."""
        return Tracer(self.config, self.networks, self.noise)

    def warm_up(self) -> None:
        """Settle how memory is reused: layers' outputs of the same size come again and again."""
        keep_freed_memory()
        if self._guided:
            compile_operations("compositing", "occupancy", "sampling", "visibility")

    def prepare(self, data: Capture | Collection) -> Capture:
        """Find the frame and the background; see `find_frame`."""
        if not isinstance(data, Capture):
            raise InputError(
                "nerf learns one scene, and this is a collection of many", fix="Give the folder of one scene"
            )
        if not data.splits.get("train"):
            raise InputError("The capture has no training views", where=data.path)
        self._frame = find_frame(data, self.config)
        self._focal = float(data.cameras[list(data.splits["train"])].fx.double().median())
        self._background = _choose_background(data, self.config.background)
        if self._guided:
            self._learning = self._new_grid(self.config.occupancy_cells // 2)
        return data

    def batches(
        self, prepared: Capture, generator: torch.Generator, rank: int = 0, world: int = 1
    ) -> BatchMaker:
        """Rays of the training photos; see `BatchMaker`."""
        views = list(prepared.splits["train"])
        pixels = Pixels(prepared, views)
        self._pixels, self._views, self._processes = len(pixels), len(views), world
        one_image = self.config.one_image == "always" or (
            self.config.one_image == "bounded" and self.frame.kind == "bounded"
        )
        return BatchMaker(
            pixels,
            RayMaker(prepared.cameras[views].transformed(self.frame.to_model), self.config, self.frame),
            self.config,
            generator,
            one_image=one_image,
            random_background=self._background == "random",
        )

    def forward(self, batch: NerfBatch, progress: Progress) -> dict[str, Any]:
        """Mean squared errors of the coarse and the fine colours, in sRGB, added."""
        rays = batch.rays.to(next(self.parameters()))
        truth, behind = self._truth(batch)
        truth = truth.to(rays.origins)
        if self._learning is not None:
            return self._guided_losses(rays, truth, behind, self._learning)
        chance = Chance.draw(self.config, self.noise, rays.origins)
        tracer = self.tracer

        def look(part: slice) -> tuple[Tensor, tuple[Tensor, Tensor, int]]:
            traced = tracer(rays[part], chance[part])
            passes = [traced.coarse] if traced.fine is None else [traced.coarse, traced.fine]
            errors = torch.stack([_share(found.seen, truth, behind, part) for found in passes])
            opacities = torch.stack([found.seen.opacity.detach().amax() for found in passes])
            return errors.sum(), (errors.detach(), opacities, sum(found.t.numel() for found in passes))

        samples = self.config.coarse_samples + self.config.fine_samples
        size = rays_at_a_time(samples, rays.origins.device)
        loss, parts = sum_over_parts(look, len(rays), size, list(self.parameters()))
        errors = torch.stack([found[0] for found in parts]).sum(0)
        opacities = torch.stack([found[1] for found in parts]).amax(0)
        self._watch(dict(zip(self.networks, opacities, strict=True)), loss)
        losses = {
            "loss": loss,
            "psnr": -10 * torch.log10(errors[-1]),
            "rays": len(rays),
            "samples": sum(found[2] for found in parts),
        }
        if len(errors) > 1:
            losses["psnr_coarse"] = -10 * torch.log10(errors[0])
            losses |= {"loss_coarse": errors[0], "loss_fine": errors[1]}
        return losses

    def _guided_losses(
        self, rays: NerfRays, truth: Tensor, behind: Tensor | None, grid: OpacityGrid
    ) -> dict[str, Any]:
        guide, samples = self._guide(grid), 2 * self.config.occupancy_samples // 3

        def look(part: slice) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
            found = guide(rays[part], True, samples)
            error = _share(found.result, truth, behind, part)
            return error, (found.points, found.densities.detach(), found.result.opacity.detach())

        # Few rays get all of their samples.
        size = rays_at_a_time(max(1, samples // 4), rays.origins.device)
        error, parts = sum_over_parts(look, len(rays), size, list(self.parameters()))
        points, densities, opacity = (torch.cat(column) for column in zip(*parts, strict=True))
        guide.observe(points, densities, _OBSERVE_RATE)
        self._watch({self.shown: opacity.amax()}, error)
        psnr = -10 * torch.log10(error.detach())
        return {"loss": error, "psnr": psnr, "rays": len(rays), "samples": len(points)}

    def _new_grid(self, cells: int) -> OpacityGrid:
        return empty_grid(cells, GridSpace.of(self.frame)).to(next(self.parameters()).device)

    def _guide(self, grid: OpacityGrid, space: GridSpace | None = None) -> OccupancyTracer:
        return OccupancyTracer(
            self.config,
            network_of(self.networks, self.shown),
            grid,
            space or GridSpace.of(self.frame),
            endless=self._background == "nothing",
            noise=self.noise,
        )

    def _truth(self, batch: NerfBatch) -> tuple[Tensor, Float[Tensor, "rays 3"] | None]:
        """What the rays shall see, and what is behind what they meet."""
        colours = batch.colours
        behind = None
        if self._background == "white":
            behind = torch.ones_like(colours[:, :3])
        elif self._background == "random":
            behind = batch.random_colours
        if colours.shape[1] == 3:
            return colours, behind
        straight, alpha = colours[:, :3], colours[:, 3:]
        if self._background == "drop_alpha":
            return straight, None
        return straight * alpha + (0 if behind is None else behind * (1 - alpha)), behind

    @torch.no_grad()
    def _watch(self, opacities: dict[str, Tensor], loss: Tensor) -> None:
        """Count the steps in which a network's largest opacity is none."""
        for k, name in enumerate(self.networks):
            if name not in opacities:
                continue
            silent = (opacities[name] <= 0) & (loss > _NOTHING_TO_LEARN)
            self._quiet[0, k] = torch.where(silent, self._quiet[0, k] + 1, 0)

    def after_step(self, progress: Progress) -> bool:
        """Let the grid follow the network, and draw a network anew that has died.

        That happens the step after all processes have agreed that it has.
        """
        refreshed = self._refresh(progress.step)
        return self._restart_dead(progress) or refreshed

    def _refresh(self, step: int) -> bool:
        """Look at all cells while the scene takes shape, later at some."""
        grid, every = self._learning, self.config.occupancy_refresh
        if grid is None or step % every:
            return False
        everything = step // every in _FULL_ROUNDS
        cells = grid.random_cells(grid.side**3 if everything else _REFRESH_CELLS)
        with torch.no_grad():
            grid.refresh(self._guide(grid).box_density, cells, _FULL_RATE if everything else _REFRESH_RATE)
        return True

    def _restart_dead(self, progress: Progress) -> bool:
        if not self.config.restart_dead or self._restarts >= _MOST_RESTARTS:
            return False
        if progress.step % _DEAD_AFTER == 1 and progress.step > 1:
            agreed = self._quiet[1].tolist()
            for steps, name in zip(agreed, self.networks, strict=False):
                if steps >= _DEAD_AFTER:
                    self._restart(name, network_of(self.networks, name))
        if progress.step % _DEAD_AFTER:
            return False
        # Copied to the other processes before the next step, which decides by it.
        self._quiet[1] = self._quiet[0]
        return True

    def _restart(self, name: str, network: RadianceMlp) -> None:
        warn(f"The {name} network finds nothing anywhere and cannot learn any more; it begins anew")
        device = next(network.parameters()).device
        # On the CPU, whose generator is equal in all processes.
        network.cpu().reset(self.config.initialisation)
        network.to(device)
        for optimiser in self._optimisers:
            for parameter in network.parameters():
                optimiser.state.pop(parameter, None)
        if self._learning is not None:
            self._learning = self._new_grid(self._learning.side)
        self._quiet.zero_()
        self._restarts += 1

    def optimisers(self) -> list[Optimisation]:
        """One optimiser for both networks; see `rate_factor` for its schedule."""
        optimiser = build_optimiser(self.config, [p for p in self.parameters() if p.requires_grad])
        self._optimisers = [optimiser]
        unit = self.config.schedule_unit

        def schedule(progress: Progress) -> float:
            if unit == "training":
                return rate_factor(self.config, progress.fraction)
            position = float(progress.step) if unit == "step" else progress.step / self.steps_per_epoch
            return rate_factor(self.config, position)

        return [Optimisation(optimiser, schedule)]

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which as many rays are trained on as there are training pixels."""
        # A step takes all pixels of one image where no number of rays is given.
        steps = self._pixels / self.config.rays if self.config.rays else self._views
        return max(1, math.ceil(steps / self._processes))

    def encode(self, views: Capture | None = None) -> Scene:
        """The trained scene; `views` are not needed."""
        keep_freed_memory()
        guided = self._grid_of_pictures if self._guided else None
        return NerfScene(self.tracer, self.frame, self._background != "nothing", guided, self._focal)

    def _grid_of_pictures(self) -> OccupancyTracer:
        if self._learning is not None:
            return self._guide(self._learning)
        if self._learnt is None:
            self.derive({})
        assert self._learnt is not None
        return self._learnt

    def choose_sampler(self, name: str) -> None:
        """Render with another sampler than the run was trained with; see `Method.choose_sampler`.

        Raises:
            InputError: there is no such sampler, or it needs a network that was not trained.
        """
        if name not in ("stratified", "occupancy"):
            raise InputError(
                f"nerf has no sampler {name!r}", where="--sampler", fix="Use stratified or occupancy"
            )
        if name == "stratified" and self._guided and "fine" in self.networks:
            raise InputError(
                "The run was trained with the sampler occupancy, so its coarse network has learnt nothing",
                where="--sampler stratified",
                fix="Leave it away",
            )
        self.config = replace(self.config, sampler=name)

    @property
    def derived_name(self) -> str | None:
        """The grid of pictures follows from the weights."""
        return "occupancy" if self._guided else None

    def derive(self, kept: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Make the grid of pictures from the network's densities, or take the one that was kept."""
        cells = self.config.occupancy_cells
        found = kept.get("opacity")
        if found is None or "cube" not in kept or found.shape != (cells, cells, cells):
            inform(f"Looking where matter is, at {cells}x{cells}x{cells} cells")
            space = GridSpace.of(self.frame)
            # Around a box all of space matters.
            if not space.contracted:
                rough = self._guide(self._new_grid(ROUGH_CELLS))
                survey(rough)
                space = tighten(rough)
            fine = self._guide(self._new_grid(cells), space)
            survey(fine)
            # As it will be read, so that all pictures are the same.
            cube = torch.tensor([*fine.space.centre, fine.space.half], dtype=torch.float64)
            kept = {"opacity": fine.grid.opacity.half().cpu(), "cube": cube}
        x, y, z, half = kept["cube"].tolist()
        grid = self._new_grid(cells)
        grid.opacity.copy_(kept["opacity"])
        grid.changed()
        self._learnt = self._guide(grid, GridSpace((x, y, z), half, GridSpace.of(self.frame).contracted))
        return kept

    def render(
        self,
        scene: Scene,
        camera: Cameras,
        *,
        background: Tensor | None = None,
        chunk: int | None = None,
        directions_from: Cameras | None = None,
    ) -> Rendering:
        """Render one camera; see `Method.render`, and `NerfScene.render` for `directions_from`."""
        assert isinstance(scene, NerfScene)
        return scene.render(camera, background, chunk, directions_from)

    def state(self) -> dict[str, Any]:
        """The frame, what is behind transparent parts, and the focal length of the training images."""
        return {"frame": self.frame.to_json(), "background": self._background, "focal": self._focal}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self._frame = Frame.from_json(state["frame"])
        self._background = str(state["background"])
        self._focal = state.get("focal")

    def training_state(self) -> dict[str, Any]:
        """How long networks have found nothing, and how often they were drawn anew."""
        grid = {} if self._learning is None else {"grid": self._learning.opacity}
        return {"quiet": self._quiet, "restarts": self._restarts, **grid}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take back what `training_state` gave."""
        self._quiet.copy_(state["quiet"])
        self._restarts = int(state["restarts"])
        if self._learning is not None:
            self._learning.opacity.copy_(state["grid"])
            self._learning.changed()


def _share(seen: Quadrature | Composite, truth: Tensor, behind: Tensor | None, part: slice) -> Tensor:
    """What some rays have in the mean squared error of a batch."""
    colour = over(seen, None if behind is None else behind[part])
    return (colour - truth[part]).square().sum() / truth.numel()


def _choose_background(capture: Capture, wanted: str) -> str:
    """What is behind transparent parts: white, black, random, drop_alpha, or nothing for photos."""
    if wanted == "auto":
        return {"alpha": "white", "white": "white", "black": "black"}.get(capture.background, "nothing")
    if wanted in ("random", "drop_alpha") and capture.images.channels != 4:
        raise InputError(
            "The images have no alpha",
            where=f"--background {wanted}",
            fix="Use --background auto",
        )
    return wanted
