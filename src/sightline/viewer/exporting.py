"""Exports beside the pictures: one at a time, in a thread of its own, with its state for everybody."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sightline.foundation.errors import SightlineError

Stage = Literal["idle", "running", "done", "failed"]


@dataclass(frozen=True)
class ExportState:
    """What is being exported, or was last."""

    stage: Stage = "idle"
    kind: str = ""
    text: str = ""
    """how far it is, where the file is, or why there is none"""


class Exporter:
    """Runs one export at a time.

    Args:
        export: called with the export's name, what shall be exported, and `counting`; gives the file.
        changed: called with each new state, from any thread.
    """

    def __init__(
        self, export: Callable[[str, object, Callable], Path], changed: Callable[[ExportState], None]
    ):
        self._export, self._changed = export, changed
        self._lock = threading.Lock()
        self.state = ExportState()

    def start(self, kind: str, what: object) -> bool:
        """Begin an export; False where one is under way."""
        with self._lock:
            if self.state.stage == "running":
                return False
            self.state = ExportState("running", kind, "begins")
        self._changed(self.state)
        threading.Thread(target=self._run, args=(kind, what), name="sightline-export", daemon=True).start()
        return True

    def _run(self, kind: str, what: object) -> None:
        try:
            path = self._export(kind, what, self._counting)
            found = ExportState("done", kind, str(path))
        except SightlineError as error:
            found = ExportState("failed", kind, str(error))
        except Exception as error:  # told where the button is; the viewer goes on
            found = ExportState("failed", kind, f"{type(error).__name__}: {error}")
        self._tell(found)

    def _tell(self, state: ExportState) -> None:
        with self._lock:
            self.state = state
        self._changed(state)

    @contextmanager
    def _counting(self, what: str, total: int) -> Iterator[Callable[[float], None]]:
        def tell(done: float) -> None:
            self._tell(replace(self.state, text=f"{what}: {done:.0f} of {total}"))

        tell(0)
        yield tell
