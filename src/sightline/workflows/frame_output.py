"""Writing frames while they are rendered: a video, a gif, or pictures, and the same of their depth."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.captures import Capture
from sightline.foundation.errors import InputError, inform
from sightline.geometry import Cameras
from sightline.media.colour import depth_range
from sightline.media.images import to_uint8, write_png
from sightline.media.video import write_video
from sightline.methods.base import Rendering
from sightline.workflows.depth_maps import (
    DepthFiles,
    DepthKind,
    DepthPlan,
    colour_measured,
    measure,
    near_plane,
)
from sightline.workflows.motions import FrameRenderer
from sightline.workflows.origin_sheet import OriginSheet
from sightline.workflows.side_writer import SideWriter
from sightline.workflows.source_strip import SourceStrip

_LEAST_OPACITY = 1 / 512
"""below half a step of 8 bits a pixel has no colour of its own"""
_PREVIEWS = 12
_PREVIEW_SIZE = 64


@dataclass(frozen=True)
class Rendered:
    """Files that were written."""

    path: Path
    """a video, or a folder of pictures"""
    depth: Path | None
    frames: int
    seconds_per_frame: float
    depth_maps: Path | None = None
    """folder of depth as numbers"""
    crop: Path | None = None
    """what was cropped out of a photo and shown to the method"""

    def to_json(self) -> dict[str, Any]:
        """What `sightline render --json` prints."""
        return {
            "path": self.path.as_posix(),
            "depth": None if self.depth is None else self.depth.as_posix(),
            "depth_maps": None if self.depth_maps is None else self.depth_maps.as_posix(),
            "crop": None if self.crop is None else self.crop.as_posix(),
            "frames": self.frames,
            "seconds_per_frame": round(self.seconds_per_frame, 4),
        }


@dataclass(frozen=True)
class Output:
    """What is to be written, and where."""

    path: Path
    fps: float
    transparent: bool
    depth: bool
    names: list[str] | None
    """file names of the pictures, where they have names of their own"""
    plan: DepthPlan
    strip: SourceStrip | OriginSheet | None = None
    """source views beside each frame, or what of it they say"""

    @property
    def depth_path(self) -> Path:
        """Of depth in colour."""
        return self.path.with_name(f"{self.path.stem}_{self.plan.label}{self.path.suffix}")

    @property
    def maps_path(self) -> Path:
        """Of depth as numbers."""
        return self.path.with_name(f"{self.path.stem}_{self.plan.label}_maps")

    @property
    def crop_path(self) -> Path:
        """Of what was cropped out of a photo."""
        return self.path.with_name(f"{self.path.stem}_crop.png")

    @property
    def folders(self) -> list[Path]:
        """Folders that pictures or maps are written to."""
        paths = [self.path, *([self.depth_path] if self.depth else [])]
        return [p for p in paths if not p.suffix] + ([self.maps_path] if self.plan.formats else [])

    def refuse_full_folders(self) -> None:
        """InputError where pictures would be written among files that may be somebody's photos."""
        for path in self.folders:
            if path.is_dir() and any(path.iterdir()):
                raise InputError(
                    "The folder for the pictures is not empty",
                    where=path,
                    fix="Give a new one with --out, or empty it",
                )


def write_frames(
    render: FrameRenderer,
    cameras: Cameras,
    output: Output,
    capture: Capture,
    on_frame: Callable[[int], None],
) -> Rendered:
    """Render frame by frame into the output, and the depth beside it; no more than a few frames are kept."""
    plan, near, limits, maps = output.plan, 1.0, None, None
    if output.depth or plan.formats:
        previews = _previews(render, cameras)
        if plan.kind == "ndc":
            z = _all_depths(previews, "z", near)
            near = near_plane(capture, float(np.nanmin(z)) if np.isfinite(z).any() else None)
        found = _all_depths(previews, plan.kind, near)
        limits = depth_range(found)
        if plan.formats:
            farthest = float(np.nanmax(found)) if np.isfinite(found).any() else None
            maps = DepthFiles(output.maps_path, plan, output.names, plan.steps_per_unit(farthest), near)
    side = (
        SideWriter(lambda frames: _write_frames(output.depth_path, frames, output)) if output.depth else None
    )
    seconds = 0.0

    def pictures() -> Iterator[np.ndarray]:
        nonlocal seconds
        for index in range(len(cameras)):
            started = time.perf_counter()
            rendering = render(index, cameras[index])
            seconds += time.perf_counter() - started
            picture = _rgba(rendering) if output.transparent else to_uint8(rendering.rgb)
            if side is not None or maps is not None:
                depth = measure(rendering, cameras[index], plan.kind, near)
                if maps is not None:
                    maps.put(index, depth, picture)
                if side is not None:
                    side.put(colour_measured(depth, plan.kind, limits))
            on_frame(index + 1)
            yield picture if output.strip is None else output.strip.beside(picture, rendering)

    try:
        count = _write_frames(output.path, pictures(), output)
        if side is not None:
            side.finish()
    finally:
        if side is not None:
            side.close()
    inform(f"Rendered {count} frame{'s' * (count > 1)}, {seconds / count:.2f} s each")
    depth_path = output.depth_path if output.depth else None
    return Rendered(output.path, depth_path, count, seconds / count, maps and maps.folder)


def _write_frames(path: Path, frames: Iterator[np.ndarray], output: Output) -> int:
    if path.suffix:
        return write_video(path, frames, output.fps)
    # Pictures of an earlier, longer rendering would look like part of this one.
    for old in path.glob("[0-9][0-9][0-9][0-9].png"):
        old.unlink()
    if output.names is None:
        return write_video(path, frames, output.fps)
    count = 0
    for count, (name, frame) in enumerate(zip(output.names, frames, strict=True), start=1):  # noqa: B007
        write_png(path / f"{name}.png", frame)
    return count


def _previews(render: FrameRenderer, cameras: Cameras) -> list[tuple[Rendering, Cameras]]:
    """Render small pictures along the path: what they show is settled for all frames alike."""
    found = []
    for index in np.unique(np.linspace(0, len(cameras) - 1, _PREVIEWS).round().astype(int)).tolist():
        camera = cameras[index]
        width, height = int(camera.width[0]), int(camera.height[0])
        scale = min(1.0, _PREVIEW_SIZE / max(width, height))
        small = camera.resized(max(1, round(width * scale)), max(1, round(height * scale)))
        found.append((render(index, small), small))
    return found


def _all_depths(previews: list[tuple[Rendering, Cameras]], kind: DepthKind, near: float) -> np.ndarray:
    return np.concatenate([measure(seen, camera, kind, near).ravel() for seen, camera in previews])


def _rgba(rendering: Rendering) -> np.ndarray:
    """Make a picture that was rendered over black into straight colours and opacity."""
    if rendering.opacity is None:
        raise InputError(
            "This method gives no opacity, so nothing is transparent",
            where="--background",
            fix="Give a colour",
        )
    opacity = rendering.opacity.clamp(0, 1)[..., None]
    colour = torch.where(opacity > _LEAST_OPACITY, rendering.rgb / opacity.clamp_min(_LEAST_OPACITY), 0.0)
    return to_uint8(torch.cat([colour, opacity], dim=-1))
