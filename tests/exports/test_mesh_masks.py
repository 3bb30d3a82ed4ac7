"""A mesh of the object alone, where the field knows what it stands on too."""

import numpy as np
import pytest
import torch
from export_cases import CENTRE, RADIUS, Ball, cameras_around, photos_of, source_of

from sightline.captures import Capture, ImageStore
from sightline.exports.mesh.config import MeshOptions
from sightline.exports.mesh.export import export_mesh
from sightline.foundation.errors import InputError

FLOOR = -0.75


class BallOnFloor(Ball):
    """The ball above a slab."""

    def density(self, points):
        slab = (points[:, 2] < FLOOR).float() * self.peak
        return torch.maximum(super().density(points), slab)


def photos() -> Capture:
    """The ball in warm colours before grey."""
    cameras = cameras_around()
    ball = photos_of(Ball(), cameras)
    generator = np.random.default_rng(0)
    drawn = []
    for index in range(len(ball)):
        picture = generator.normal(130, 10, (64, 64, 3))
        mask = ball.images[index][..., 3] > 127
        picture[mask] = np.array([200, 60, 30]) + generator.normal(0, 10, (int(mask.sum()), 3))
        drawn.append(picture.clip(0, 255).astype(np.uint8))
    return Capture(
        name="ball",
        cameras=cameras,
        images=ImageStore.from_arrays(drawn),
        image_names=ball.image_names,
        splits=ball.splits,
    )


def test_what_photos_do_not_agree_on_is_left_out(tmp_path):
    source = source_of(tmp_path, BallOnFloor(), open_photos=photos)
    whole = export_mesh(source, MeshOptions(resolution=48), tmp_path / "whole.ply")
    alone = export_mesh(source, MeshOptions(resolution=48, mask_background=True), tmp_path / "alone.ply")
    assert whole.facts["bounds"][0][2] < FLOOR - 0.3
    low, high = (np.array(corner) for corner in alone.facts["bounds"])
    np.testing.assert_allclose(low, CENTRE.numpy() - RADIUS, atol=0.06)
    np.testing.assert_allclose(high, CENTRE.numpy() + RADIUS, atol=0.06)
    assert alone.facts["closed"]
    assert alone.facts["volume"] == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.12)


def test_transparent_photos_have_no_background(tmp_path):
    source = source_of(tmp_path)
    with pytest.raises(InputError, match="transparent already"):
        export_mesh(source, MeshOptions(resolution=16, mask_background=True), tmp_path / "a.ply")
