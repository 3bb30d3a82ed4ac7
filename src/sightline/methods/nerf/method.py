"""`nerf`: coarse and fine perceptrons along world rays or in normalised device coordinates."""

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.captures import Capture, Collection
from sightline.foundation.errors import InputError, warn
from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry import Cameras
from sightline.methods.base import Method, Optimisation, Progress, Rendering, Scene
from sightline.methods.nerf.batches import BatchMaker, NerfBatch, Pixels
from sightline.methods.nerf.config import NerfConfig
from sightline.methods.nerf.frame import Frame, find_frame
from sightline.methods.nerf.network import build_networks, network_of
from sightline.methods.nerf.optimisation import build_optimiser, rate_factor
from sightline.methods.nerf.rays import RayMaker
from sightline.methods.nerf.scene import NerfScene
from sightline.methods.nerf.tracing import Chance, Tracer, over
from sightline.networks.radiance_mlp import RadianceMlp

# A network that gives no density for so many steps gives none ever after.
_DEAD_AFTER = 100
_MOST_RESTARTS = 10
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
        self._frame: Frame | None = None
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
    def tracer(self) -> Tracer:
        """The rules of the configuration, applied to the networks."""
        return Tracer(self.config, self.networks, self.noise)

    def warm_up(self) -> None:
        """Settle how memory is reused: layers' outputs of the same size come again and again."""
        keep_freed_memory()

    def prepare(self, data: Capture | Collection) -> Capture:
        """Find the frame and the background; see `find_frame`."""
        if not isinstance(data, Capture):
            raise InputError(
                "nerf learns one scene, and this is a collection of many", fix="Give the folder of one scene"
            )
        if not data.splits.get("train"):
            raise InputError("The capture has no training views", where=data.path)
        self._frame = find_frame(data, self.config)
        self._background = _choose_background(data, self.config.background)
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
        chance = Chance.draw(self.config, self.noise, rays.origins)
        traced = self.tracer(rays, chance)
        passes = [traced.coarse] if traced.fine is None else [traced.coarse, traced.fine]
        errors = [(over(found.seen, behind) - truth).square().mean() for found in passes]
        loss = torch.stack(errors).sum()
        self._watch([found.seen.opacity for found in passes], loss)
        losses = {
            "loss": loss,
            "psnr": -10 * torch.log10(errors[-1].detach()),
            "rays": len(rays),
            "samples": sum(found.t.numel() for found in passes),
        }
        if traced.fine is not None:
            losses["psnr_coarse"] = -10 * torch.log10(errors[0].detach())
        return losses

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
    def _watch(self, opacities: list[Tensor], loss: Tensor) -> None:
        for k, opacity in enumerate(opacities):
            silent = (opacity.amax() <= 0) & (loss > _NOTHING_TO_LEARN)
            self._quiet[0, k] = torch.where(silent, self._quiet[0, k] + 1, 0)

    def after_step(self, progress: Progress) -> bool:
        """Draw a network anew that has died, the step after all processes have agreed that it has."""
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
        self._quiet.zero_()
        self._restarts += 1

    def optimisers(self) -> list[Optimisation]:
        """One optimiser for both networks; see `rate_factor` for its schedule."""
        optimiser = build_optimiser(self.config, self.parameters())
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
        return NerfScene(self.tracer, self.frame, self._background != "nothing")

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
        """The frame, and what is behind transparent parts."""
        return {"frame": self.frame.to_json(), "background": self._background}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back the frame and the background."""
        self._frame = Frame.from_json(state["frame"])
        self._background = str(state["background"])

    def training_state(self) -> dict[str, Any]:
        """How long networks have found nothing, and how often they were drawn anew."""
        return {"quiet": self._quiet, "restarts": self._restarts}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take back what `training_state` gave."""
        self._quiet.copy_(state["quiet"])
        self._restarts = int(state["restarts"])


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
