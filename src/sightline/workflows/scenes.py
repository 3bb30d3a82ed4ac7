"""A run that is loaded for looking at: its method on a device, its scene, and what renders it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from sightline.captures import Capture
from sightline.foundation.errors import InputError
from sightline.methods.base import Method, Scene
from sightline.methods.pictures import PictureRenderer
from sightline.runs.derived import derive
from sightline.runs.run import Run, warn_unfinished

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class LoadedScene:
    """A trained method with its scene."""

    run: Run
    method: Method
    scene: Scene
    device: str
    best: bool = False
    _ready: list[bool] = field(default_factory=list)

    def make_ready(self) -> None:
        """Find what pictures need besides the weights, or take what the run folder keeps of it."""
        if not self._ready:
            derive(self.run, self.method, best=self.best)
            self._ready.append(True)

    def renderer(
        self, background: tuple[float, float, float] | None = None, chunk: int | None = None
    ) -> PictureRenderer:
        """Make what renders pictures of the scene over a background colour (white where not given)."""
        colour = (
            None if background is None else torch.tensor(background, dtype=torch.float32, device=self.device)
        )
        self.make_ready()
        return PictureRenderer(self.method, self.scene, background=colour, chunk=chunk)


@dataclass(frozen=True)
class LoadedMethod:
    """A trained method on a device, for methods that see scenes from views."""

    run: Run
    method: Method
    device: str
    best: bool = False

    def see(self, views: Capture | None) -> LoadedScene:
        """Make a scene of source views (None for methods that learnt the scene itself)."""
        with torch.no_grad():
            scene = self.method.encode(views)
        return LoadedScene(self.run, self.method, scene, self.device, self.best)


def load_scene(
    run: Run | Path | str,
    *,
    device: Device = "auto",
    best: bool = False,
    sources: Capture | None = None,
    sampler: str | None = None,
) -> LoadedScene:
    """Load a run's weights and make its scene.

    Args:
        best: take the weights with the highest validation PSNR instead of the latest ones.
        sources: views to see the scene from, for methods that generalise.
        sampler: how to place samples along rays, where not as in training.
    """
    return load_method(run, device=device, best=best, sampler=sampler).see(sources)


def load_method(
    run: Run | Path | str,
    *,
    device: Device = "auto",
    best: bool = False,
    sampler: str | None = None,
    resize: bool = False,
    tell: bool = True,
) -> LoadedMethod:
    """Load a run's weights; arguments are those of `load_scene`.

    Args:
        resize: let a method of one picture size take source views of others too.
        tell: say so where the training was stopped before its end.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    if tell:
        warn_unfinished(run)
    chosen = choose_device(device)
    method = run.load_method(chosen, best=best)
    if sampler is not None:
        method.choose_sampler(sampler)
    if resize:
        method.take_any_size()
    return LoadedMethod(run, method, chosen, best)


def choose_device(wanted: Device = "auto") -> str:
    """Name the device to compute on, as torch names it; InputError where there is none of the kind."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError("No CUDA device can be used", where="--device cuda", fix="Use --device cpu")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
