"""The viewer as a whole: a server, its browsers, and the pictures for them."""

import threading
from collections.abc import Callable
from typing import Any

from sightline.foundation.errors import warn
from sightline.methods.base import Method, Scene
from sightline.viewer.exporting import Exporter, ExportState
from sightline.viewer.host import Host, Stage, first_view
from sightline.viewer.scheduler import Scheduler
from sightline.viewer.server import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    announce,
    is_own_page,
    open_server,
    stop_server,
)
from sightline.viewer.session import Session


class Viewer:
    """Serves browsers until it is closed.

    Args:
        host: what is shown.
        address, port: where it listens.

    Raises:
        InputError: viser is missing, or the port cannot be used.
    """

    def __init__(self, host: Host, *, address: str = DEFAULT_HOST, port: int = DEFAULT_PORT):
        self.host, self.address = host, address
        self.scheduler = Scheduler()
        self.exporter = Exporter(host.export, self._on_export)
        self.sessions: dict[int, Session] = {}
        self.on_session: Callable[[Session], None] | None = None
        """called when a browser has connected, before its first picture, for measurements"""
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._worker: threading.Thread | None = None
        self.server = open_server(address, port)
        self.server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        self.server.gui.set_panel_label(host.title)
        self._place(host.stage)
        self.server.on_client_connect(self._on_connect)
        self.server.on_client_disconnect(self._on_disconnect)

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return self.server.get_port()

    def announce(self) -> str:
        """Tell on stderr where it is; gives the address."""
        return announce(self.address, self.port)

    def _place(self, stage: Stage) -> None:
        """Let browsers begin where the scene is seen well."""
        pose, fov = first_view(stage)
        start, frame = self.server.initial_camera, stage.frame
        self.server.scene.set_up_direction(frame.up)
        position = frame.place(pose[:, 3])
        start.position = position
        start.look_at = position - frame.depth_ahead(pose) * pose[:, 2]
        start.fov = fov

    def work(self) -> None:
        """Let a thread of its own render from now on."""
        if self._worker is None:
            self._worker = threading.Thread(
                target=self.scheduler.run, args=(self._stopped,), name="sightline-viewer", daemon=True
            )
            self._worker.start()

    def renew(self, method: Method) -> None:
        """Show all browsers what they see with the weights that a method has now; called by the worker."""
        renewed: dict[int, Stage] = {}
        for session in self._open():
            earlier = session.stage
            if id(earlier) not in renewed:
                renewed[id(earlier)] = self.host.renew(earlier, method)
            session.set_stage(renewed[id(earlier)], move=False)

    def renew_in_place(self, method: Method) -> None:
        """Let the next pictures be of the weights that a method has now; called by the worker."""
        scenes: dict[int, Scene] = {}
        for session in self._open():
            stage = session.stage
            if id(stage) not in scenes:
                scenes[id(stage)] = stage.renewed(method).scene
                stage.scene = scenes[id(stage)]
            session.painter.show(scenes[id(stage)])

    def tell_state(self) -> None:
        """Show all browsers how far the run is."""
        for session in self._open():
            session.tell_state()

    def close(self) -> None:
        """End the server, and all that is under way."""
        self._stopped.set()
        self.scheduler.wake()
        for session in self._open():
            session.close()
        stop_server(self.server)
        if self._worker is not None:
            self._worker.join(timeout=5.0)

    def _open(self) -> list[Session]:
        with self._lock:
            return list(self.sessions.values())

    def _on_connect(self, client: Any) -> None:
        if not is_own_page(self.server, client.client_id, self.address):
            warn("A page of another site has asked for the viewer; it is shown nothing")
            return
        session = Session(client, self.host, self.scheduler, self.exporter)
        if self.on_session is not None:
            self.on_session(session)
        try:
            session.begin()
        except BaseException:
            session.close()
            raise
        with self._lock:
            # It may have gone while its panels were made.
            gone = client.client_id not in self.server.get_clients()
            if not gone:
                self.sessions[client.client_id] = session
        if gone:
            session.close()

    def _on_disconnect(self, client: Any) -> None:
        with self._lock:
            session = self.sessions.pop(client.client_id, None)
        if session is not None:
            session.close()

    def _on_export(self, state: ExportState) -> None:
        for session in self._open():
            session.tell_export(state)
