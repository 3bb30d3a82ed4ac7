"""Sampling by a grid of opacities: what `pixelnerf` sees in fixed source views is looked at once, then shown.

The grid covers the cube around the ball that rays between near and far pass through. It is made from one
object's source views when the first picture is asked for, and serves all further ones.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.geometry.poses import normalise
from sightline.kernels.compositing import Composite, composite
from sightline.kernels.packed import Samples
from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.methods.pixelnerf.tracing import Field
from sightline.rendering.opacity_grid import OpacityGrid
from sightline.rendering.sampler import sample_trained

# Bins less opaque than this are empty.
_EMPTY = 2e-3
_LOOKS, _CLOSE_LOOKS = 2, 6
_ROUGH_CELLS = 32
"""cells per axis of the grid by which the cube around the content is found"""


class OccupancyTracer:
    """Traces rays of the network's frame through one object's field.

    Args:
        field: of the object.
        centre: middle of the cube.
        half: half of its side.
        near, far: where rays begin and end, in distance from the camera.
    """

    def __init__(
        self,
        config: PixelNerfConfig,
        field: Field,
        centre: Float[Tensor, "3"],
        half: float,
        near: float,
        far: float,
    ):
        self.config, self.field, self.near, self.far = config, field, near, far
        self._enclose(centre, half, _ROUGH_CELLS)
        self._survey()
        low, high = self.grid.extent(_EMPTY)
        # One more cell on each side: what is there may have been missed.
        around = float((high - low).max()) / 2 + 2 / _ROUGH_CELLS
        self._enclose(centre + (low + high) / 2 * half, min(around, 1.0) * half, config.occupancy_cells)
        self._survey()

    def _enclose(self, centre: Tensor, half: float, cells: int) -> None:
        self.centre, self.half = centre, half
        self.grid = OpacityGrid(cells, 2 / cells, False, threshold=_EMPTY).to(centre.device)

    def _survey(self) -> None:
        generator = torch.Generator(self.centre.device).manual_seed(1)

        def density(cube: Tensor) -> Tensor:
            # Matter depends on where it is seen from: every look is from elsewhere.
            directions = normalise(
                torch.randn(cube.shape, generator=generator, device=cube.device, dtype=cube.dtype)
            )
            points = (2 * cube - 1) * self.half + self.centre
            return self.field(points[None], directions[None], True)[1][0] * self.half

        self.grid.survey(density, _LOOKS, _CLOSE_LOOKS)

    @torch.no_grad()
    def __call__(
        self, origins: Float[Tensor, "rays 3"], directions: Float[Tensor, "rays 3"]
    ) -> tuple[Composite, int]:
        """Trace rays along unit directions; gives what they see, and how many points were asked for."""
        placed = self._place(origins, directions)
        index = placed.ray_indices
        towards = directions[index]
        points = origins[index] + placed.distances[:, None] * towards
        colours, sigmas = self.field(points[None], towards[None], True)
        return composite(sigmas[0], colours[0], placed), len(points)

    def _place(self, origins: Tensor, directions: Tensor) -> Samples:
        """Samples by distance, each with the length that it stands for."""
        # The march begins at the near end.
        begin = (origins + self.near * directions - self.centre) / self.half
        far = (self.far - self.near) / self.half
        placed = sample_trained(begin, directions, self.grid, far, self.config.occupancy_samples)
        distances = self.near + placed.distances * self.half
        placed = replace(placed, distances=distances, lengths=placed.lengths * self.half)
        kept = distances < self.far
        return placed if bool(kept.all()) else placed.only(kept)
