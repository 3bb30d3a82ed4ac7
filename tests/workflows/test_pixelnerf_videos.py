"""The paths of pixelNeRF's videos in the frames of data sets, of photos, and of other captures."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from many_objects import ball, cameras_of, ring
from pixelnerf_items import FLIP, Y_UP_TO_Z_UP
from sightline.captures import Capture, ImageStore
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.workflows.pixelnerf_videos import frames_per_second, has_path, path_poses


def capture(format: str, near: float | None = None, far: float | None = None, views: int = 4) -> Capture:
    numbers = None if near is None else np.full(views, near)
    return replace(
        ball("a", 0, ring(views)),
        format=format,
        near=numbers,
        far=None if far is None else np.full(views, far),
    )


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "pixelnerf" / "camera_paths.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(
    ("name", "format", "depths", "world"),
    [
        ("srn_chair_default", "srn", (1.25, 2.75), np.eye(4)),
        ("srn_car_default", "srn", (0.8, 1.8), np.eye(4)),
        ("nmr_default", "nmr", (1.2, 4.0), Y_UP_TO_Z_UP),
        ("nmr_default", "nmr-unseen", (1.2, 4.0), Y_UP_TO_Z_UP),
        ("multi_obj_default", "multi-object", (4.0, 9.0), np.eye(4)),
        ("dtu_n40", "dtu", (0.1, 5.0), FLIP),
    ],
)
def test_published_videos_of_data_sets(golden, name, format, depths, world):
    """The golden poses are in the published program's world, which its readers turn the data into."""
    found = path_poses(capture(format, *depths)).numpy()
    np.testing.assert_allclose(world[:3, :3] @ found, golden[name][:, :3], atol=2e-5)
    assert has_path(capture(format))
    assert frames_per_second(capture(format)) == 30


def of_photo(pose: torch.Tensor, radius: float) -> Capture:
    cameras = Cameras.create(pose[None], 100.0, width=64, height=64)
    return Capture(
        name="photo",
        cameras=cameras,
        images=ImageStore.from_arrays([np.zeros((64, 64, 3), np.uint8)]),
        image_names=("photo",),
        splits={"train": (0,), "val": (), "test": ()},
        near=np.array([radius - 0.5]),
        far=np.array([radius + 0.5]),
        format="photo",
    )


def test_published_videos_of_photos(golden):
    pose = torch.eye(4, dtype=torch.float64)[:3].clone()
    pose[2, 3] = 1.3
    seen = of_photo(pose, 1.3)
    found = path_poses(seen).numpy()
    np.testing.assert_allclose(found, golden["eval_real_n24_e0_r1p3"][:, :3], atol=2e-5)
    above = path_poses(seen, 12, 20.0).numpy()
    np.testing.assert_allclose(above, golden["eval_real_n12_em20_r1p3"][:, :3], atol=2e-5)
    assert frames_per_second(seen) == 15
    # Somewhere on the turn the camera is where the photo was taken from.
    assert np.abs(found - pose.numpy()).max((1, 2)).min() < 1e-6


def test_the_path_of_a_photo_goes_around_what_it_shows_wherever_that_is():
    pose = ring(3)[1].double()
    pose[:, 3] += torch.tensor([5.0, -3.0, 2.0])
    middle = pose[:, 3] - 1.5 * pose[:, 2]
    found = path_poses(of_photo(pose, 1.5), 8)
    centres, ahead = found[:, :, 3], -found[:, :, 2]
    torch.testing.assert_close(centres + 1.5 * ahead, middle.expand(8, 3), atol=1e-6, rtol=0)
    assert float((found - pose).abs().amax((1, 2)).min()) < 1e-6


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 1, 0), (0, 0, -1), (1, 0, 0)])
def test_other_data_has_its_own_upward_direction(up):
    basis = {(0, 0, 1): 0, (0, 1, 0): 1, (0, 0, -1): 2, (1, 0, 0): 3}[up]
    turns = [
        torch.eye(3),
        torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
        torch.diag(torch.tensor([1.0, -1, -1])),
        torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
    ]
    poses = turns[basis].double() @ ring(8).double()
    data = replace(ball("a", 0, ring(8)), cameras=cameras_of(poses))
    found = path_poses(data, 6, 30.0)
    assert not has_path(data)
    radius = float(poses[:, :, 3].norm(dim=-1).median())
    torch.testing.assert_close(
        found[:, :, 3] @ torch.tensor(up, dtype=torch.float64),
        torch.full((6,), 0.5 * radius, dtype=torch.float64),
        atol=1e-5,
        rtol=0,
    )
    np.testing.assert_allclose(torch.linalg.det(found[:, :, :3]).numpy(), 1, atol=1e-6)


def test_what_the_path_over_scans_needs():
    with pytest.raises(InputError, match="no elevation"):
        path_poses(capture("dtu", 0.1, 5.0), elevation=10)
    with pytest.raises(InputError, match="not normalised"):
        path_poses(capture("dtu"))
