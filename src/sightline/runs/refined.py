"""Cameras of the training photos as a training corrected them: `refined_cameras.json` of a run folder."""

from typing import TYPE_CHECKING, Any

from sightline.foundation.files import write_json
from sightline.geometry import Cameras
from sightline.runs.run import Run

if TYPE_CHECKING:
    from sightline.captures import Capture
    from sightline.methods.base import Method

REFINED_CAMERAS = "refined_cameras.json"
_SCHEMA = 1


def refined_cameras(method: "Method", capture: "Capture") -> Cameras | None:
    """Correct the cameras of the training photos; None where the method takes them as they are given.

    Args:
        method: with its trained weights.
        capture: what it was trained on; `Run.capture_info` is enough.

    Returns:
        A camera for each training photo, in the order of `capture.splits["train"]` and in the data's frame.
    """
    return method.refined_cameras(capture.cameras[list(capture.splits["train"])].to("cpu"))


def write_refined_cameras(run: Run, method: "Method", capture: "Capture") -> None:
    """Write `refined_cameras.json` where the training corrected cameras; `capture.json` keeps the given ones.

    Raises:
        RunError: the disk refuses.
    """
    cameras = refined_cameras(method, capture)
    if cameras is None:
        return
    train = list(capture.splits["train"])
    document: dict[str, Any] = {
        "schema": _SCHEMA,
        "step": run.record.progress.step,
        "indices": train,
        "names": [capture.image_names[index] for index in train],
        "cameras": cameras.to_json(),
    }
    write_json(run.path / REFINED_CAMERAS, document, indent=None)
