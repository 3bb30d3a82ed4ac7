"""Cameras: where pictures were taken from, and how their pixels become rays.

Camera axes are x right, y up, z backward (OpenGL). Pixel coordinates are continuous, x right and y down, with
(0, 0) the corner of the picture: the centre of the pixel in row i and column j is (j + 0.5, i + 0.5).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.geometry.checks import check_cameras, read_coefficients, read_numbers, read_poses, read_whole
from sightline.geometry.lenses import LensModel, lens_limits, project_lens, unproject_lens
from sightline.geometry.rays import Rays
from sightline.geometry.similarity import Similarity

_FLIP = (1.0, -1.0, -1.0)
"""between OpenGL and OpenCV camera axes"""


@dataclass(frozen=True, eq=False)
class Cameras:
    """A batch of n cameras, each with its own pose, intrinsics, size and lens; `create` builds and checks it.

    Poses and intrinsics are float64. A device without float64 (Apple's MPS) cannot hold them: keep the
    cameras on the CPU there and move the rays.

    Example:
        >>> cameras = Cameras.create(torch.eye(4)[None], fx=50.0, width=100, height=80)
        >>> pixels, depth = cameras.project(torch.tensor([[0.0, 0.2, -1.0]]), 0)
        >>> pixels.tolist(), depth.tolist()
        ([[50.0, 30.0]], [1.0])
    """

    c2w: Float[Tensor, "n 3 4"]
    """camera to world"""
    fx: Float[Tensor, "n"]
    fy: Float[Tensor, "n"]
    cx: Float[Tensor, "n"]
    cy: Float[Tensor, "n"]
    width: Int[Tensor, "n"]
    height: Int[Tensor, "n"]
    lens: Int[Tensor, "n"]
    """values of `LensModel`"""
    distortion: Float[Tensor, "n 8"]
    """k1 k2 p1 p2 k3 k4 k5 k6 in OpenCV's order; k1 to k4 in the first four for a fisheye"""

    @staticmethod
    def create(
        c2w: Any,
        fx: Any,
        fy: Any = None,
        cx: Any = None,
        cy: Any = None,
        *,
        width: Any,
        height: Any,
        lens: Any = LensModel.PINHOLE,
        distortion: Any = None,
    ) -> "Cameras":
        """Build cameras from tensors, arrays, lists or numbers, and check them.

        Args:
            c2w: (n, 3, 4) or (n, 4, 4), or one such matrix for one camera; OpenGL axes.
            fx, fy: focal lengths in pixels, shared or one per camera; fy is fx where not given.
            cx, cy: principal point in pixels; the middle of the picture where not given.
            width, height: size in pixels, shared or one per camera.
            lens: `LensModel`, shared or one per camera.
            distortion: up to 8 coefficients, shared or a row per camera; zeros where not given.

        Raises:
            InputError: something is not finite, a rotation is not one (within 1e-3), a size or a focal length
                is not positive, or a lens is unknown; the message names the first such camera's index.
        """
        poses = read_poses(c2w)
        n, device = len(poses), poses.device

        def number(name: str, value: Any, dtype: torch.dtype = torch.float64) -> Tensor:
            return read_numbers(name, value, n, dtype, device)

        width, height = number("width", width), number("height", height)
        fx = number("fx", fx)
        cameras = Cameras(
            c2w=poses,
            fx=fx,
            fy=fx.clone() if fy is None else number("fy", fy),
            cx=width / 2 if cx is None else number("cx", cx),
            cy=height / 2 if cy is None else number("cy", cy),
            width=read_whole("width", width),
            height=read_whole("height", height),
            lens=number("lens", lens, torch.int64),
            distortion=read_coefficients(distortion, n, device),
        )
        check_cameras(vars(cameras))
        return cameras

    def __len__(self) -> int:
        return len(self.c2w)

    def __getitem__(self, chosen: int | slice | Sequence[int] | Tensor) -> "Cameras":
        """Choose cameras; the leading dimension stays, also for one index."""
        if isinstance(chosen, int):
            chosen = [chosen]
        if not isinstance(chosen, slice | Tensor):
            chosen = torch.tensor(list(chosen), dtype=torch.int64, device=self.device)
        return self._map(lambda value: value[chosen])

    def to(self, device: torch.device | str) -> "Cameras":
        """Move all tensors to a device."""
        return self._map(lambda value: value.to(device))

    @staticmethod
    def concatenate(parts: Sequence["Cameras"]) -> "Cameras":
        """Join batches, in order."""
        if not parts:
            raise ValueError("no cameras to concatenate")
        return Cameras(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Cameras)))

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Cameras":
        return Cameras(*(change(getattr(self, f.name)) for f in fields(self)))

    def _replace(self, **changes: Tensor) -> "Cameras":
        return replace(self, **changes)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.c2w.device

    @property
    def centres(self) -> Float[Tensor, "n 3"]:
        """Optical centres in the world."""
        return self.c2w[:, :, 3]

    @property
    def forward(self) -> Float[Tensor, "n 3"]:
        """Directions in the world that the cameras look in."""
        return -self.c2w[:, :, 2]

    def resized(self, width: int, height: int) -> "Cameras":
        """The same views with another number of pixels; intrinsics follow the exact ratio of the sizes."""
        if width < 1 or height < 1:
            raise InputError(f"A picture cannot be {width} x {height} pixels")
        return self._scaled(torch.full_like(self.width, width), torch.full_like(self.height, height))

    def downscaled(self, factor: float | int) -> "Cameras":
        """The same views with sizes divided by `factor` and rounded to whole pixels (halves up)."""
        if not factor > 0:
            raise InputError(f"Cannot downscale by {factor}", fix="Give a positive number")

        def size(value: Tensor) -> Tensor:
            return torch.floor(value.double() / factor + 0.5).long().clamp_min(1)

        return self._scaled(size(self.width), size(self.height))

    def _scaled(self, width: Tensor, height: Tensor) -> "Cameras":
        x, y = width.double() / self.width.double(), height.double() / self.height.double()
        return self._replace(
            fx=self.fx * x, fy=self.fy * y, cx=self.cx * x, cy=self.cy * y, width=width, height=height
        )

    def transformed(self, similarity: Similarity) -> "Cameras":
        """The same cameras in another frame; depths scale with it."""
        rotation = similarity.rotation.to(self.c2w) @ self.c2w[:, :, :3]
        centres = similarity.apply(self.centres)
        return self._replace(c2w=torch.cat([rotation, centres[:, :, None]], -1))

    def rays(self, indices: Int[Tensor, "m"] | int, pixels: Float[Tensor, "m 2"]) -> Rays:
        """Rays (float32) through continuous pixel positions (x, y) of the cameras `indices`.

        The lens is undone exactly. A pixel that the lens model does not reach gets the nearest ray it has;
        `local_directions` tells which ones do.
        """
        local, _ = self.local_directions(indices, pixels)
        indices = self._indices(indices)
        columns = (self.c2w[:, :, column].float() for column in range(4))
        x, y, z, origins = (column.index_select(0, indices) for column in columns)
        local = local.float()
        directions = x * local[:, 0:1] + y * local[:, 1:2] + z * local[:, 2:3]
        directions = directions / torch.linalg.vector_norm(directions, dim=-1, keepdim=True)
        return Rays(origins.expand_as(directions).contiguous(), directions)

    def image_rays(self, index: int, rows: slice | Sequence[int] | None = None) -> Rays:
        """Rays through all pixel centres of one camera, row by row.

        Args:
            rows: only these rows: a slice, or a sequence of row numbers.
        """
        width, height = int(self.width[index]), int(self.height[index])
        chosen = torch.arange(height)
        if rows is not None:
            chosen = chosen[rows if isinstance(rows, slice) else list(rows)]
        y, x = torch.meshgrid(chosen.double() + 0.5, torch.arange(width).double() + 0.5, indexing="ij")
        return self.rays(index, torch.stack([x, y], -1).reshape(-1, 2).to(self.device))

    def local_directions(
        self, indices: Int[Tensor, "m"] | int, pixels: Float[Tensor, "m 2"]
    ) -> tuple[Float[Tensor, "m 3"], Bool[Tensor, "m"]]:
        """Directions of pixels in camera axes (float64, of any length), and which the lens model reaches."""
        indices = self._indices(indices)
        pixels = pixels.to(self.c2w)
        plane = torch.stack(
            [
                (pixels[:, 0] - self.cx[indices]) / self.fx[indices],
                (pixels[:, 1] - self.cy[indices]) / self.fy[indices],
            ],
            -1,
        )
        flip = plane.new_tensor(_FLIP)
        if len(self._lens_kinds) == 1:
            lens = self._lens_kinds[0]
            directions, valid = unproject_lens(
                lens, plane, self._coefficients_of(indices), self._limits_of(indices)
            )
            return directions * flip, valid
        directions = plane.new_empty(len(plane), 3)
        valid = torch.empty(len(plane), dtype=torch.bool, device=self.device)
        lenses = self._working_lens[indices].expand(len(plane))
        for lens in self._lens_kinds:
            part = (lenses == lens).nonzero()[:, 0]
            own = indices.expand(len(plane))[part]
            directions[part], valid[part] = unproject_lens(
                lens, plane[part], self._coefficients_of(own), self._limits_of(own)
            )
        return directions * flip, valid

    def project(
        self, points: Float[Tensor, "m 3"], index: Int[Tensor, "m"] | int
    ) -> tuple[Float[Tensor, "m 2"], Float[Tensor, "m"]]:
        """Where world points appear in one camera, or each in a camera of its own.

        Returns:
            Continuous pixel positions (x, y), and depths along the optical axis (positive in front), in the
            dtype of `points`. The pixel of a point that the camera cannot see (`sees`) is finite but means
            nothing.
        """
        indices = self._indices(index)
        local = self._to_local(points, indices)
        plane = self._project_local(local, indices)
        pixels = torch.stack(
            [
                plane[:, 0] * self.fx[indices] + self.cx[indices],
                plane[:, 1] * self.fy[indices] + self.cy[indices],
            ],
            -1,
        )
        return pixels.to(points.dtype), local[:, 2].to(points.dtype)

    def sees(self, points: Float[Tensor, "m 3"], index: Int[Tensor, "m"] | int) -> Bool[Tensor, "m"]:
        """Whether world points fall inside the picture (nothing is known of what may hide them).

        A point beyond the lens's field of view that its polynomial folds back onto the picture is not seen.
        """
        indices = self._indices(index)
        pixels, depth = self.project(points.to(self.c2w), index)
        local = self._to_local(points, indices)
        radius = torch.hypot(local[:, 0], local[:, 1])
        fisheye = self._working_lens[indices] == LensModel.OPENCV_FISHEYE
        limits = self._lens_limits[indices]
        off_axis = torch.where(fisheye, torch.atan2(radius, depth), radius / depth.clamp_min(1e-12))
        inside = (pixels >= 0).all(-1) & (pixels[:, 0] <= self.width[indices])
        inside &= pixels[:, 1] <= self.height[indices]
        return inside & (fisheye | (depth > 0)) & (off_axis <= limits)

    def _indices(self, indices: Tensor | int) -> Tensor:
        if isinstance(indices, Tensor):
            return indices.to(self.device)
        return torch.tensor([range(len(self))[indices]], device=self.device)

    def _to_local(self, points: Tensor, indices: Tensor) -> Tensor:
        """World points in the cameras' frames, OpenCV axes."""
        poses = self.c2w[indices]
        offsets = points.to(self.c2w) - poses[:, :, 3]
        local = torch.stack([(poses[:, :, column] * offsets).sum(-1) for column in range(3)], -1)
        return local * local.new_tensor(_FLIP)

    def _project_local(self, local: Tensor, indices: Tensor) -> Tensor:
        if len(self._lens_kinds) == 1:
            return project_lens(self._lens_kinds[0], local, self._coefficients_of(indices))
        plane = local.new_zeros(len(local), 2)
        lenses = self._working_lens[indices].expand(len(local))
        for lens in self._lens_kinds:
            part = (lenses == lens).nonzero()[:, 0]
            own = self._coefficients_of(indices.expand(len(local))[part])
            plane = plane.index_put((part,), project_lens(lens, local[part], own))
        return plane

    @cached_property
    def _working_lens(self) -> Tensor:
        """Lens models, with those that do not bend at all counted as pinholes."""
        straight = (self.lens == LensModel.OPENCV) & (self.distortion == 0).all(-1)
        return torch.where(straight, torch.zeros_like(self.lens), self.lens)

    @cached_property
    def _lens_kinds(self) -> tuple[LensModel, ...]:
        return tuple(LensModel(value) for value in self._working_lens.unique().tolist()) or (
            LensModel.PINHOLE,
        )

    @cached_property
    def _lens_limits(self) -> Tensor:
        limits = torch.full_like(self.fx, torch.inf)
        for lens in self._lens_kinds:
            part = self._working_lens == lens
            limits[part] = lens_limits(lens, self.distortion[part])
        return limits

    @cached_property
    def _shared_coefficients(self) -> list[float] | None:
        """The coefficients as numbers where all cameras share them: arithmetic is cheaper with those."""
        first = self.distortion[:1]
        return first[0].tolist() if len(self) and bool((self.distortion == first).all()) else None

    def _coefficients_of(self, indices: Tensor) -> Sequence[Any]:
        if len(indices) == 1:
            return self.distortion[indices[0]].tolist()
        return self._shared_coefficients or self.distortion[indices].unbind(-1)

    def _limits_of(self, indices: Tensor) -> Any:
        limits = self._lens_limits[indices]
        return float(limits) if len(indices) == 1 else limits

    def to_json(self) -> dict[str, Any]:
        """Plain lists; `from_json` gives exactly the same cameras."""
        value = {f.name: getattr(self, f.name).tolist() for f in fields(self)}
        value["lens"] = [LensModel(lens).name for lens in value["lens"]]
        return value

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Cameras":
        """Read what `to_json` wrote; InputError where a field is missing or wrong."""
        missing = [f.name for f in fields(Cameras) if f.name not in value]
        if missing:
            raise InputError(f"The cameras lack the field {missing[0]!r}")
        try:
            lens = [LensModel[name] for name in value["lens"]]
        except (KeyError, TypeError) as error:
            known = ", ".join(model.name for model in LensModel)
            raise InputError(f"Unknown lens model {error}", fix=f"Known ones: {known}") from error
        arguments = {f.name: value[f.name] for f in fields(Cameras)}
        if not value["c2w"]:
            arguments["c2w"] = torch.zeros(0, 3, 4)
        return Cameras.create(**{**arguments, "lens": lens})
