"""Reading motions as `--motion` gives them, and methods that have none."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from many_objects import Warp, WarpConfig, ball_data, make_warp_run, warp
from sightline.foundation.errors import InputError
from sightline.runs.checkpoint import Checkpoint
from sightline.runs.record import RunProgress
from sightline.runs.run import Run
from sightline.workflows.motions import read_motion
from sightline.workflows.render import render_run

__all__ = ["ball_data", "make_warp_run", "warp"]


def test_ranges_go_evenly_from_end_to_end():
    motion = read_motion("azimuth=0:90, right=-0.2:0.2:0.4", frames=5)
    assert motion.azimuth.tolist() == [0, 22.5, 45, 67.5, 90]
    assert motion.right.tolist() == pytest.approx([-0.2, 0, 0.2, 0.3, 0.4])
    assert motion.elevation.tolist() == motion.up.tolist() == motion.forward.tolist() == [0] * 5
    assert motion.fps is None


def test_what_ends_as_it_begins_leaves_out_the_last_frame():
    turn = read_motion("azimuth=-180:180,elevation=10", frames=4)
    assert turn.azimuth.tolist() == [-180, -90, 0, 90]
    assert turn.elevation.tolist() == [10] * 4
    back = read_motion("forward=0:1:0", frames=4)
    assert back.forward.tolist() == pytest.approx([0, 0.5, 1, 0.5])
    # One that does not return shows its end: the turn's last frame is its first one again.
    both = read_motion("azimuth=0:360,up=0:1", frames=5)
    assert both.azimuth.tolist() == [0, 90, 180, 270, 360]
    assert both.up.tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_a_swing_follows_a_squared_sine():
    motion = read_motion("elevation=-10~20", frames=8)
    expected = [-10 + 30 * math.sin(math.pi * k / 8) ** 2 for k in range(8)]
    assert motion.elevation.tolist() == pytest.approx(expected)


def test_shifts_are_towards_the_camera_down_and_right():
    motion = read_motion("right=0.1,up=0.2,forward=0.3")
    # What stands still has one frame.
    assert motion.shift.tolist() == [pytest.approx([-0.3, -0.2, 0.1])]


def test_files_say_frames_and_rates(tmp_path: Path):
    path = tmp_path / "swing.json"
    path.write_text(
        json.dumps({"azimuth": [0, 30, 0], "elevation": "0~10", "up": 0.5, "frames": 6, "fps": 12})
    )
    motion = read_motion(str(path))
    assert motion.azimuth.tolist() == pytest.approx([0, 10, 20, 30, 20, 10])
    assert (len(motion), motion.fps) == (6, 12)
    assert motion.up.tolist() == [0.5] * 6
    assert len(read_motion(str(path), frames=9)) == 9
    assert len(read_motion("azimuth=0:360")) == 120


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "No motion is given"),
        ("azimuth", "'azimuth' is not written as NAME=VALUE"),
        ("azimuth=", "is not written as NAME=VALUE"),
        ("roll=0:90", r"no motion 'roll'.*Choose azimuth, elevation \(degrees\), right, up, forward"),
        ("azimuth=0:90,azimuth=1", "azimuth is given twice"),
        ("azimuth=0:many", "'0:many' is no value for azimuth"),
        ("azimuth=0::90", "is no value for azimuth"),
        ("azimuth=0~10~0", "is no value for azimuth"),
        ("azimuth=nan", "is no value for azimuth"),
        ("elevation=0:1e999", "is no value for elevation"),
        ("elevation=0:270", "elevation goes to 270 degrees, beyond 180"),
        ("right=0:-2", "right goes to -2, where nothing is left to see"),
        ("absent.json", r"does not exist.*absent\.json"),
    ],
)
def test_bad_motions_are_refused(text: str, said: str):
    with pytest.raises(InputError, match=said):
        read_motion(text)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([1, 2], "does not hold names and values"),
        ({"azimuth": [0, None]}, "is no value for azimuth"),
        ({"azimuth": True}, "is no value for azimuth"),
        ({"azimuth": {"from": 0}}, "is no value for azimuth"),
        ({"azimuth": []}, "is no value for azimuth"),
        ({"azimuth": [0, 1], "frames": 1.5}, "number of frames is 1.5"),
        ({"azimuth": [0, 1], "frames": 0}, "cannot have 0 frames"),
        ({"azimuth": [0, 1], "fps": 0}, "frames per second are 0"),
        ({"fps": 3}, "No motion is given"),
        ({"frames": [{"c2w": []}]}, "number of frames is"),
    ],
)
def test_bad_files_are_refused(document: object, said: str, tmp_path: Path):
    path = tmp_path / "motion.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=f"{said}.*motion.json" if "cannot" not in said else said):
        read_motion(str(path))


def test_a_motion_has_at_least_one_frame():
    with pytest.raises(InputError, match="cannot have 0 frames"):
        read_motion("azimuth=0:90", frames=0)
    assert torch.equal(read_motion("azimuth=0:90", frames=1).azimuth, torch.zeros(1).double())


def test_methods_without_a_motion_of_their_own_refuse(make_warp_run: Callable[..., Run], tmp_path: Path):
    run = make_warp_run()
    checkpoint = Checkpoint("warp", 1, {k: v.detach() for k, v in Warp(WarpConfig()).state_dict().items()})
    run.write_checkpoint(checkpoint, progress=RunProgress(step=1, fraction=1.0, finished=True))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"Scenes of warp have no motion of their own.*--path orbit"):
        render_run(run, photo=[tmp_path / "a.png"], motion="azimuth=0:90", frames=2, device="cpu")
    others: list[dict] = [{"path": "spiral"}, {"elevation": 10.0}, {"variant": "bmild"}, {"still": True}]
    for other in others:
        with pytest.raises(InputError, match="in two ways"):
            render_run(run, motion="azimuth=0:90", **other)
    assert not (run.path / "renders").exists()
