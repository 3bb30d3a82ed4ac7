"""One browser: what it looks at, its panels, and the pictures that it is sent."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from sightline.viewer.camera_link import CameraLink
from sightline.viewer.crop_panel import CropPanel
from sightline.viewer.export_panel import ExportPanel
from sightline.viewer.exporting import Exporter, ExportState
from sightline.viewer.host import Host, Stage, first_view
from sightline.viewer.looks import Failure, Look, Picture, Settings
from sightline.viewer.object_panel import ObjectPanel
from sightline.viewer.path_panel import PathPanel
from sightline.viewer.photo_panel import PhotoPanel
from sightline.viewer.scheduler import Scheduler
from sightline.viewer.shown_frame import FARTHEST
from sightline.viewer.view_panel import ViewPanel

_MOVING_QUALITY, _LAST_QUALITY = 75, 93
"""of JPEG"""


class Session:
    """A browser from its connection to its end.

    Args:
        client: viser's handle of it.
        host: what can be done with the run.
        exporter: shared by all browsers.
    """

    def __init__(self, client: Any, host: Host, scheduler: Scheduler, exporter: Exporter):
        self.client, self.host, self.scheduler, self.exporter = client, host, scheduler, exporter
        self.stage: Stage = host.stage
        self.settings = Settings(longest=self.stage.longest, with_depth=len(self.stage.photos) > 0)
        self.closed = False
        self.pictures = 0
        """how many were sent"""
        self.on_picture: Callable[[Picture], None] | None = None
        """called when one was sent, for measurements"""
        self._lock = threading.RLock()
        self.camera = CameraLink(client, self.stage.frame)
        self.photo_panel: PhotoPanel | None = None
        self.path_panel: PathPanel | None = None

    def begin(self) -> None:
        """Make the panels, and begin to serve the browser."""
        self.painter = self.stage.painter()
        self.scheduler.open(self.client.client_id, self.painter, self._show, self.stage.pace)
        self.view_panel = ViewPanel(self)
        # The other panels can be made while the first picture is.
        self.look()
        self.object_panel = None if self.host.choices is None else ObjectPanel(self, self.host.choices)
        self.photo_panel = PhotoPanel(self)
        self.crop_panel = CropPanel(self)
        self.path_panel = PathPanel(self)
        self.export_panel = ExportPanel(self)
        self._fit_panels()
        self.client.camera.on_update(self._on_camera)
        self.look()

    def _fit_panels(self) -> None:
        """Let the panels offer what the scene can do."""
        for panel in (self.view_panel, self.photo_panel, self.crop_panel, self.path_panel, self.export_panel):
            assert panel is not None
            panel.set_stage(self.stage)

    def _on_camera(self, camera: Any) -> None:
        self.look()

    def look(self) -> None:
        """Ask for pictures of where the camera is now."""
        if self.closed:
            return
        with self._lock:
            camera = self.client.camera
            look = Look(
                c2w=self.camera.pose(),
                fov=float(camera.fov),
                width=max(1, int(camera.image_width)),
                height=max(1, int(camera.image_height)),
                settings=self.settings,
            )
        self.scheduler.look(self.client.client_id, look)
        if self.photo_panel is not None:
            self.photo_panel.make_way(look.c2w)
            self.view_panel.tell_fov(look.fov)
        if self.path_panel is not None:
            self.path_panel.make_way(look.c2w)

    def change(self, **changes: Any) -> None:
        """Change settings of the pictures; they are rendered anew."""
        with self._lock:
            self.settings = replace(self.settings, **changes)
        self.look()

    def fly(self, c2w: Float[np.ndarray, "3 4"], fov: float) -> None:
        """Take the camera elsewhere, smoothly."""
        self.camera.fly(c2w, fov, lambda: self.closed)

    def set_stage(self, stage: Stage, *, move: bool) -> None:
        """Show another scene.

        Args:
            move: go to where it is seen from best; with False the camera stays.
        """
        with self._lock:
            self.stage = stage
            self.camera.frame = stage.frame
        self.painter = stage.painter()
        self.scheduler.exchange(self.client.client_id, self.painter, stage.pace)
        self._fit_panels()
        if move:
            self.client.scene.set_up_direction(stage.frame.up)
            self.camera.put(*first_view(stage))
        self.look()

    def tell_export(self, state: ExportState) -> None:
        """Show how an export stands."""
        if not self.closed:
            self.export_panel.tell(state)

    def tell_state(self) -> None:
        """Show how far the run is."""
        if not self.closed:
            self.view_panel.tell_state(self.host.state)
            self.export_panel.tell(self.exporter.state)

    def close(self) -> None:
        """The browser has gone: stop all that is under way for it."""
        self.closed = True
        self.scheduler.close(self.client.client_id)
        if self.path_panel is not None:
            self.path_panel.stop()

    def _show(self, shown: Picture | Failure) -> None:
        """Send a picture; called by the worker."""
        if self.closed:
            return
        if isinstance(shown, Failure):
            self.view_panel.tell_failure(shown.reason)
            return
        depth = None
        if shown.depth is not None:
            depth = np.minimum(shown.depth * self.stage.frame.scale, FARTHEST)
        started = time.perf_counter()
        self.client.scene.set_background_image(
            shown.pixels,
            format="jpeg",
            jpeg_quality=_LAST_QUALITY if shown.last else _MOVING_QUALITY,
            depth=depth,
        )
        self.client.flush()
        self.pictures += 1
        self.view_panel.tell_picture(shown, time.perf_counter() - started)
        if self.on_picture is not None:
            self.on_picture(shown)
