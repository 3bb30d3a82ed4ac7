"""One export at a time, and what is told of it."""

import threading
from pathlib import Path

from sightline.foundation.errors import InputError
from sightline.viewer.exporting import Exporter, ExportState


def wait_for(states: list[ExportState], stage: str) -> ExportState:
    for _ in range(500):
        if states and states[-1].stage == stage:
            return states[-1]
        threading.Event().wait(0.01)
    raise AssertionError(states)


def test_one_runs_at_a_time_and_tells_how_far_it_is():
    states, go_on = [], threading.Event()

    def export(kind, what, counting):
        with counting("looking", 4) as tell:
            tell(2)
            assert go_on.wait(5)
        return Path("made") / f"{kind}-{what}"

    exporter = Exporter(export, states.append)
    assert exporter.start("mesh", "fox")
    assert not exporter.start("points", "fox")
    for _ in range(500):
        if states[-1].text == "looking: 2 of 4":
            break
        threading.Event().wait(0.01)
    assert states[-1] == ExportState("running", "mesh", "looking: 2 of 4")
    go_on.set()
    assert wait_for(states, "done").text == str(Path("made") / "mesh-fox")
    assert exporter.start("points", "fox")
    assert wait_for(states, "done").kind == "points"


def test_why_there_is_none_is_told():
    states = []

    def export(kind, what, counting):
        raise InputError("It has no field", fix="Train ngp") if kind == "mesh" else ValueError("oh")

    exporter = Exporter(export, states.append)
    exporter.start("mesh", None)
    assert wait_for(states, "failed").text == "It has no field. Train ngp."
    exporter.start("points", None)
    assert wait_for(states, "failed") == ExportState("failed", "points", "ValueError: oh")
