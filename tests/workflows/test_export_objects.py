"""Exporting an object of a collection, with a method that generalises."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh

from many_objects import RADIUS, Warp, ball_data, make_warp_run, warp, with_weights
from sightline.foundation.errors import InputError
from sightline.runs.run import Run
from sightline.workflows.export import export_run
from small_method import data, make_run, wave

__all__ = ["ball_data", "data", "make_run", "make_warp_run", "warp", "wave"]


@pytest.fixture
def trained(make_warp_run: Callable[..., Run]) -> Run:
    return with_weights(make_warp_run(), blend=0.5)


def test_points_of_an_object_from_its_sources(trained: Run, tmp_path: Path) -> None:
    out = tmp_path / "ball.ply"
    done = export_run(trained, "points", {"count": 200}, out=out, object="val_1", sources="3", device="cpu")
    assert done.path == out
    assert Warp.encoded == [("00003.png",)]
    points = np.asarray(trimesh.load(out).vertices)  # type: ignore[union-attr]
    assert 0 < len(points) <= 200
    # All depths of this method lie on planes through the origin, before the cameras.
    assert np.linalg.norm(points, axis=1).max() < RADIUS


def test_what_an_object_cannot_be_is_said(trained: Run, make_run: Callable[..., Run]) -> None:
    with pytest.raises(InputError, match="No mesh can be made of this run: the method warp has no field"):
        export_run(trained, "mesh", object="test_0", device="cpu")
    with pytest.raises(InputError, match="no object 'chair'"):
        export_run(trained, "points", object="chair", device="cpu")
    with pytest.raises(InputError, match="has learnt one scene"):
        export_run(make_run("wave"), "points", object="test_0", device="cpu")
