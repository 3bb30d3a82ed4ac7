"""Rays through pixels of pictures of another size."""

import torch

from sightline.geometry import Cameras, Similarity
from sightline.geometry.rays import image_pixels
from sightline.methods.nerf.config import INFO
from sightline.methods.nerf.frame import Frame
from sightline.methods.nerf.rays import RayMaker

WORLD = Frame("bounded", Similarity.identity(), 2.0, 6.0, None, ((-1.0,) * 3, (1.0,) * 3))


def test_smaller_pictures_show_the_middle_of_their_larger_pixels() -> None:
    camera = Cameras.create(torch.eye(4)[None], fx=50.0, width=40, height=24)
    config = INFO.build_config("bmild", pixel_centre=0.0)
    large = RayMaker(camera, config, WORLD, focal=50.0)(0, image_pixels(40, 24)).rays.directions
    assert torch.equal(large, RayMaker(camera, config, WORLD)(0, image_pixels(40, 24)).rays.directions)
    small = RayMaker(camera.downscaled(4), config, WORLD, focal=50.0)(0, image_pixels(10, 6)).rays.directions
    blocks = large.view(6, 4, 10, 4, 3).mean((1, 3)).view(-1, 3)
    torch.testing.assert_close(small, blocks)
    # Without knowing better, corners stay corners, which are elsewhere.
    corners = RayMaker(camera.downscaled(4), config, WORLD)(0, image_pixels(10, 6)).rays.directions
    assert float((corners - blocks)[:, 0].abs().min()) > 0.02
    # Rays through middles need nothing.
    middles = INFO.build_config("bmild", pixel_centre=0.5)
    for focal in (50.0, None):
        found = RayMaker(camera.downscaled(4), middles, WORLD, focal)(0, image_pixels(10, 6)).rays.directions
        assert float((found - corners)[:, 0].min()) > 0.03
