"""Between the frame of the data and that of browsers."""

import numpy as np
import torch

from sightline.geometry import Cameras
from sightline.geometry.poses import look_at
from sightline.viewer.shown_frame import DISTANCE, ShownFrame


def ring(count: int = 12, radius: float = 300.0, middle=(1000.0, -500.0, 70.0)) -> Cameras:
    centre = torch.tensor(middle, dtype=torch.float64)
    angles = torch.arange(count, dtype=torch.float64) * 2 * torch.pi / count
    eyes = centre + radius * torch.stack([angles.cos(), angles.sin(), 0.4 + 0 * angles], -1)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    return Cameras.create(look_at(eyes, centre, up), 50.0, width=60, height=40)


def test_the_scene_is_of_a_size_that_browsers_draw():
    cameras = ring()
    frame = ShownFrame.around(cameras)
    distances = np.linalg.norm(frame.place(cameras.centres.numpy()), axis=1)
    assert np.allclose(distances, DISTANCE, rtol=1e-6)
    assert np.allclose(frame.up, [0, 0, 1], atol=1e-6)
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 5.0, 6.0]])
    assert np.allclose(frame.replace(frame.place(points)), points)


def test_poses_go_there_and_back():
    cameras = ring()
    frame = ShownFrame.around(cameras)
    for pose in cameras.c2w.numpy():
        assert np.allclose(frame.from_browser(*frame.to_browser(pose)), pose, atol=1e-9)


def test_viser_means_the_same_camera():
    """Its cameras look along z with y down."""
    import viser.transforms as tf

    cameras = ring()
    frame = ShownFrame.around(cameras)
    pose = cameras.c2w[3].numpy()
    wxyz, position = frame.to_browser(pose)
    rotation = tf.SO3(wxyz).as_matrix()
    assert np.allclose(rotation[:, 0], pose[:, 0])
    assert np.allclose(rotation[:, 1], -pose[:, 1])
    assert np.allclose(rotation[:, 2], -pose[:, 2])
    # What the camera looks at is ahead of it, by the distance that it turns about.
    target = position + frame.depth_ahead(pose) * rotation[:, 2]
    assert np.allclose(target, 0, atol=1e-6)
