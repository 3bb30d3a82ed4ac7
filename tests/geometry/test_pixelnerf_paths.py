"""Paths of pixelNeRF's videos against golden poses."""

import numpy as np
import pytest
import torch

from sightline.foundation.errors import InputError
from sightline.geometry.pixelnerf_paths import dtu_path, object_orbit, photo_orbit


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("srn_chair_default", lambda: object_orbit(40, 2.0)),
        ("srn_car_default", lambda: object_orbit(40, 1.3)),
        ("nmr_default", lambda: object_orbit(40, 2.6)),
        ("multi_obj_default", lambda: object_orbit(40, 6.5)),
        ("custom_n7_elm35_r1p9", lambda: object_orbit(7, 1.9, -35)),
        ("dtu_n40", lambda: dtu_path(40)),
        ("dtu_n23", lambda: dtu_path(23)),
        ("eval_real_n24_e0_r1p3", lambda: photo_orbit(24)),
        ("eval_real_n12_em20_r1p3", lambda: photo_orbit(12, elevation=-20)),
    ],
)
def test_published_poses(shared, name, path):
    with np.load(shared / "golden" / "pixelnerf" / "camera_paths.npz") as file:
        expected = file[name]
    np.testing.assert_allclose(path().numpy(), expected[:, :3], atol=2e-5)


def test_cameras_look_at_the_origin_from_above():
    poses = object_orbit(8, 3.0, -30)
    ahead = -poses[:, :, 2]
    torch.testing.assert_close(poses[:, :, 3] + 3 * ahead, torch.zeros(8, 3, dtype=torch.float64))
    torch.testing.assert_close(poses[:, 2, 3], torch.full((8,), 1.5, dtype=torch.float64))
    assert bool((poses[:, 2, 1] > 0).all())


def test_paths_need_frames():
    with pytest.raises(InputError, match="0 frames"):
        object_orbit(0, 2.0)
    with pytest.raises(InputError, match="4 frames"):
        dtu_path(4)
