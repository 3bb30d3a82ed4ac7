"""Leaving out what is outside a box, or too near: of scenes that can be cut."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.viewer.host import Stage
from sightline.viewer.shown_frame import DISTANCE

if TYPE_CHECKING:
    from sightline.viewer.session import Session

_BOX = "/crop_box"
_COLOUR = (240, 120, 30)
_STEPS = 200
_ROOM = 1.5
"""how far beyond the scene's own box the sliders reach"""
# The twelve edges of a box, as pairs of its corners by number (bits are axes).
_EDGES = [(a, a | bit) for bit in (1, 2, 4) for a in range(8) if not a & bit]


class CropPanel:
    """A folder with a box and a near plane."""

    def __init__(self, session: "Session"):
        self.session = session
        self._lines: Any = None
        self._controls: list[Any] = []
        self._folder = session.client.gui.add_folder("Crop", expand_by_default=False, visible=False)
        self._bounds: np.ndarray | None = None

    def set_stage(self, stage: Stage) -> None:
        """Make the controls for a scene; none where it cannot be cut."""
        bounds = None
        if stage.scene.can_be_cut:
            bounds = stage.scene.bounds.double().cpu().numpy()
        if bounds is not None and self._bounds is not None and np.allclose(bounds, self._bounds, rtol=0.1):
            # The same scene, trained a little further: what was chosen stays.
            return
        for control in self._controls:
            control.remove()
        self._controls = []
        self._draw(None)
        self.session.change(box=None, near=0.0)
        self._bounds = bounds
        self._folder.visible = bounds is not None
        if bounds is not None:
            self._build(bounds, stage)

    def _build(self, bounds: np.ndarray, stage: Stage) -> None:
        gui = self.session.client.gui
        middle, half = bounds.mean(0), (bounds[1] - bounds[0]) / 2
        low, high = middle - _ROOM * half, middle + _ROOM * half
        reach = 2 * DISTANCE / stage.frame.scale
        with self._folder:
            self._on = gui.add_checkbox("Crop to the box", False, hint="Nothing outside of it is drawn")
            self._axes = [
                _range(gui, name, (low[axis], high[axis]), (bounds[0, axis], bounds[1, axis]))
                for axis, name in enumerate("xyz")
            ]
            self._near = gui.add_slider(
                "Near",
                0.0,
                reach,
                _step(reach),
                0.0,
                hint="What is nearer to the camera than this is left out, in the data's own units",
            )
        self._controls = [self._on, *self._axes, self._near]
        for control in (self._on, *self._axes):
            control.on_update(lambda _: self._changed())
        self._near.on_update(lambda _: self.session.change(near=float(self._near.value)))

    def _changed(self) -> None:
        ranges = [tuple(control.value) for control in self._axes]
        low = (float(ranges[0][0]), float(ranges[1][0]), float(ranges[2][0]))
        high = (float(ranges[0][1]), float(ranges[1][1]), float(ranges[2][1]))
        box = (low, high) if self._on.value else None
        self._draw(box)
        self.session.change(box=box)

    def _draw(self, box: tuple[tuple[float, ...], tuple[float, ...]] | None) -> None:
        """Draw the box's edges."""
        if self._lines is not None:
            self._lines.remove()
            self._lines = None
        if box is None:
            return
        ends = self.session.stage.frame.place(np.array(box))
        corners = np.array([[ends[(k >> axis) & 1, axis] for axis in range(3)] for k in range(8)])
        segments = np.array([[corners[a], corners[b]] for a, b in _EDGES], dtype=np.float32)
        self._lines = self.session.client.scene.add_line_segments(
            _BOX, segments, _COLOUR, thickness=2.0, thickness_units="screen"
        )


def _range(gui: Any, name: str, limits: tuple[float, float], chosen: tuple[float, float]) -> Any:
    """Make a slider with two ends, whose numbers are multiples of its step."""
    step = _step(limits[1] - limits[0])
    low, high = (round(float(value) / step) * step for value in limits)
    first, last = (round(float(value) / step) * step for value in chosen)
    return gui.add_multi_slider(
        name, low, high, step, (first, last), hint="Corners of the box, in the data's own units"
    )


def _step(length: float) -> float:
    """Choose a round step for a length: 1, 2 or 5 times a power of ten."""
    rough = length / _STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
