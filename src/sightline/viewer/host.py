"""What the viewer needs of the rest of the program: a scene to show, and what can be done with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from sightline.captures import Capture
from sightline.methods.base import Method, Scene
from sightline.viewer.pace import Pace
from sightline.viewer.painter import ScenePainter
from sightline.viewer.photos import Photos, camera_of
from sightline.viewer.shown_frame import ShownFrame


@dataclass(eq=False)
class Stage:
    """A scene that is shown. Several browsers may show the same one; each has its own painter."""

    name: str
    method: Method
    scene: Scene
    photos: Photos
    frame: ShownFrame
    device: torch.device | str = "cpu"
    path_size: tuple[int, int] = (640, 480)
    """of pictures along camera paths, where nobody says another"""
    render_flags: tuple[str, ...] = ()
    """what `sightline render` needs to show the same scene"""
    sources: tuple[int, ...] = ()
    """of the photos, those that the scene is seen from; empty where it was learnt"""
    export: Mapping[str, Any] | None = field(default_factory=dict)
    """what exports need to make the same scene; None where they cannot"""
    longest: int = 640
    """pixels of the longer side of pictures at rest, to begin with"""
    views: Capture | None = None
    """what the scene is seen in; None where it was learnt"""
    pace: Pace = field(default_factory=Pace)
    """what is known of its speed"""

    def renewed(self, method: Method) -> "Stage":
        """The same with the weights that a method has now; called by the worker."""
        with torch.no_grad():
            return replace(self, method=method, scene=method.encode(self.views))

    def painter(self) -> ScenePainter:
        """Make what renders it for one browser."""
        return ScenePainter(self.method, self.scene, self.photos, self.device, self.name)


@dataclass(frozen=True)
class Candidate:
    """An object or scene that could be shown."""

    photos: Photos
    usual: tuple[int, ...]
    """photos that it is seen from where nobody chooses"""


@dataclass(frozen=True)
class ExportKind:
    """An export that there is a button for."""

    name: str
    summary: str
    needs: tuple[tuple[str, ...], ...] = ()
    """capabilities: of each group the scene needs one"""

    def serves(self, scene: Scene) -> bool:
        """Whether it can be made of a scene."""
        return all(set(group) & scene.capabilities for group in self.needs)


class Choices(Protocol):
    """Objects or scenes to choose from, of methods that see them in source views."""

    most_sources: int | None

    @property
    def splits(self) -> Mapping[str, Sequence[str]]:
        """Split → ids."""
        ...

    @property
    def takes_photos(self) -> bool:
        """Whether photos whose cameras nobody knows will do."""
        ...

    def look_up(self, id: str, split: str) -> Candidate:
        """Open an object to choose source views of; InputError where it is not there."""
        ...

    def choose(self, id: str, split: str, sources: Sequence[int]) -> Stage:
        """See an object in source views; called by the worker. InputError where that is not possible."""
        ...

    def take(self, name: str, content: bytes) -> Stage:
        """See the object of a photo (the content of its file); called by the worker."""
        ...


class Host(Protocol):
    """Where scenes come from, and where what is made of them goes."""

    title: str
    folder: Path
    """the run's"""

    @property
    def choices(self) -> Choices | None:
        """What else could be shown, of methods that see scenes in source views."""
        ...

    @property
    def exports(self) -> Sequence[ExportKind]:
        """What there are buttons for."""
        ...

    @property
    def stage(self) -> Stage:
        """What a browser is shown first."""
        ...

    def renew(self, stage: Stage, method: Method) -> Stage:
        """Show the same with the weights that a method has now."""
        ...

    @property
    def state(self) -> str:
        """A line about the run: how far its training is."""
        ...

    @property
    def exports_refused(self) -> str | None:
        """Why nothing can be exported now."""
        ...

    def export(self, kind: str, stage: Any, counting: Callable[[str, int], Any]) -> Path:
        """Export a stage; called in a thread of its own."""
        ...

    def render_command(self, path: Path, stage: Stage) -> str:
        """The command that renders a saved camera path."""
        ...


def first_view(stage: Stage) -> tuple[np.ndarray, float]:
    """Choose where a browser begins: at the first source or photo; gives pose and field of view."""
    photos = stage.photos
    if not len(photos):
        return np.eye(4)[:3], 0.8
    start = stage.sources[0] if stage.sources else 0
    pose, fov, _ = camera_of(photos, start)
    return pose, fov
