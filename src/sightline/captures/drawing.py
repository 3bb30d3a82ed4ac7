"""A picture of the cameras around the scene, seen from above and from the side."""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from sightline.captures.capture import Capture
from sightline.foundation.files import atomic_path
from sightline.geometry.poses import focus_point, normalise, up_direction

COLOURS = {"train": "#2b6cb0", "val": "#b7791f", "test": "#c53030", "none": "#a0aec0"}
"""split → colour of its cameras"""
SIDES = {"from above": (0, 1), "from the side": (1, 2)}
"""where one looks from → axes of the picture, across and upward"""
_LABELS = ("right", "ahead", "up")
# A colour that nothing else has: it is replaced by the page's own.
_PAGE_INK = "#010203"
_MAX_FRUSTA = 400
_MAX_POINTS = 20_000
# Corners of a frustum in the order of drawing: apex to each, then around.
_EDGES = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1))


def draw_cameras(capture: Capture, path: Path | str) -> None:
    """Draw the frusta of all cameras from above and from the side, coloured by split, into a PNG file.

    Sparse points are drawn in their colours, and a cross marks the point that the cameras look at. Of more
    than 400 cameras every k-th gets a frustum, all get a dot. Axes are in the units of the capture.
    """
    figure = Figure(figsize=(13, 6.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    around = _Surroundings.of(capture)
    panels = figure.subplots(1, 2)
    for panel, side in zip(panels, SIDES, strict=True):
        _draw_side(panel, around, side)
    panels[0].legend(loc="best", fontsize="small")
    figure.suptitle(f"{capture.name}: {len(capture)} views ({capture.format})")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def draw_cameras_svg(capture: Capture) -> dict[str, str]:
    """Draw what `draw_cameras` does as `<svg>` elements for a page: "from above" and "from the side".

    Paper is transparent, and lines and letters that belong to no split have the page's own colour, so that
    they can be read on light and on dark ones.
    """
    around = _Surroundings.of(capture)
    return {side: _side_svg(around, side) for side in SIDES}


def _side_svg(around: "_Surroundings", side: str) -> str:
    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color")
    style: dict[Any, Any] = {
        **dict.fromkeys(ink, _PAGE_INK),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), "none"),
        "legend.framealpha": 0,
        "svg.fonttype": "none",
        "svg.hashsalt": f"{around.capture.name} {side}",
        "font.size": 9,
    }
    with rc_context(style):
        figure = Figure(figsize=(5.4, 4.8), layout="constrained")
        panel = figure.subplots()
        _draw_side(panel, around, side, ink=_PAGE_INK)
        panel.legend(loc="best", fontsize="small")
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = stream.getvalue().replace(_PAGE_INK, "currentColor")
    text = text[text.index("<svg") :]
    # Inside of a page the names of XML's vocabularies are known; sizes and style are the page's.
    for part in ("metadata", "style"):
        text = re.sub(rf"<{part}\b.*?</{part}>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    opening, end, rest = text.partition(">")
    return re.sub(r' (width|height)="[^"]*"', "", opening) + end + rest


@dataclass(frozen=True)
class _Surroundings:
    """What is drawn, in the axes of the pictures: right, ahead, up."""

    capture: Capture
    axes: np.ndarray
    names: list[str]
    """split by which each view is coloured"""
    centres: np.ndarray
    focus: np.ndarray
    frusta: dict[int, np.ndarray]

    @classmethod
    def of(cls, capture: Capture) -> "_Surroundings":
        axes = _view_axes(capture)
        focus = focus_point(capture.cameras.c2w).numpy() @ axes.T
        centres = capture.cameras.centres.numpy() @ axes.T
        return cls(capture, axes, _split_of_views(capture), centres, focus, _frusta(capture, focus, axes))


def _draw_side(panel: Axes, around: _Surroundings, side: str, ink: str = "black") -> None:
    across, upward = SIDES[side]
    _draw_points(panel, around.capture, around.axes, across, upward)
    for name, colour in COLOURS.items():
        members = [index for index, split in enumerate(around.names) if split == name]
        if not members:
            continue
        places = around.centres[members][:, (across, upward)].T
        panel.plot(*places, ".", color=colour, markersize=4, label=f"{name} ({len(members)})")
        lines = [around.frusta[index][:, :, (across, upward)] for index in members if index in around.frusta]
        if lines:
            edges = list(np.concatenate(lines))
            panel.add_collection(LineCollection(edges, colors=colour, linewidths=0.7, alpha=0.8))
    focus = around.focus
    panel.plot(focus[across], focus[upward], "+", color=ink, markersize=12, label="looked at")
    panel.set_title(side)
    panel.set_xlabel(_LABELS[across])
    panel.set_ylabel(_LABELS[upward])
    panel.set_aspect("equal", adjustable="datalim")
    panel.grid(alpha=0.25)


def _view_axes(capture: Capture) -> np.ndarray:
    """Choose right, ahead and up for the picture, as rows (3, 3): up is the photographer's."""
    c2w = capture.cameras.c2w
    up = up_direction(c2w).double()
    right = c2w[:, :, 0].mean(dim=0)
    if float(right.norm()) < 0.3:
        # Cameras all around: their own right averages out, the first one's is as good as any.
        right = c2w[0, :, 0]
    right = right - (right @ up) * up
    if float(right.norm()) < 1e-3:
        right = torch.linalg.cross(up, torch.eye(3, dtype=torch.float64)[int(up.abs().argmin())])
    right = normalise(right)
    return torch.stack([right, torch.linalg.cross(up, right), up]).numpy()


def _split_of_views(capture: Capture) -> list[str]:
    """Name the split by which each view is coloured; test wins over val over train."""
    names = ["none"] * len(capture)
    for split in ("train", "val", "test"):
        for index in capture.splits.get(split, ()):
            names[index] = split
    return names


def _frusta(capture: Capture, focus: np.ndarray, axes: np.ndarray) -> dict[int, np.ndarray]:
    """Give the edges of frusta by view, each (8, 2, 3) in the axes of the picture."""
    cameras = capture.cameras
    centres = cameras.centres.numpy() @ axes.T
    length = 0.15 * float(np.median(np.linalg.norm(centres - focus, axis=1)))
    step = -(-len(capture) // _MAX_FRUSTA)
    chosen = torch.arange(0, len(capture), step)
    width, height = cameras.width[chosen].double(), cameras.height[chosen].double()
    zero = torch.zeros_like(width)
    corners = torch.stack(
        [
            torch.stack(corner, -1)
            for corner in ((zero, zero), (width, zero), (width, height), (zero, height))
        ],
        1,
    )
    rays = cameras.rays(chosen.repeat_interleave(4), corners.reshape(-1, 2))
    ends = rays.origins.double() + length * rays.directions.double()
    ends = ends.numpy().reshape(-1, 4, 3) @ axes.T
    vertices = np.concatenate([centres[chosen.numpy()][:, None], ends], axis=1)
    return {int(index): vertices[row][np.array(_EDGES)] for row, index in enumerate(chosen)}


def _draw_points(panel: Axes, capture: Capture, axes: np.ndarray, across: int, upward: int) -> None:
    if capture.points is None or not len(capture.points):
        return
    points = capture.points.subsampled(_MAX_POINTS)
    positions = points.positions @ axes.T
    # A few points far out would shrink everything else to a dot.
    low, high = np.percentile(positions, (1, 99), axis=0)
    shown = ((positions >= low) & (positions <= high)).all(axis=1)
    panel.scatter(
        positions[shown, across],
        positions[shown, upward],
        s=1.5,
        c=points.colours[shown] / 255.0,
        linewidths=0,
        alpha=0.6,
        rasterized=True,
    )
