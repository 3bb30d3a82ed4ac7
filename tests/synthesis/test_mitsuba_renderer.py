import numpy as np
import pytest
import torch

from sightline.geometry import Cameras
from sightline.geometry.poses import look_at
from sightline.synthesis import meshes
from sightline.synthesis.description import Lamp, Material, Part, SceneDescription
from sightline.synthesis.mitsuba_renderer import MitsubaRenderer, View, encode_film, encode_srgb
from sightline.synthesis.textures import plain


def pose(eye, target=(0.0, 0.0, 0.0)) -> np.ndarray:
    up = torch.tensor([0.0, 0.0, 1.0])
    return look_at(torch.tensor(eye), torch.tensor(target), up).numpy()


def ball(place, radius=0.06, colour=(1.0, 1.0, 1.0)) -> Part:
    mesh = meshes.sphere(radius).transformed(meshes.translation(place[0], place[1], place[2] - radius))
    return Part(name="ball", mesh=mesh, material=Material(texture=plain(colour)))


def scene_of(*parts: Part, **settings) -> SceneDescription:
    return SceneDescription(name="test", parts=parts, **settings)


PLACES = {"red": (0.55, 0.1, 0.3), "green": (-0.3, 0.5, -0.2), "blue": (0.1, -0.45, 0.6)}


@pytest.mark.parametrize("eye", [(2.5, -2.0, 1.0), (-1.0, 2.5, 2.0), (0.3, 0.2, 3.0)])
def test_pictures_agree_with_the_cameras(eye):
    """Three balls of three colours are seen where `Cameras.project` says: not mirrored, not shifted."""
    colours = {"red": (1.0, 0, 0), "green": (0, 1.0, 0), "blue": (0, 0, 1.0)}
    scene = scene_of(*(ball(PLACES[name], colour=colours[name]) for name in PLACES))
    width, height, angle = 96, 64, 0.7
    c2w = pose(eye)
    camera = Cameras.create(c2w, width / 2 / np.tan(angle / 2), width=width, height=height)
    picture = MitsubaRenderer(scene).render_linear(
        View(c2w=c2w, angle_x=angle, width=width, height=height, samples=16)
    )
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for channel, name in enumerate(PLACES):
        # Balls light each other a little; only what is strongly of one colour counts.
        own = np.where(picture[..., channel] > 0.02, picture[..., channel], 0)
        seen = np.array([(own * columns).sum(), (own * rows).sum()]) / own.sum()
        expected, _ = camera.project(torch.tensor([PLACES[name]]), 0)
        np.testing.assert_allclose(seen, expected[0], atol=0.3)


def test_textures_are_upright_and_not_mirrored():
    texture = np.zeros((2, 2, 3), dtype=np.uint8)
    texture[0, 0], texture[0, 1], texture[1, 0], texture[1, 1] = (
        *((255, 0, 0), (0, 255, 0)),
        *((0, 0, 255), (255, 255, 255)),
    )
    texture = texture.repeat(8, axis=0).repeat(8, axis=1)
    cube = Part(name="cube", mesh=meshes.box(1, 1, 1), material=Material(texture=texture))
    view = View(c2w=pose((0.0, -4.0, 0.5), (0.0, 0.0, 0.5)), angle_x=0.4, width=32, height=32, samples=4)
    picture = MitsubaRenderer(scene_of(cube)).render(view)
    quarters = picture[[[10, 10], [22, 22]], [[10, 22], [10, 22]], :3] > 128
    # From the front: row 0 of the texture is above, column 0 on the left.
    expected = [[[True, False, False], [False, True, False]], [[False, False, True], [True] * 3]]
    np.testing.assert_array_equal(quarters, expected)


def test_alpha_is_clean_and_light_is_exact():
    # A white ball in white light of 0.25 gives back 0.25 everywhere where it does not see itself.
    scene = scene_of(ball((0, 0, 0), radius=0.5), ambient=(0.25, 0.25, 0.25))
    view = View(c2w=pose((3.0, 0.0, 0.0)), angle_x=0.5, width=33, height=33, samples=64)
    film = MitsubaRenderer(scene).render_linear(view)
    distance = np.hypot(*np.meshgrid(np.arange(33) - 16, np.arange(33) - 16))
    radius = np.tan(np.arcsin(0.5 / 3)) / np.tan(0.25) * 16.5
    alpha = film[..., 3]
    assert (alpha[distance > radius + 1] == 0).all()
    np.testing.assert_allclose(alpha[distance < radius - 1], 1, atol=1e-6)
    assert alpha.sum() == pytest.approx(np.pi * radius**2, rel=0.01)
    inside = film[distance < radius - 1]
    np.testing.assert_allclose(inside[:, :3], 0.25, atol=0.02)
    # Also at the edge the colour is the ball's, since it is divided by alpha.
    picture = encode_film(film)
    level = round(255 * 0.537099)  # sRGB of 0.25
    edge = picture[(picture[..., 3] > 40) & (picture[..., 3] < 230)]
    assert len(edge) > 20
    assert np.abs(edge[:, :3].astype(int) - level).max() < 20
    assert (picture[picture[..., 3] == 0] == 0).all()


def test_lamps_light_one_side_and_are_not_seen():
    lamp = Lamp(position=(0, 0, 2), target=(0, 0, 0), size=0.5, radiance=(20, 20, 20))
    scene = scene_of(ball((0, 0, 0), radius=0.5), lamps=(lamp,), ambient=(0.0, 0.0, 0.0))
    view = View(c2w=pose((5.0, 0.0, 0.5)), angle_x=0.9, width=32, height=32, samples=16)
    film = MitsubaRenderer(scene).render_linear(view)
    lit = film[..., 0]
    assert lit[:16].max() > 5 * lit[17:].max()
    assert film[:5, :, 3].max() == 0  # where the lamp would be


def test_same_seed_same_bits():
    scene = scene_of(ball((0, 0, 0), radius=0.5))
    view = View(c2w=pose((3.0, 0.0, 0.0)), angle_x=0.5, width=16, height=16, samples=4, seed=3)
    first, again = (MitsubaRenderer(scene).render_linear(view) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_srgb_by_hand():
    np.testing.assert_allclose(
        encode_srgb(np.array([0.0, 0.0031308, 0.2140411, 0.5, 1.0, -1.0, 7.0])),
        [0, 0.0404499, 0.5, 0.7353569, 1, 0, 1],
        atol=1e-6,
    )


def test_film_is_divided_by_alpha():
    film = np.array(
        [[[0.25, 0.0, 0.5, 0.5], [0.3, 0.2, 0.1, 0.0], [np.nan, 0.1, 2.0, 1.0]]], dtype=np.float32
    )
    assert encode_film(film).tolist() == [[[188, 0, 255, 128], [0, 0, 0, 0], [0, 89, 255, 255]]]
