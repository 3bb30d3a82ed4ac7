"""Making a camera path: key cameras from the view, a preview, and a file for `sightline render`."""

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from sightline.foundation.errors import SightlineError
from sightline.viewer.host import Stage
from sightline.viewer.key_path import Key, KeyPath
from sightline.viewer.view_panel import escaped

if TYPE_CHECKING:
    from sightline.viewer.session import Session

_PATH = "/camera_path"
_LINE_COLOUR, _KEY_COLOUR, _CHOSEN_COLOUR = (150, 60, 200), (150, 60, 200), (240, 120, 30)
_LINE_POINTS = 160
_PREVIEW_INTERVAL = 0.05
_KEY_SIZE = 0.12
_NONE = "none"
_FIRST_TEXT = "Add key cameras from the view: the path goes through them."


class PathPanel:
    """A folder with the key cameras of one browser's path."""

    def __init__(self, session: "Session"):
        self.session = session
        self.path = KeyPath(size=session.stage.path_size)
        self._drawn: list[Any] = []
        self._frusta: list[Any] = []
        self._playing = threading.Event()
        self._build()
        self._connect()

    def _build(self) -> None:
        gui = self.session.client.gui
        width, height = self.path.size
        with gui.add_folder("Camera path", expand_by_default=False):
            self._text = gui.add_markdown(_FIRST_TEXT)
            self._add = gui.add_button("Add key camera", hint="From the view, behind the chosen key camera")
            self._key = gui.add_dropdown("Key camera", (_NONE,), hint="The one that the buttons change")
            self._change = gui.add_button_group("Change", ("go to", "earlier", "later", "set", "delete"))
            self._seconds = gui.add_number("Seconds", 4.0, min=0.1, max=600.0, step=0.1)
            self._fps = gui.add_slider("Frames/s", 1, 60, 1, 30)
            self._loop = gui.add_checkbox("Loop", False, hint="From the last key camera on to the first")
            self._play = gui.add_button("Preview")
            self._name = gui.add_text("Name", "path")
            self._size = gui.add_vector2("Size", (width, height), min=(16, 16), max=(8192, 8192), step=2)
            self._save = gui.add_button("Save path")
            self._saved = gui.add_markdown("")

    def _connect(self) -> None:
        self._add.on_click(lambda _: self.add())
        self._key.on_update(lambda _: self._draw())
        self._change.on_click(lambda event: self._act(event.target.value))
        self._seconds.on_update(lambda _: self._set(seconds=float(self._seconds.value)))
        self._fps.on_update(lambda _: self._set(fps=float(self._fps.value)))
        self._loop.on_update(lambda _: self._set(loop=bool(self._loop.value)))
        self._play.on_click(lambda _: self._toggle())
        self._save.on_click(lambda _: self.save())

    def set_stage(self, stage: Stage) -> None:
        """Take the size of pictures of another scene; its key cameras are those that were there."""
        if stage.path_size != self.path.size and not self.path.keys:
            self.path = replace(self.path, size=stage.path_size)
            self._size.value = (float(stage.path_size[0]), float(stage.path_size[1]))
        self._draw()

    def _set(self, **changes: Any) -> None:
        self.path = replace(self.path, **changes)
        self._draw()

    @property
    def _chosen(self) -> int | None:
        """Number of the chosen key camera."""
        value = str(self._key.value)
        return int(value) - 1 if value.isdecimal() and int(value) <= len(self.path.keys) else None

    def _view(self) -> Key:
        return Key(self.session.camera.pose(), float(self.session.client.camera.fov))

    def add(self) -> None:
        """Put the view behind the chosen key camera."""
        chosen = self._chosen
        place = len(self.path.keys) if chosen is None else chosen + 1
        self._take(self.path.add(self._view(), chosen), place)

    def _act(self, what: str) -> None:
        chosen = self._chosen
        if chosen is None:
            return
        if what == "go to":
            key = self.path.keys[chosen]
            self.session.fly(key.c2w, key.fov)
        elif what == "set":
            self._take(self.path.exchange(chosen, self._view()), chosen)
        elif what == "delete":
            self._take(self.path.remove(chosen), min(chosen, len(self.path.keys) - 2))
        else:
            by = -1 if what == "earlier" else 1
            self._take(self.path.move(chosen, by), min(max(chosen + by, 0), len(self.path.keys) - 1))

    def _take(self, path: KeyPath, chosen: int) -> None:
        """Take a changed path, and choose one of its keys."""
        self.path = path
        options = [str(number + 1) for number in range(len(path.keys))] or [_NONE]
        if tuple(self._key.options) != tuple(options):
            self._key.options = options
        self._key.value = options[max(chosen, 0)]
        if path.seconds is None:
            # Follows the number of keys until somebody sets it.
            self._seconds.value = path.duration
            self.path = replace(self.path, seconds=None)
        self._draw()

    def _draw(self) -> None:
        """Draw the path and its key cameras."""
        for handle in (*self._drawn, *self._frusta):
            handle.remove()
        self._drawn, self._frusta = [], []
        keys, frame, scene = self.path.keys, self.session.stage.frame, self.session.client.scene
        if not keys:
            self._text.content = _FIRST_TEXT
            return
        width, height = self.path.size
        here = self.session.camera.pose()[:, 3]
        for number, key in enumerate(keys):
            wxyz, position = frame.to_browser(key.c2w)
            colour = _CHOSEN_COLOUR if number == self._chosen else _KEY_COLOUR
            self._frusta.append(
                scene.add_camera_frustum(
                    f"{_PATH}/{number}",
                    key.fov,
                    width / height,
                    scale=_KEY_SIZE,
                    thickness=2.0,
                    thickness_units="screen",
                    color=colour,
                    wxyz=wxyz,
                    position=position,
                    visible=not self._inside(key, here),
                )
            )
        number = f"{len(keys)} key camera{'s' * (len(keys) > 1)}"
        if len(keys) < 2:
            self._text.content = f"{number}: move the view, and add another one."
            return
        self._text.content = f"{number}, {self.path.frames} frames, {self.path.duration:.1f} s"
        points = frame.place(self.path.cameras(_LINE_POINTS).centres.numpy()).astype(np.float32)
        if self.path.loop:
            points = np.concatenate([points, points[:1]])
        segments = np.stack([points[:-1], points[1:]], 1)
        self._drawn.append(
            scene.add_line_segments(
                f"{_PATH}/line", segments, _LINE_COLOUR, thickness=2.0, thickness_units="screen"
            )
        )

    def make_way(self, c2w: Float[np.ndarray, "3 4"]) -> None:
        """Hide key cameras that the view is in: their edges would run around it."""
        for key, handle in zip(self.path.keys, list(self._frusta), strict=False):
            visible = not self._inside(key, c2w[:, 3])
            if handle.visible != visible:
                handle.visible = visible

    def _inside(self, key: Key, place: Float[np.ndarray, "3"]) -> bool:
        distance = float(np.linalg.norm(key.c2w[:, 3] - place))
        return distance * self.session.stage.frame.scale < 2 * _KEY_SIZE

    def _toggle(self) -> None:
        if self._playing.is_set():
            self._playing.clear()
            return
        try:
            cameras = self.path.cameras()
        except SightlineError as error:
            self._saved.content = f"**{escaped(str(error))}**"
            return
        self._playing.set()
        self._play.label = "Stop"
        try:
            self._follow(cameras.c2w.numpy(), cameras.fy.numpy(), int(cameras.height[0]))
        finally:
            self._playing.clear()
            self._play.label = "Preview"

    def _follow(self, poses: np.ndarray, focal: np.ndarray, height: int) -> None:
        """Move the view along the path, by the clock: pictures come as they are ready."""
        started = time.perf_counter()
        while self._playing.is_set() and not self.session.closed:
            at = int((time.perf_counter() - started) * self.path.fps)
            if at >= len(poses) and not self.path.loop:
                at = len(poses) - 1
                self._playing.clear()
            frame = at % len(poses)
            fov = 2 * float(np.arctan(0.5 * height / focal[frame]))
            self.session.camera.put(poses[frame], fov)
            time.sleep(_PREVIEW_INTERVAL)

    def stop(self) -> None:
        """End a preview."""
        self._playing.clear()

    def save(self) -> None:
        """Write the path into the run folder, and tell how to render it."""
        host, size = self.session.host, self._size.value
        self.path = replace(self.path, size=(int(size[0]) // 2 * 2, int(size[1]) // 2 * 2))
        try:
            saved = self.path.save(host.folder / "renders" / "paths", str(self._name.value))
        except SightlineError as error:
            self._saved.content = f"**{escaped(str(error))}**"
            return
        command = host.render_command(saved, self.session.stage)
        self._saved.content = f"Saved. Render it with:\n\n```\n{command}\n```"
