import numpy as np
import pytest

from sightline.synthesis import textures

BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def seam_against_inside(texture: np.ndarray) -> tuple[float, float]:
    """Mean step across the border where the texture repeats, and mean step between neighbours inside."""
    grey = texture[..., 0].astype(np.float64)
    seam = np.abs(grey[0] - grey[-1]).mean() + np.abs(grey[:, 0] - grey[:, -1]).mean()
    inside = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    return seam, inside


def test_checker_by_hand():
    texture = textures.checker(BLACK, WHITE, cells=2, size=4)
    expected = 255 * np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]])
    np.testing.assert_array_equal(texture[..., 1], expected)
    with pytest.raises(ValueError, match="3 cells do not tile"):
        textures.checker(BLACK, WHITE, cells=3)


def test_stripes_by_hand():
    straight = textures.stripes(BLACK, WHITE, count=2, size=8)
    np.testing.assert_array_equal(straight[..., 0], np.tile([255, 255, 0, 0] * 2, (8, 1)))
    slanted = textures.stripes(BLACK, WHITE, count=1, slant=1, size=8)[..., 0]
    np.testing.assert_array_equal(slanted[1], np.roll(slanted[0], -1))


def test_dots_cover_their_area():
    texture = textures.dots(BLACK, WHITE, count=4, radius=0.3)
    assert texture.mean() / 255 == pytest.approx(np.pi * 0.09, abs=0.01)


def test_bricks_are_shifted_by_half():
    texture = textures.bricks(BLACK, WHITE, rows=2, joint=0.1, size=400)[..., 0]
    assert (texture[:19] == 255).all()  # the bed of the first course
    np.testing.assert_array_equal(texture[100], texture[150])
    np.testing.assert_array_equal(np.roll(texture[100], 200), texture[300])
    with pytest.raises(ValueError, match="5 rows do not tile"):
        textures.bricks(BLACK, WHITE, rows=5)


def test_value_noise_repeats_and_follows_its_generator():
    values = textures.value_noise(np.random.default_rng(1), 4, 3, 64)
    assert values.shape == (64, 64)
    assert 0 <= values.min() < values.max() <= 1
    assert values.mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(values, textures.value_noise(np.random.default_rng(1), 4, 3, 64))
    seam = np.abs(values[0] - values[-1]).max()
    assert seam <= np.abs(np.diff(values, axis=0)).max() * 1.5


@pytest.mark.parametrize("seed", range(12))
def test_random_textures_tile(seed):
    generator = np.random.default_rng(seed)
    texture = textures.random_texture(generator, (0.9, 0.1, 0.2), (0.1, 0.9, 0.3))
    assert texture.dtype == np.uint8
    assert texture.shape == (256, 256, 3)
    assert len(np.unique(texture.reshape(-1, 3), axis=0)) >= 2
    if len(np.unique(texture[..., 0])) > 2:  # patterns of two colours may well have an edge at the border
        seam, inside = seam_against_inside(texture)
        assert seam < 4 * inside


def test_blend_rounds_to_nearest():
    assert textures.plain((0.5, 0.0, 1.0)).tolist() == [[[128, 0, 255]]]
    half = textures.blend((0.0, 0.0, 0.0), (1.0, 0.5, 2.0), np.array([[0.5]]))
    assert half.tolist() == [[[128, 64, 255]]]
