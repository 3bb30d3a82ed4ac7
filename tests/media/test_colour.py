import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sightline.media.colour import NEUTRAL, colour_depth, colour_error, depth_range, heat, turbo


def test_turbo_at_the_published_tables_ends_and_middle():
    values = np.array([0.0, 128 / 255, 1.0, -3.0, np.inf])
    # Entries 0, 128 and 255 of the published table, times 255.
    expected = [[48, 18, 59], [164, 252, 60], [122, 4, 3], [48, 18, 59], [122, 4, 3]]
    assert turbo(values).tolist() == expected
    assert turbo(np.array(np.nan)).tolist() == list(NEUTRAL)


def test_heat_goes_through_red_and_yellow():
    assert heat(np.array([0, 1 / 3, 2 / 3, 1.0, 9.0])).tolist() == [
        [0, 0, 0],
        [255, 0, 0],
        [255, 255, 0],
        [255, 255, 255],
        [255, 255, 255],
    ]
    assert np.all(np.diff(heat(np.linspace(0, 1, 100)).astype(int).sum(-1)) >= 0)


def test_depth_shows_near_red_far_blue_and_unknown_neutral():
    depth = np.array([[1.0, 2.0], [3.0, np.nan]])
    shown = colour_depth(depth, (1.0, 3.0))
    assert shown[0, 0].tolist() == turbo(np.array(1.0)).tolist()
    assert shown[0, 1].tolist() == turbo(np.array(0.5)).tolist()
    assert shown[1, 0].tolist() == turbo(np.array(0.0)).tolist()
    assert tuple(shown[1, 1]) == NEUTRAL
    assert shown[0, 0, 0] > shown[0, 0, 2]
    assert shown[1, 0, 0] < shown[1, 0, 2]
    assert tuple(colour_depth(np.array([[np.inf, 1.0]]), (0.0, 2.0))[0, 0]) == NEUTRAL


def test_depth_range_is_not_moved_by_outliers():
    depth = np.concatenate([np.linspace(2, 4, 1000), [1e6, -1e6, np.nan, np.inf]])
    near, far = depth_range(depth)
    assert abs(near - 2.04) < 0.01
    assert abs(far - 3.96) < 0.01


def test_depth_without_values_or_without_spread():
    empty = np.full((2, 3), np.nan)
    assert depth_range(empty) is None
    assert np.all(colour_depth(empty) == NEUTRAL)
    flat = colour_depth(np.full((2, 2), 5.0))
    assert np.all(flat == turbo(np.array(0.5)))


@given(
    depth=hnp.arrays(np.float32, (3, 4), elements=st.floats(width=32)),
    limits=st.none() | st.tuples(st.floats(-10, 10), st.floats(-10, 10)),
)
def test_any_depth_gives_a_picture(depth, limits):
    shown = colour_depth(depth, limits)
    assert shown.shape == (3, 4, 3)
    assert np.all((shown == NEUTRAL).all(-1)[~np.isfinite(depth)])


def test_error_is_the_mean_over_channels_against_full_scale():
    truth = np.zeros((1, 3, 3), np.float32)
    prediction = truth.copy()
    prediction[0, 1] = [0.25, 0.0, 0.0]
    prediction[0, 2] = [-0.25, 0.25, 0.25]
    shown = colour_error(prediction, truth, full_scale=0.25)
    assert shown[0].tolist() == [[0, 0, 0], [255, 0, 0], [255, 255, 255]]
