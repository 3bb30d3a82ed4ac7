"""Pictures of held-out views while training, and their PSNR: small, so that they cost little."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sightline.captures import Capture
from sightline.geometry import Cameras
from sightline.methods.base import Method
from sightline.methods.pictures import PictureRenderer
from sightline.training.validation_sheet import ShownView, draw_views

MOST_VIEWS = 4
MOST_PIXELS = 40_000
LEAST_PIXELS = 1_000
COST_SHARE = 0.02
FIRST_AFTER = 10.0
_LISTED_SPLITS = ("val", "test")


@dataclass(frozen=True)
class ValidationView:
    """A held-out view at the size that it is validated at."""

    name: str
    camera: Cameras
    truth: Tensor
    """float32 (height, width, 3), composited on white"""
    kept: Tensor
    """bool (height, width): pixels that count"""


@dataclass(frozen=True)
class Validation:
    """What one validation found."""

    psnr: float
    """mean over the views, dB"""
    per_view: dict[str, float]
    picture: np.ndarray
    """uint8 (height, width, 3): truth, picture, depth and opacity side by side, a row per view"""
    seconds: float


@dataclass(kw_only=True)
class Scheduled(ABC):
    """Decides when to validate, every so many steps or as often as costs 2 %, and leaves no trace of it.

    Subclasses say in `_render` what a validation is, and in `_has_views` whether there is anything to show.
    """

    every: int | None = None
    """steps between validations; 0 for never, None for as often as costs 2 %"""
    chunk: int | None = None
    """rays at a time; the method's own choice where not given"""
    pixels: int | None = None
    """pixels of all views together; None until settled"""
    clock: Callable[[], float] = time.perf_counter
    seconds: float = 0.0
    possible: bool = field(init=False)
    """whether there are views to validate on, and it was not switched off"""
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self._next = self.clock() + FIRST_AFTER
        self.possible = self.every != 0 and self._has_views()

    def due(self, step: int) -> bool:
        """Whether to validate after `step` steps."""
        if not self.possible:
            return False
        if self.every is not None:
            return step % self.every == 0
        return self.clock() >= self._next

    def run(self, method: Method) -> Validation:
        """Render the views; parameters, random state and training mode are as before afterwards."""
        started = self.clock()
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        was_training = method.training
        method.eval()
        try:
            with torch.random.fork_rng(devices=devices), torch.no_grad():
                found = self._render(method)
        finally:
            method.train(was_training)
        seconds = self.clock() - started
        self.seconds += seconds
        self._next = self.clock() + max(FIRST_AFTER, seconds / COST_SHARE)
        return Validation(*found, seconds)

    @abstractmethod
    def _has_views(self) -> bool:
        """Whether there is anything to validate on."""

    @abstractmethod
    def _render(self, method: Method) -> tuple[float, dict[str, float], np.ndarray]:
        """Give the mean PSNR, that of each view, and the picture."""


@dataclass
class Validator(Scheduled):
    """Renders up to four held-out views, and decides when: every so many steps, or as often as costs 2 %.

    The views come from the split `val`, or from `test` where there is no other. The number of pixels is
    settled at the first validation, from the time that a small picture takes, so that later ones compare with
    it.
    """

    capture: Capture
    needs_sources: bool = False
    """whether `encode` takes the training views (methods that learn many scenes)"""
    _views: list[ValidationView] = field(default_factory=list)

    def _has_views(self) -> bool:
        return bool(choose_views(self.capture))

    def _render(self, method: Method) -> tuple[float, dict[str, float], np.ndarray]:
        sources = self.capture.split("train") if self.needs_sources else None
        painted = self.capture.background == "black" and self.capture.images.channels != 4
        device = next(method.parameters()).device
        background = torch.zeros(3, device=device) if painted else None
        render = PictureRenderer(method, method.encode(sources), background=background, chunk=self.chunk)
        if self.pixels is None:
            self.pixels = self._settle(render)
        if not self._views:
            self._views = prepare_views(self.capture, self.pixels)
        per_view, shown = {}, []
        for view in self._views:
            rendering = render(view.camera)
            psnr = picture_psnr(rendering.rgb.float().cpu().clamp(0, 1), view.truth, view.kept)
            per_view[view.name] = psnr
            shown.append(ShownView.of(view.name, psnr, view.truth, rendering))
        return sum(per_view.values()) / len(per_view), per_view, draw_views(shown)

    def _settle(self, render: PictureRenderer) -> int:
        """Choose how many pixels to render, from how long a small picture takes."""
        if self.every is not None:
            return MOST_PIXELS
        view = prepare_views(self.capture, LEAST_PIXELS, most_views=1)[0]
        started = self.clock()
        render(view.camera)
        rate = view.kept.numel() / max(self.clock() - started, 1e-6)
        return int(min(MOST_PIXELS, max(LEAST_PIXELS, rate * COST_SHARE * FIRST_AFTER)))


def choose_views(capture: Capture, most: int = MOST_VIEWS) -> list[int]:
    """Choose held-out views, evenly spread over the split; empty where the capture holds out none."""
    for name in _LISTED_SPLITS:
        members = capture.splits.get(name, ())
        if members:
            count = min(most, len(members))
            return [members[(2 * k + 1) * len(members) // (2 * count)] for k in range(count)]
    return []


def prepare_views(capture: Capture, pixels: int, most_views: int = MOST_VIEWS) -> list[ValidationView]:
    """Read held-out views and reduce them by area so that together they have about `pixels` pixels."""
    chosen = choose_views(capture, most_views)
    return [prepare_view(capture, index, pixels / len(chosen)) for index in chosen]


def prepare_view(capture: Capture, index: int, pixels: float) -> ValidationView:
    """Read one view and reduce it by area to about `pixels` pixels; a smaller one stays as it is."""
    camera = capture.cameras[index]
    width, height = int(camera.width[0]), int(camera.height[0])
    factor = max(1.0, math.sqrt(width * height / pixels))
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    truth = torch.from_numpy(_reduced(_on_white(capture.images[index]), size)).float() / 255
    kept = torch.ones(truth.shape[:2], dtype=torch.bool)
    if capture.masks is not None:
        mask = (np.asarray(capture.masks[index]).reshape(height, width) > 0).astype(np.uint8) * 255
        kept = torch.from_numpy(_reduced(mask, size)) == 0
    return ValidationView(capture.image_names[index], camera.resized(*size), truth, kept)


def _on_white(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[-1] != 4:
        return pixels
    opacity = pixels[..., 3:].astype(np.float32) / 255
    return (pixels[..., :3] * opacity + 255 * (1 - opacity)).round().astype(np.uint8)


def _reduced(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def picture_psnr(prediction: Tensor, truth: Tensor, kept: Tensor) -> float:
    """PSNR of float pictures (height, width, 3) over the pixels that count, in dB; 0 where none does."""
    if not bool(kept.any()):
        return 0.0
    error = float((prediction - truth)[kept].square().mean())
    return -10 * math.log10(max(error, 1e-10))
