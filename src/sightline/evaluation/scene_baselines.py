"""Trivial predictors of the views of a scene, for methods that see it in its own photos.

- `white`: a white picture.
- `nearest_photo`: the source whose camera is nearest to the target's, as it is.
- `mean_of_nearest`: the mean of the sources that the method sees a target in.
- `warped_nearest`: the nearest source, moved by the plane that faces the target camera at the median depth of
  the sparse points it sees; without points, at the harmonic mean of its nearest and farthest depth; without
  these, where all cameras look at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sightline.captures import Capture
from sightline.evaluation.training_pictures import TrainingPictures, fit
from sightline.evaluation.views import Background, Predict, truth_picture
from sightline.geometry import focus_point

_LEAST_POINTS = 10


@dataclass
class SceneBaselines:
    """The baselines of an evaluation of scenes.

    Args:
        count: of the nearest sources that are averaged.
    """

    count: int
    training: TrainingPictures | None = None
    """none are compared"""

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Baselines that cannot be made: there are none."""
        return {}

    def of(
        self, id: str, capture: Capture, sources: tuple[int, ...], background: Background
    ) -> dict[str, Predict]:
        """Make the predictors of one scene; the arguments are those of `Baselines.of`."""

        def nearest(index: int) -> list[int]:
            centres = capture.cameras.centres
            apart = (centres[list(sources)] - centres[index]).norm(dim=-1)
            return [sources[k] for k in torch.argsort(apart, stable=True).tolist()[: self.count]]

        def sized(index: int, shown: Sequence[int]) -> Tensor:
            width, height = (int(value) for value in capture.images.sizes[index])
            pictures = [fit(truth_picture(capture, view, background), width, height) for view in shown]
            return torch.stack(pictures).mean(0)

        def warped(index: int) -> Tensor:
            source = nearest(index)[0]
            return warp(capture, truth_picture(capture, source, background), source, index)

        return {
            "white": lambda index: torch.ones_like(sized(index, [index])),
            "nearest_photo": lambda index: sized(index, nearest(index)[:1]),
            "mean_of_nearest": lambda index: sized(index, nearest(index)),
            "warped_nearest": warped,
        }


def warp(capture: Capture, picture: Tensor, source: int, target: int) -> Tensor:
    """Show a source view from a target camera, as if all were on a plane that faces that camera.

    Args:
        picture: float (h, w, 3) of the source.

    Returns:
        A float (height, width, 3); what the source does not see goes on as its border.
    """
    rays = capture.cameras.image_rays(target)
    forward = capture.cameras.forward[target]
    along = plane_depth(capture, target) / (rays.directions.double() @ forward.double())
    points = rays.origins.double() + along[:, None] * rays.directions.double()
    pixels, before = capture.cameras.project(points, source)
    size = torch.tensor([picture.shape[1], picture.shape[0]], dtype=torch.float64)
    # What is behind the source goes far outside.
    places = torch.where(before[:, None] > 0, 2 * pixels / size - 1, 2.0)
    width, height = (int(value) for value in capture.images.sizes[target])
    found = functional.grid_sample(
        picture.permute(2, 0, 1)[None],
        places.view(1, height, width, 2).to(picture),
        padding_mode="border",
        align_corners=False,
    )
    return found[0].permute(1, 2, 0)


def plane_depth(capture: Capture, view: int) -> float:
    """Find the depth, along the optical axis, that a view's content has in the middle."""
    if capture.points is not None:
        points = torch.from_numpy(capture.points.positions)
        seen = points[capture.cameras.sees(points, view)]
        if len(seen) >= _LEAST_POINTS:
            return float(capture.cameras.project(seen, view)[1].median())
    if capture.near is not None and capture.far is not None:
        return float(2 / (1 / capture.near[view] + 1 / capture.far[view]))
    away = focus_point(capture.cameras.c2w).double() - capture.cameras.centres[view].double()
    return float(away @ capture.cameras.forward[view].double())
