"""Pairs of photos that are compared."""

import numpy as np

from sightline.photos.pairing import choose_matcher, choose_pairs, wider_pairs
from sightline.photos.retrieval import describe_photos


def never():
    raise AssertionError("not needed")


def test_all_pairs_of_few():
    assert choose_matcher(30, ordered=True) == "exhaustive"
    pairs = choose_pairs(5, "exhaustive", never)
    assert len(pairs) == 10
    assert all(i < j for i, j in pairs)


def test_a_video_that_comes_back_closes_its_loop():
    count = 100
    assert choose_matcher(count, ordered=True) == "sequential"
    places = np.abs(((np.arange(count) * 2) % 120) - 60)
    likeness = 1.0 / (1 + np.abs(places[:, None] - places[None]))
    pairs = set(choose_pairs(count, "sequential", lambda: likeness))
    assert {(0, 1), (0, 6), (0, 8), (0, 16), (0, 32)} <= pairs
    assert (0, 60) in pairs  # the same place, a round later
    assert len(pairs) < 100 * (6 + 3 + 6)


def test_many_photos_in_no_order_are_compared_with_look_alikes():
    count = 80
    assert choose_matcher(count, ordered=False) == "retrieval"
    group = np.arange(count) % 4
    likeness = (group[:, None] == group[None]).astype(float)
    pairs = choose_pairs(count, "retrieval", lambda: likeness)
    far = [(i, j) for i, j in pairs if j - i > 4]
    assert all(group[i] == group[j] for i, j in far)
    assert len(far) >= count * 5


def test_photos_without_a_place_are_compared_with_all():
    assert wider_pairs([2], 4, [(0, 1), (0, 2), (1, 3)]) == [(1, 2), (2, 3)]


def test_photos_of_the_same_features_are_alike():
    generator = np.random.default_rng(0)
    scenes = [generator.integers(0, 120, (400, 128)).astype(np.uint8) for _ in range(3)]

    def seen(scene: int) -> np.ndarray:
        chosen = generator.choice(400, 250, replace=False)
        noise = generator.integers(0, 6, (250, 128)).astype(np.uint8)
        return scenes[scene][chosen] + noise

    order = [0, 1, 2, 0, 1, 2]
    described = describe_photos([*(seen(scene) for scene in order), np.zeros((0, 128), np.uint8)])
    likeness = described @ described.T
    np.testing.assert_allclose(np.diag(likeness)[:6], 1, atol=1e-5)
    assert not likeness[6].any()
    for i, scene in enumerate(order):
        others = [j for j in range(6) if j != i]
        assert order[max(others, key=lambda j, i=i: likeness[i, j])] == scene
