"""The photos in the scene: frusta with small pictures, and flying to them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from sightline.viewer.host import Stage
from sightline.viewer.photos import camera_of, short_name

if TYPE_CHECKING:
    from sightline.viewer.session import Session

COLOURS = {"train": (45, 115, 215), "val": (235, 150, 20), "test": (205, 50, 60)}
SOURCE_COLOUR = (30, 150, 80)
_OTHER_COLOUR = (110, 110, 110)
_LARGEST, _SMALLEST = 0.45, 0.03
_PATH = "/photos"


class PhotoPanel:
    """A folder with what is drawn of the photos, and with the next one to fly to."""

    def __init__(self, session: "Session"):
        self.session = session
        self._frusta: dict[int, Any] = {}
        self._centres = np.zeros((0, 3))
        self._hidden: set[int] = set()
        self._size = 0.1
        self._place = -1
        gui = session.client.gui
        with gui.add_folder("Photos", expand_by_default=False):
            self._boxes = {}
            self._legend = gui.add_markdown("")
            for split in ("train", "val", "test"):
                box = gui.add_checkbox(f"Draw {split}", True, hint=f"Where photos of {split} were taken")
                box.on_update(lambda _: self._draw())
                self._boxes[split] = box
            self._scale = gui.add_slider("Size", 0.2, 3.0, 0.1, 1.0, hint="Of the photos in the scene")
            self._scale.on_update(lambda _: self._resize())
            steps = gui.add_button_group("Fly to", ("previous", "next", "nearest"))
            steps.on_click(lambda event: self._step(event.target.value))

    def set_stage(self, stage: Stage) -> None:
        """Draw the photos of another scene."""
        for handle in self._frusta.values():
            handle.remove()
        photos, frame = stage.photos, stage.frame
        self._frusta, self._hidden, self._place = {}, set(), -1
        self._size = float(np.clip(0.18 * photos.spacing * frame.scale, _SMALLEST, _LARGEST))
        splits = {photos.split_of(index) for index in photos.shown}
        for split, box in self._boxes.items():
            box.visible = split in splits
        self._legend.content = _legend(stage, splits)
        shown = photos.shown
        self._centres = np.array([photos.cameras.centres[index].tolist() for index in shown]).reshape(-1, 3)
        for index in shown:
            self._frusta[index] = self._add(stage, index)
        self._draw()

    def _add(self, stage: Stage, index: int) -> Any:
        pose, fov, aspect = camera_of(stage.photos, index)
        wxyz, position = stage.frame.to_browser(pose)
        split = stage.photos.split_of(index)
        colour = SOURCE_COLOUR if index in stage.sources else COLOURS.get(split, _OTHER_COLOUR)
        picture = stage.photos.thumbnail(index)
        handle = self.session.client.scene.add_camera_frustum(
            f"{_PATH}/{index}",
            fov,
            aspect,
            scale=self._size * self._scale.value,
            thickness=1.5,
            thickness_units="screen",
            color=colour,
            image=None if picture is None else _on_white(picture),
            wxyz=wxyz,
            position=position,
            cast_shadow=False,
            receive_shadow=False,
        )
        handle.on_click(lambda _: self.fly_to(index))
        return handle

    def fly_to(self, index: int) -> None:
        """Look at the scene as a photo does."""
        if index in self._frusta:
            self._place = list(self._frusta).index(index)
        pose, fov, _ = camera_of(self.session.stage.photos, index)
        self.session.fly(pose, fov)

    def make_way(self, c2w: Float[np.ndarray, "3 4"]) -> None:
        """Hide photos that the camera is in or right behind: they would be all that it sees."""
        if not len(self._centres):
            return
        reach = 3 * self._size * self._scale.value / self.session.stage.frame.scale
        near = np.linalg.norm(self._centres - c2w[:, 3], axis=1) < reach
        hidden = {index for index, close in zip(self._frusta, near, strict=True) if close}
        if hidden != self._hidden:
            changed = hidden ^ self._hidden
            self._hidden = hidden
            for index in changed:
                self._frusta[index].visible = self._visible(index)

    def _visible(self, index: int) -> bool:
        box = self._boxes.get(self.session.stage.photos.split_of(index))
        return (box is None or box.value) and index not in self._hidden

    def _draw(self) -> None:
        for index, handle in self._frusta.items():
            handle.visible = self._visible(index)
        # What is drawn in front is hidden by the picture's depth; nothing drawn, nothing to hide.
        drawn = any(self._visible(index) or index in self._hidden for index in self._frusta)
        if drawn != self.session.settings.with_depth:
            self.session.change(with_depth=drawn)

    def _resize(self) -> None:
        for handle in self._frusta.values():
            handle.scale = self._size * self._scale.value

    def _step(self, where: str) -> None:
        if not self._frusta:
            return
        order = list(self._frusta)
        if where == "nearest":
            distances = np.linalg.norm(self._centres - self.session.camera.pose()[:, 3], axis=1)
            self.fly_to(order[int(distances.argmin())])
            return
        self.fly_to(order[(self._place + (1 if where == "next" else -1)) % len(order)])

    @property
    def current(self) -> str | None:
        """Name of the photo that was flown to last."""
        order = list(self._frusta)
        return short_name(self.session.stage.photos.names[order[self._place]]) if self._place >= 0 else None


def _legend(stage: Stage, splits: set[str]) -> str:
    parts = [(split, COLOURS[split]) for split in COLOURS if split in splits]
    if stage.sources:
        parts.append(("source views", SOURCE_COLOUR))
    shown = ", ".join(
        f'<span style="color:rgb{colour};font-weight:600">{name}</span>' for name, colour in parts
    )
    count, total = len(stage.photos.shown), len(stage.photos)
    number = f"{total} photos" if count == total else f"{count} of {total} photos"
    return f"{number}: {shown}. Click on one to fly to it."


def _on_white(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=-1)
    if picture.shape[2] != 4:
        return picture
    opacity = picture[..., 3:].astype(np.float32) / 255
    return np.rint(picture[..., :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)
