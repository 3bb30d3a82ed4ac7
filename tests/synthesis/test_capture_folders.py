import os
from dataclasses import dataclass

import numpy as np
import pytest

from sightline.captures import open_capture
from sightline.foundation.errors import InputError, RunError
from sightline.media.images import read_image, write_png
from sightline.synthesis.description import SceneDescription
from sightline.synthesis.farm import Batch, render_batches
from sightline.synthesis.mitsuba_renderer import View
from sightline.synthesis.scenes import hemisphere_splits, make_still_life
from sightline.synthesis.still_life import StillLife

TINY = {"train_views": 5, "test_views": 1, "size": 16, "samples": 1, "workers": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_still_life(tmp_path_factory.mktemp("made") / "still", seed=1, **TINY)


def test_the_capture_opens_with_its_cameras(folder):
    capture = open_capture(folder)
    assert capture.format == "blender"
    assert capture.background == "alpha"
    assert [len(capture.splits[name]) for name in ("train", "val", "test")] == [5, 0, 1]
    assert capture.image_names[0] == "train/000.png"
    assert capture.images[5].shape == (16, 16, 4)
    made = hemisphere_splits(StillLife(seed=1).build(), {"train": 5, "test": 1}, 16)
    for name, cameras in made.items():
        read = capture.cameras[list(capture.splits[name])]
        np.testing.assert_allclose(read.c2w, cameras.c2w, atol=1e-12)
        np.testing.assert_allclose(read.fx, cameras.fx, rtol=1e-12)
        np.testing.assert_array_equal(read.cx, cameras.cx)


def test_pictures_show_something_in_their_middle(folder):
    for index in range(5):
        alpha = read_image(folder / f"train/{index:03d}.png")[..., 3]
        assert alpha[7:10, 7:9].min() == 255
        assert alpha[:, [0, -1]].max() == 0
        assert alpha[0].max() == 0


def test_an_interrupted_capture_goes_on(folder, tmp_path):
    out = tmp_path / "still"
    make_still_life(out, seed=1, **TINY)
    (out / "train" / "002.png").unlink()
    (out / "transforms_train.json").unlink()
    kept = np.full((16, 16, 4), 77, dtype=np.uint8)
    write_png(out / "train" / "001.png", kept)
    reports = []
    make_still_life(out, seed=1, **TINY, progress=lambda done, total: reports.append((done, total)))
    assert reports == [(5, 6), (6, 6)]
    np.testing.assert_array_equal(read_image(out / "train" / "001.png"), kept)
    for name in ("train/002.png", "train/003.png", "test/000.png"):
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    assert (out / "transforms_train.json").read_bytes() == (folder / "transforms_train.json").read_bytes()


def test_folders_of_something_else_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"other settings.*synthesis\.json.*Choose another folder"):
        make_still_life(folder, seed=2, **TINY)
    (tmp_path / "holiday.txt").write_text("sun", encoding="utf-8")
    with pytest.raises(InputError, match="not empty and holds no synthetic capture"):
        make_still_life(tmp_path, seed=1, **TINY)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"size": 0}, "size is 0"),
        ({"test_views": 0}, "views is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"samples": 0}, "samples is 0"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, setting, message):
    with pytest.raises(InputError, match=message):
        make_still_life(tmp_path / "still", **{**TINY, **setting})
    assert not (tmp_path / "still").exists()


def small_batches() -> list[Batch]:
    cameras = hemisphere_splits(StillLife(seed=1).build(), {"train": 3}, 16)["train"]
    views = [
        View(c2w=cameras.c2w[i].numpy(), angle_x=0.7, width=16, height=16, samples=1, seed=i)
        for i in range(3)
    ]
    return [Batch(StillLife(seed=1), (views[0],)), Batch(StillLife(seed=1), (views[1], views[2]))]


def test_worker_processes_make_the_same_pictures():
    here = dict(render_batches(small_batches(), workers=0))
    there = dict(render_batches(iter(small_batches()), workers=1))
    assert [len(here[index]) for index in (0, 1)] == [1, 2]
    assert here.keys() == there.keys()
    for index in here:
        np.testing.assert_array_equal(here[index], there[index])


@dataclass(frozen=True)
class Fatal:
    """A recipe that takes its process down."""

    def build(self) -> SceneDescription:
        os._exit(3)


def test_a_worker_that_dies_is_reported():
    view = View(c2w=np.eye(4)[:3], angle_x=0.7, width=8, height=8, samples=1)
    with pytest.raises(RunError, match="ended unexpectedly"):
        list(render_batches([Batch(Fatal(), (view,))], workers=1))


@pytest.mark.slow
def test_the_scene_of_the_demo(tmp_path):
    """All of it is seen in the middle of every picture, and two noises agree to 40 dB over white."""
    out = make_still_life(tmp_path / "still")
    capture = open_capture(out)
    assert len(capture) == 70
    for picture in capture.images.load(range(70)):
        alpha = picture[..., 3].astype(np.float64)
        assert max(alpha[[0, -1]].max(), alpha[:, [0, -1]].max()) == 0
        assert 0.2 < alpha.mean() / 255 < 0.6
        rows, columns = np.meshgrid(np.arange(200), np.arange(200), indexing="ij")
        middle = np.array([(alpha * rows).sum(), (alpha * columns).sum()]) / alpha.sum()
        assert np.abs(middle - 99.5).max() < 25
        partial = (alpha > 0) & (alpha < 255)
        assert partial.mean() < 0.04
    cameras = capture.cameras[0]
    view = View(
        c2w=cameras.c2w[0].numpy(), angle_x=np.radians(40), width=200, height=200, samples=36, seed=1234
    )
    ((_, [other]),) = render_batches([Batch(StillLife(), (view,))], workers=0)
    over_white = [
        picture[..., :3] * (picture[..., 3:] / 255) + 255 - picture[..., 3:].astype(np.float64)
        for picture in (capture.images[0], other)
    ]
    # Each of the two has half of the variance of their difference.
    error = ((over_white[0] - over_white[1]) ** 2).mean() / 2 / 255**2
    assert -10 * np.log10(error) > 40
