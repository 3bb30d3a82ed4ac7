"""Pictures of a scene: bands, modes, depth for what is drawn in front, and errors against photos."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from sightline.geometry import Cameras
from sightline.geometry.poses import look_at
from sightline.methods.base import Scene
from sightline.viewer.looks import Look, Settings
from sightline.viewer.painter import ScenePainter, view_camera
from sightline.viewer.passes import Pass
from sightline.viewer.photos import Photos, absent
from small_method import Wave, WaveConfig

SIZE = (48, 36)
WHOLE = Pass(*SIZE, False, True)


class DeepScene(Scene):
    capabilities = frozenset({"rgb", "depth", "opacity"})


@pytest.fixture
def method() -> Wave:
    torch.manual_seed(3)
    return Wave(WaveConfig()).eval()


def cameras() -> Cameras:
    eyes = torch.tensor([[3.0, 0.5, 0.2], [0.3, -3.0, 1.0], [-2.5, 1.0, 1.5]], dtype=torch.float64)
    poses = look_at(eyes, torch.zeros(3, dtype=torch.float64), torch.tensor([0.0, 0.0, 1.0]))
    return Cameras.create(
        poses, 60.0, 57.0, 50.0, 41.0, width=96, height=80, distortion=[0.05, -0.01], lens=1
    )


def photos_of(method: Wave, load: Any = None) -> Photos:
    shown = cameras()

    def render(index: int) -> np.ndarray:
        with torch.no_grad():
            found = method.render(DeepScene(), shown[index])
        return (found.rgb * 255).round().byte().numpy()

    return Photos(
        shown, ["a.png", "b.png", "c.png"], {"train": (0, 1), "test": (2,)}, lambda _: None, load or render
    )


def look(index: int = 0, **settings: Any) -> Look:
    return Look(cameras().c2w[index].numpy(), 0.7, *SIZE, Settings(**settings))


def picture(painter: ScenePainter, at: Look, bands: int = 1):
    rows = np.linspace(0, SIZE[1], bands + 1).astype(int)
    parts = [painter.paint(at, WHOLE, int(a), int(b)) for a, b in pairwise(rows)]
    return painter.finish(at, WHOLE, parts, 0.0)


def test_bands_make_the_same_picture(method):
    painter = ScenePainter(method, DeepScene(), photos_of(method))
    one, four = (picture(painter, look(), bands) for bands in (1, 4))
    assert (one.pixels == four.pixels).all()
    with torch.no_grad():
        whole = method.render(DeepScene(), view_camera(look(), *SIZE)).rgb
    assert (one.pixels == (whole * 255).round().byte().numpy()).all()


def test_the_camera_has_the_field_of_view_and_the_windows_shape():
    at = replace(look(), width=1000, height=500)
    camera = view_camera(at, 40, 20)
    assert 2 * float(torch.atan(10 / camera.fy[0])) == pytest.approx(0.7)
    assert float(camera.fx[0]) == pytest.approx(float(camera.fy[0]))
    # A size that is not exactly of the shape still shows all of the window.
    camera = view_camera(at, 41, 20)
    assert float(camera.fx[0] / camera.fy[0]) == pytest.approx(41 / 40)


def test_modes(method):
    painter = ScenePainter(method, DeepScene(), photos_of(method))
    assert painter.modes == ("colour", "depth", "opacity", "error")
    opacity = picture(painter, look(1, mode="opacity"))
    assert set(np.unique(opacity.pixels)) == {0, 255}
    assert (picture(painter, look(1, mode="depth")).pixels != opacity.pixels).any()
    black = picture(painter, look(1, background=(0.0, 0.0, 0.0))).pixels
    assert (black[opacity.pixels[..., 0] == 0] == 0).all()
    plain = ScenePainter(method, Scene(), photos_of(method))
    assert plain.modes == ("colour", "error")


def test_depth_is_along_the_axis_and_infinite_where_nothing_is(method):
    painter = ScenePainter(method, DeepScene(), photos_of(method))
    found = picture(painter, look(1, with_depth=True))
    solid = picture(painter, look(1, mode="opacity")).pixels[..., 0] == 255
    assert (np.isfinite(found.depth) == solid).all()
    # The scene is a shell at distance 2 along every ray.
    assert 0 < solid.mean() < 1
    camera = view_camera(look(1), *SIZE)
    cosines = -(camera.local_directions(0, torch.tensor([[5.5, 7.5]]))[0][0])
    expected = 2 * float(cosines[2] / cosines.norm())
    assert solid[7, 5]
    assert found.depth[7, 5] == pytest.approx(expected, rel=1e-5)
    assert np.nanmax(found.depth[solid]) <= 2
    assert picture(painter, look()).depth is None


def test_errors_are_shown_where_a_photo_was_taken_with_its_lens_undone(method):
    painter = ScenePainter(method, DeepScene(), photos_of(method))
    found = picture(painter, look(2, mode="error"))
    assert found.note is None
    psnr = float(found.facts[0].split(" dB")[0])
    # The photo shows what is rendered, but for its edges between colours.
    assert psnr > 22
    assert found.facts[0].endswith("dB to photo c")
    turned = look_at(
        torch.from_numpy(look(2).c2w[:, 3]), torch.tensor([0.3, 0.2, -0.1]), torch.tensor([0.0, 0.0, 1.0])
    )
    aside = replace(look(2, mode="error"), c2w=turned.numpy())
    assert float(picture(painter, aside).facts[0].split(" dB")[0]) > 22


def test_without_a_photo_there_errors_are_not_shown(method):
    painter = ScenePainter(method, DeepScene(), photos_of(method))
    elsewhere = look(0, mode="error")
    elsewhere.c2w[0, 3] += 0.5
    found = picture(painter, elsewhere)
    assert "click on one" in found.note
    assert (found.pixels == picture(painter, replace(elsewhere, settings=Settings())).pixels).all()


def test_absent_photos_are_told(method):
    painter = ScenePainter(method, DeepScene(), photos_of(method, absent("The photos are gone")))
    assert picture(painter, look(0, mode="error")).note == "The photos are gone."


def test_many_photos_are_thinned_evenly():
    poses = torch.eye(4)[None, :3].repeat(1000, 1, 1).double()
    poses[:, 0, 3] = torch.arange(1000)
    many = Cameras.create(poses, 50.0, width=10, height=10)
    splits = {"train": tuple(range(900)), "test": tuple(range(900, 1000))}
    photos = Photos(many, [str(k) for k in range(1000)], splits, lambda _: None, absent("gone"))
    assert 90 <= len(photos.shown) <= 105
    assert sum(index >= 900 for index in photos.shown) == 10
    assert photos.split_of(950) == "test"
    assert photos.spacing == 1
    assert photos.at(np.array([7.0, 0.0, 0.0])) == 7
    assert photos.at(np.array([7.4, 0.0, 0.0])) is None
