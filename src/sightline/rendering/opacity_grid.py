"""A grid of opacities that follows a field while it learns, and tells rays where matter is."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sightline.kernels import occupancy


class OpacityGrid(nn.Module):
    """Running mean, in every cell of the unit cube, of the part of the light that a marching bin takes.

    It does what the occupancy grid of Müller et al. 2022 (appendix E.3) does, and more: its values are good
    enough to place samples by, so no network has to be asked where a ray meets matter.

    Args:
        side: cells per axis.
        step: length of a marching bin inside the box, model units.
        contracted: whether the cube holds all of space (`sightline.kernels.marching.contract`).
        initial: value that every cell starts with, so that rays sample everywhere at first.
        threshold: cells that are not more opaque than this are empty to those who march.
    """

    opacity: Tensor

    def __init__(
        self, side: int, step: float, contracted: bool, initial: float = 0.02, threshold: float = 0.0
    ):
        super().__init__()
        self.side, self.step, self.contracted, self.threshold = side, step, contracted, threshold
        self.register_buffer("opacity", torch.full((side, side, side), initial))
        self._summary: tuple[Tensor, Tensor] | None = None

    @property
    def coarse(self) -> Tensor:
        """Maxima of the grid's blocks (b, b, b), made again after the grid was loaded or changed."""
        return self._summarised()[0]

    @property
    def marks(self) -> Tensor:
        """Bits of the cells above the threshold, see `sightline.kernels.occupancy.summarise`."""
        return self._summarised()[1]

    def _summarised(self) -> tuple[Tensor, Tensor]:
        if self._summary is None or self._summary[0].device != self.opacity.device:
            self._summary = occupancy.summarise(self.opacity, self.threshold)
        return self._summary

    def changed(self) -> None:
        """Say that `opacity` was written to."""
        self._summary = None

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self.changed()

    def points_in(self, cells: Tensor, generator: torch.Generator | None = None) -> Float[Tensor, "n 3"]:
        """Random unit-cube points, one in each of the cells given as flat indices (n,)."""
        x, y, z = cells % self.side, cells // self.side % self.side, cells // self.side**2
        corner = torch.stack([x, y, z], -1).to(self.opacity.dtype)
        jitter = torch.rand(len(cells), 3, generator=generator, device=cells.device)
        # Below 1 by more than the sum's rounding, which would reach into the next cell.
        return (corner + jitter.clamp(max=0.9999)) / self.side

    @torch.no_grad()
    def observe(self, cube: Float[Tensor, "n 3"], sigmas: Float[Tensor, "n"], rate: float) -> None:
        """Let the cells of unit-cube points follow the densities (per model unit) found there."""
        coarse, marks = self._summarised()
        occupancy.observe(
            self.opacity, coarse, cube, sigmas, self.step, self.contracted, rate, marks, self.threshold
        )

    @torch.no_grad()
    def refresh(
        self,
        field: Callable[[Tensor], Tensor],
        cells: Tensor,
        rate: float,
        generator: torch.Generator | None = None,
        chunk: int = 1 << 18,
    ) -> None:
        """Look at a random point in each of some cells (flat indices); block maxima are made new.

        Args:
            field: density per model unit at unit-cube points (n, 3).
            rate: how far each cell moves towards what is found.
        """
        for part in cells.split(chunk):
            points = self.points_in(part, generator)
            self.observe(points, field(points), rate)
        self.changed()

    @torch.no_grad()
    def survey(
        self,
        field: Callable[[Tensor], Tensor],
        looks: int,
        close_looks: int,
        within: Tensor | None = None,
    ) -> None:
        """Fill the grid with what a trained field has: cells hold the mean of all looks into them.

        Sheets of matter are thinner than cells, and a few points miss much of them.

        Args:
            field: density per model unit at unit-cube points (n, 3).
            looks: random points in every cell.
            close_looks: further ones in cells that hold matter, or are up to two cells away from one.
            within: (side, side, side) [z, y, x] cells that rays can reach; the others are left empty.
        """
        generator = torch.Generator(self.opacity.device).manual_seed(0)
        if within is None:
            within = torch.ones_like(self.opacity, dtype=torch.bool)
        self.opacity[~within] = 0
        self.changed()
        cells = within.view(-1).nonzero()[:, 0]
        for look in range(looks + close_looks):
            if look == looks:
                filled = (self.opacity > self.threshold).to(self.opacity)
                near = functional.max_pool3d(filled[None, None], 5, 1, 2)[0, 0]
                cells = (near.bool() & within).view(-1).nonzero()[:, 0]
            self.refresh(field, cells, 1 / (look + 1), generator)

    def random_cells(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Flat indices (count,) of cells, drawn evenly; all cells in order where there are no more."""
        total = self.side**3
        device = self.opacity.device
        if count >= total:
            return torch.arange(total, device=device)
        return torch.randint(total, (count,), generator=generator, device=device)

    def extent(self, threshold: float) -> Float[Tensor, "2 3"]:
        """Corners, in the model frame, of the box around all cells more opaque than `threshold`.

        For grids over a box only: what is a box of cells in contracted space is none in the model frame.
        """
        filled = (self.opacity > threshold).nonzero()[:, [2, 1, 0]]
        if not len(filled):
            return torch.tensor([[-1.0] * 3, [1.0] * 3], device=self.opacity.device)
        cube = torch.stack([filled.amin(0), filled.amax(0) + 1]).to(self.opacity.dtype) / self.side
        return 2 * cube - 1
