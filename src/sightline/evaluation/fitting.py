"""Fitting to test photos what a method learnt of its training photos: gains of each, and no more."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sightline.captures import Capture
from sightline.evaluation.views import Background, Predict, Refit, background_for
from sightline.geometry import Cameras
from sightline.methods.base import Rendering
from sightline.methods.exposure import fit_gains


class ExposureFit:
    """Predicts views, and again with the gains that come nearest to the photo (`fit_gains`).

    Args:
        render: gives the picture of one camera before `background`.
        capture: the scene.
        background: what shows where the picture is transparent; only captures with alpha have such a thing.
    """

    def __init__(self, render: Callable[[Cameras], Rendering], capture: Capture, background: Background):
        self.render, self.capture = render, capture
        self.behind = torch.tensor(background.colour, dtype=torch.float32)
        self._last: tuple[int, Rendering] | None = None

    def predict(self, index: int) -> Tensor:
        """Render a view, which the next call of `refit` may be about."""
        self._last = index, self.render(self.capture.cameras[index])
        return self._last[1].rgb

    def refit(self, index: int, truth: Tensor, counted: Tensor | None) -> Tensor:
        """Give the picture of a view with the exposure of its photo."""
        if self._last is None or self._last[0] != index:
            self.predict(index)
        assert self._last is not None
        rendering = self._last[1]
        rgb = rendering.rgb.float().cpu()
        opacity = torch.ones(rgb.shape[:2]) if rendering.opacity is None else rendering.opacity.float().cpu()
        shown = torch.zeros_like(rgb)
        if self.capture.images.channels == 4:
            shown = (1 - opacity[..., None]) * self.behind
        gains = fit_gains(rgb - shown, truth - shown, counted)
        return (rgb - shown) * gains.to(rgb) + shown


def predicting(
    render: Callable[[Cameras], Rendering], capture: Capture, background: str | None, fitted: Sequence[str]
) -> tuple[Predict, Refit | None]:
    """Make what predicts the views of a scene, and what predicts them once more with `fitted` fitted."""
    if "exposure" in fitted:
        fit = ExposureFit(render, capture, background_for(capture, background))
        return fit.predict, fit.refit
    return (lambda index: render(capture.cameras[index]).rgb), None
