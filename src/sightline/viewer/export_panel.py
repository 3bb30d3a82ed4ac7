"""Buttons that run exports, one at a time for all browsers."""

from typing import TYPE_CHECKING, Any

from sightline.viewer.exporting import ExportState
from sightline.viewer.host import Stage
from sightline.viewer.view_panel import escaped

if TYPE_CHECKING:
    from sightline.viewer.session import Session

_NO_EXPORT = "What is seen in a photo cannot be exported from here."


class ExportPanel:
    """A folder with a button for each export that the scene can have."""

    def __init__(self, session: "Session"):
        self.session = session
        gui = session.client.gui
        self._buttons: dict[str, Any] = {}
        with gui.add_folder("Export", expand_by_default=False):
            for kind in session.host.exports:
                button = gui.add_button(kind.name.capitalize(), hint=kind.summary)
                button.on_click(lambda _, name=kind.name: self._start(name))
                self._buttons[kind.name] = button
            self._text = gui.add_markdown("")

    def set_stage(self, stage: Stage) -> None:
        """Offer what can be made of a scene."""
        for kind in self.session.host.exports:
            self._buttons[kind.name].visible = stage.export is not None and kind.serves(stage.scene)
        self.tell(self.session.exporter.state)

    def _start(self, kind: str) -> None:
        self.session.exporter.start(kind, self.session.stage)

    def tell(self, state: ExportState) -> None:
        """Show how an export stands, and whether another one can begin."""
        refused = self.session.host.exports_refused
        if self.session.stage.export is None:
            refused = _NO_EXPORT
        busy = state.stage == "running"
        for button in self._buttons.values():
            button.disabled = busy or refused is not None
        texts = {
            "idle": "",
            "running": f"Exporting {state.kind}: {escaped(state.text)}",
            "done": f"The {state.kind} is in\n\n```\n{state.text}\n```",
            "failed": f"**No {state.kind}:** {escaped(state.text)}",
        }
        self._text.content = refused or texts[state.stage]
