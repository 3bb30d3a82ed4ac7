"""The first controls: how it is going, what is shown, and how exactly."""

import html
import math
from typing import TYPE_CHECKING

from sightline.viewer.host import Stage
from sightline.viewer.looks import Picture

if TYPE_CHECKING:
    from sightline.viewer.session import Session

_LABELS = {"colour": "Colour", "depth": "Depth", "opacity": "Opacity", "error": "Error against the photo"}
_MODES = {label: mode for mode, label in _LABELS.items()}
_LEAST_FOV, _MOST_FOV = 10.0, 120.0
_WAITING = "The first picture is being rendered"


class ViewPanel:
    """Status, mode, field of view, background; and, folded, the sizes and times of pictures."""

    def __init__(self, session: "Session"):
        self.session = session
        gui = session.client.gui
        self._run = gui.add_markdown(escaped(session.host.state))
        self._status = gui.add_markdown(_WAITING)
        self._mode = gui.add_dropdown("Show", list(_LABELS.values()), hint="What pictures show")
        self._fov = gui.add_slider(
            "Field of view", _LEAST_FOV, _MOST_FOV, 0.5, 50.0, hint="Vertical, in degrees"
        )
        self._background = gui.add_rgb("Background", (255, 255, 255), hint="Behind what is transparent")
        self._upright = gui.add_button("Level the horizon", hint="Up in the picture is up in the scene again")
        with gui.add_folder("Quality", expand_by_default=False):
            self._longest = gui.add_slider(
                "Pixels at rest", 64, 2048, 32, session.settings.longest, hint="Of the longer side"
            )
            self._budget = gui.add_slider(
                "Time moving", 30, 500, 10, 80, hint="Milliseconds that a picture may take while moving"
            )
        self._fov_told = 50.0
        self._connect()

    def _connect(self) -> None:
        session = self.session
        self._mode.on_update(lambda _: session.change(mode=_MODES[self._mode.value]))
        self._fov.on_update(lambda _: self._set_fov())
        self._background.on_update(lambda _: self._set_background())
        self._upright.on_click(lambda _: session.camera.straighten())
        self._longest.on_update(lambda _: session.change(longest=int(self._longest.value)))
        self._budget.on_update(lambda _: session.change(budget=self._budget.value / 1000))

    def set_stage(self, stage: Stage) -> None:
        """Offer what the scene can show."""
        modes = [_LABELS[mode] for mode in stage.painter().modes]
        if tuple(self._mode.options) != tuple(modes):
            self._mode.options = modes
        # A picture that is made as a whole has the field of view of the photos.
        self._fov.visible = not stage.method.whole_pictures

    def tell_fov(self, fov: float) -> None:
        """Let the slider follow the camera, which may be told elsewhere."""
        degrees = math.degrees(fov)
        if abs(degrees - self._fov_told) > 0.3:
            self._fov_told = degrees
            self._fov.value = min(max(round(2 * degrees) / 2, _LEAST_FOV), _MOST_FOV)

    def _set_fov(self) -> None:
        # The slider that follows the camera does not move it.
        if abs(self._fov.value - self._fov_told) > 0.3:
            self._fov_told = self._fov.value
            self.session.client.camera.fov = math.radians(self._fov.value)
            self.session.look()

    def _set_background(self) -> None:
        red, green, blue = self._background.value
        self.session.change(background=(red / 255, green / 255, blue / 255))

    def tell_state(self, text: str) -> None:
        """Say how far the run is."""
        self._run.content = escaped(text)

    def tell_picture(self, picture: Picture, sending: float) -> None:
        """Say what was sent: size, time, samples, and what is wrong with it."""
        height, width = picture.pixels.shape[:2]
        parts = [f"{width}x{height}", f"{1000 * (picture.seconds + sending):.0f} ms"]
        parts += picture.facts
        if not picture.last:
            parts.append("refining")
        text = escaped(", ".join(parts))
        if picture.note is not None:
            text += f"\n\n**{escaped(picture.note)}**"
        self._status.content = text

    def tell_failure(self, reason: str) -> None:
        """Say why there is no picture."""
        self._status.content = f"**No picture:** {escaped(reason)}"


def escaped(text: str) -> str:
    """Make Markdown that shows a text as it is."""
    found = html.escape(text, quote=False)
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]#|" else sign for sign in found)
