"""Raw exports of Polycam: the phone's poses, or the optimised ones where they are."""

import json

import numpy as np
import pytest
from PIL import Image

from sightline.captures import detect_format, open_capture
from sightline.foundation.errors import InputError


def write_frames(root, cameras="cameras", images="images", count=4, shift=0.0):
    """Cameras that look along -z of a world with y up, side by side along x."""
    for folder in (cameras, images):
        (root / "keyframes" / folder).mkdir(parents=True)
    for k in range(count):
        pose = np.concatenate([np.eye(3), [[k + shift], [1.5], [4.0]]], 1)
        data = {f"t_{row}{column}": float(pose[row, column]) for row in range(3) for column in range(4)}
        data |= {
            "fx": 50.0,
            "fy": 51.0,
            "cx": 31.0,
            "cy": 23.0,
            "width": 64,
            "height": 48,
            "blur_score": 100 + k,
        }
        (root / "keyframes" / cameras / f"{10**k}.json").write_text(json.dumps(data), encoding="utf-8")
        Image.fromarray(np.full((48, 64, 3), 10 * k, np.uint8)).save(
            root / "keyframes" / images / f"{10**k}.jpg"
        )


def test_key_frames_are_read_with_z_up(tmp_path):
    write_frames(tmp_path)
    assert detect_format(tmp_path) == "polycam"
    capture = open_capture(tmp_path)
    assert capture.image_names[:3] == tuple(f"keyframes/images/{10**k}.jpg" for k in range(3))
    # (x, y, z) = (k, 1.5, 4) with y up: 1.5 is the height.
    np.testing.assert_allclose(capture.cameras.centres[2].numpy(), [4.0, 2.0, 1.5])
    np.testing.assert_allclose(capture.cameras.c2w[0, :, 1].numpy(), [0, 0, 1])
    np.testing.assert_allclose(capture.cameras.forward[0].numpy(), [-1, 0, 0])
    assert float(torch_det(capture)) == pytest.approx(1)
    assert (float(capture.cameras.fy[0]), float(capture.cameras.cx[0])) == (51.0, 31.0)
    np.testing.assert_array_equal(capture.per_view["sharpness"], [100, 101, 102, 103])


def torch_det(capture):
    return np.linalg.det(capture.cameras.c2w[0, :, :3].numpy())


def test_optimised_poses_are_taken_where_they_are(tmp_path):
    write_frames(tmp_path)
    write_frames(tmp_path, "corrected_cameras", "corrected_images", shift=0.25)
    capture = open_capture(tmp_path)
    assert float(capture.cameras.centres[0, 1]) == 0.25
    assert capture.image_names[0] == "keyframes/corrected_images/1.jpg"


def test_a_pose_that_is_not_a_number_is_named(tmp_path):
    write_frames(tmp_path)
    file = tmp_path / "keyframes" / "cameras" / "10.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    data["t_13"] = "x"
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match=r"t_13 must be a finite number.*10\.json"):
        open_capture(tmp_path)
