import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.foundation.errors import InputError
from sightline.geometry import Similarity, fit_similarity, quaternion_to_rotation


def random_similarity(seed):
    generator = torch.Generator().manual_seed(seed)
    rotation = quaternion_to_rotation(torch.randn(4, generator=generator, dtype=torch.float64))
    translation = torch.randn(3, generator=generator, dtype=torch.float64)
    return Similarity(float(torch.rand(1, generator=generator)) * 3 + 0.1, rotation, translation)


def random_points(seed, n=10):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_by_hand():
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    move = Similarity(2.0, quarter, torch.tensor([10.0, 0.0, 0.0]))
    assert move.apply(torch.tensor([[1.0, 0.0, 3.0]])).tolist() == [[10.0, 2.0, 6.0]]
    assert move.apply_directions(torch.tensor([1.0, 0.0, 3.0])).tolist() == [0.0, 1.0, 3.0]
    assert move.matrix()[0].tolist() == [0.0, -2.0, 0.0, 10.0]
    assert Similarity.identity().apply(torch.ones(3)).tolist() == [1.0, 1.0, 1.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_algebra(first, second):
    a, b, points = random_similarity(first), random_similarity(second), random_points(first)
    torch.testing.assert_close(a.inverse().apply(a.apply(points)), points)
    torch.testing.assert_close(a.compose(b).apply(points), a.apply(b.apply(points)))
    torch.testing.assert_close(a.compose(a.inverse()).matrix(), torch.eye(4, dtype=torch.float64))
    homogeneous = torch.cat([points, torch.ones(len(points), 1)], -1)
    torch.testing.assert_close((homogeneous @ a.matrix().T)[:, :3], a.apply(points))


def test_points_keep_their_dtype():
    move = random_similarity(1)
    assert move.apply(torch.zeros(2, 5, 3)).dtype == torch.float32
    assert move.apply(torch.zeros(2, 5, 3)).shape == (2, 5, 3)


def test_json_is_exact_and_checked():
    move = random_similarity(4)
    again = Similarity.from_json(json.loads(json.dumps(move.to_json())))
    assert again.scale == move.scale
    assert torch.equal(again.rotation, move.rotation)
    assert torch.equal(again.translation, move.translation)
    for damage in (
        {"scale": 0},
        {"scale": math.nan},
        {"rotation": [1, 2]},
        {"translation": [math.inf, 0, 0]},
    ):
        with pytest.raises(InputError, match="similarity"):
            Similarity.from_json({**move.to_json(), **damage})
    with pytest.raises(InputError):
        Similarity.from_json({"scale": 1.0})


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 20), st.booleans())
def test_fit_finds_the_map_also_for_flat_points(seed, n, flat):
    move, points = random_similarity(seed), random_points(seed, n)
    if flat:
        points[:, 2] = 0.5
    found = fit_similarity(points, move.apply(points))
    assert found.scale == pytest.approx(move.scale, rel=1e-9)
    torch.testing.assert_close(found.rotation, move.rotation, atol=1e-7, rtol=0)
    torch.testing.assert_close(found.translation, move.translation, atol=1e-7, rtol=0)


def test_fit_never_mirrors_and_is_the_best_there_is():
    points = random_points(0)
    mirrored = points * torch.tensor([1.0, 1.0, -1.0])
    found = fit_similarity(points, mirrored)
    assert float(torch.linalg.det(found.rotation)) == pytest.approx(1.0)
    error = (found.apply(points) - mirrored).square().sum()
    for seed in range(50):
        nudge = random_similarity(seed)
        half = 1e-3
        turned = quaternion_to_rotation(torch.tensor([1.0, *(half * nudge.translation).tolist()]))
        other = Similarity(
            found.scale * (1 + half * (nudge.scale - 1)), turned @ found.rotation, found.translation
        )
        assert (other.apply(points) - mirrored).square().sum() >= error


def test_fit_of_too_few_points_is_still_a_similarity():
    one = fit_similarity(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
    assert one.scale == 1.0
    torch.testing.assert_close(one.apply(torch.tensor([[1.0, 2.0, 3.0]])), torch.tensor([[0.0, 0.0, 1.0]]))
    source, target = torch.tensor([[0.0, 0, 0], [1, 0, 0]]), torch.tensor([[1.0, 1, 1], [1, 4, 1]])
    two = fit_similarity(source, target)
    assert two.scale == pytest.approx(3.0)
    torch.testing.assert_close(two.apply(source), target, atol=1e-6, rtol=0)
    torch.testing.assert_close(two.rotation @ two.rotation.T, torch.eye(3, dtype=torch.float64))
