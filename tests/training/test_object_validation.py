"""Validation while training on many objects."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from many_objects import SIZE, Warp, WarpConfig, ball, ball_data, balls, cameras_of, make_warp_run, warp
from sightline.captures import Collection, CollectionObject
from sightline.captures.collection_record import CollectionRecord
from sightline.foundation.errors import InputError
from sightline.runs.record import DataSource, RunRecord
from sightline.runs.run import Run
from sightline.training import object_validation
from sightline.training.object_validation import ObjectValidator, cases_of_scene, choose_cases
from sightline.training.session import TrainOrder, train_run
from sightline.training.settings import TrainSettings

__all__ = ["ball_data", "make_warp_run", "warp"]


def test_cases_are_held_out_objects_from_several_places() -> None:
    cases = choose_cases(balls(train=2, test=6), 2)
    assert [case.name for case in cases] == ["t0", "t2", "t3", "t5"]
    assert {case.sources for case in cases} == {(2, 6)}
    assert [case.target for case in cases] == [0, 3, 4, 7]
    assert choose_cases(balls(train=2, test=0), 1) == []


def test_validation_objects_come_before_test_objects() -> None:
    collection = balls(train=2, test=2)
    splits = {**collection.splits, "val": ("a1",)}
    cases = choose_cases(Collection(name="b", objects=collection.objects, splits=splits), 1)
    assert [case.name for case in cases] == ["a1"]


def test_held_out_views_of_objects_that_are_trained_on() -> None:
    capture = ball("scene", 3)
    capture = type(capture)(**{**vars(capture), "splits": {"train": (1, 2, 5), "val": (), "test": (0, 3)}})
    entry = CollectionObject("scene", "", lambda: capture)
    splits = {"train": ("scene",), "test": ("scene",)}
    (case,) = choose_cases(Collection(name="c", objects=[entry], splits=splits), 1)
    assert (case.sources, case.target) == ((2,), 3)
    (case,) = choose_cases(Collection(name="c", objects=[entry], splits=splits), None)
    assert (case.sources, case.target) == ((1, 2, 5), 3)


def test_all_training_views_of_an_object_are_sources_where_that_is_usual() -> None:
    capture = ball("scene", 3)
    capture = type(capture)(**{**vars(capture), "splits": {"train": (1, 2, 5), "val": (), "test": (0, 3, 4)}})
    entry = CollectionObject("scene", "", lambda: capture)
    (case,) = choose_cases(Collection(name="c", objects=[entry], splits={"val": ("scene",)}), None)
    assert case.sources == (1, 2, 5)
    assert case.target not in case.sources


def test_held_out_views_of_one_scene_are_seen_from_training_views() -> None:
    capture = ball("scene", 3)
    splits = {"train": (1, 2, 3, 5, 6, 7), "val": (), "test": (0, 4)}
    cases = cases_of_scene(type(capture)(**{**vars(capture), "splits": splits}), 2)
    assert [(case.sources, case.target) for case in cases] == [((2, 6), 0), ((2, 6), 4)]
    assert cases_of_scene(capture, 1) == []


def test_the_sheet_shows_source_truth_picture_and_depth() -> None:
    method = Warp(WarpConfig())
    method.train()
    before = torch.get_rng_state()
    collection = balls(train=1, test=2)
    validator = ObjectValidator(choose_cases(collection, 1), every=1)
    found = validator.run(method)
    assert method.training
    assert torch.equal(torch.get_rng_state(), before)
    assert list(found.per_view) == ["t0/00001.png", "t1/00006.png"]
    for (name, psnr), entry in zip(found.per_view.items(), collection.split("test"), strict=True):
        capture = entry.open()
        index = capture.image_names.index(name.partition("/")[2])
        with torch.no_grad():
            rgb = method.render(method.encode(capture.view(4)), capture.cameras[index]).rgb.numpy()
        error = np.square(rgb - np.array(capture.images[index]) / 255).mean()
        assert psnr == pytest.approx(-10 * np.log10(error), abs=1e-4)
    assert found.psnr == pytest.approx(sum(found.per_view.values()) / 2)
    scale = -(-112 // SIZE)
    assert found.picture.shape[1] == 4 * scale * SIZE + 5 * 6, "four columns"
    truth = np.array(collection["t0"].open().images[1]).repeat(scale, 0).repeat(scale, 1)
    left = 6 + scale * SIZE + 6
    column = found.picture[:, left : left + scale * SIZE]
    assert any(
        np.array_equal(column[top : top + scale * SIZE], truth) for top in range(len(column) - scale * SIZE)
    )


class Clock:
    """Time goes on when a picture is rendered: a fixed part, and one for each pixel."""

    def __init__(self, fixed: float, per_pixel: float):
        self.now, self.fixed, self.per_pixel = 0.0, fixed, per_pixel

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("fixed", "per_pixel", "pixels"),
    [(0.3, 0.0, object_validation.MOST_PIXELS), (0.0, 1e-4, 2000), (0.0, 1.0, 1000)],
)
def test_pictures_are_as_large_as_time_allows(
    monkeypatch: pytest.MonkeyPatch, fixed: float, per_pixel: float, pixels: int
) -> None:
    clock = Clock(fixed, per_pixel)
    real = Warp.render

    def timed(self, scene, camera, **named):
        clock.now += fixed + per_pixel * int(camera.width[0]) * int(camera.height[0])
        return real(self, scene, camera, **named)

    monkeypatch.setattr(Warp, "render", timed)
    entry = CollectionObject("big", "ball", lambda: ball("big", 1))
    monkeypatch.setattr("many_objects.cameras_of", lambda poses: cameras_of(poses, 96))
    collection = Collection(name="c", objects=[entry], splits={"val": ("big",)})
    validator = ObjectValidator(choose_cases(collection, 1), clock=clock)
    validator.run(Warp(WarpConfig()))
    assert validator.pixels == pytest.approx(pixels, rel=0.05)
    (view,), _ = zip(*validator._views, strict=True)
    assert view.kept.numel() == pytest.approx(min(96 * 96, pixels), rel=0.1)


def test_training_on_objects_validates_and_remembers_them(make_warp_run: Callable[..., Run]) -> None:
    run = make_warp_run(blend=0.1)
    result = train_run(TrainOrder(run.path, TrainSettings(steps=40, device="cpu", eval_every=20)))
    assert result.validation_psnr is not None
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    found = [line["psnr"] for line in lines if line["kind"] == "val"]
    assert len(found) == 2
    assert found[1] > found[0]
    sheets = sorted((run.path / "eval" / "validation").iterdir())
    assert [path.name for path in sheets] == ["00000020.png", "00000040.png"]
    assert Image.open(sheets[0]).size[0] == 4 * 5 * SIZE + 30
    opened = Run.open(run.path)
    record = opened.collection_info()
    assert record is not None
    assert record.splits["val"] == ("val_0", "val_1")
    assert record.reference == "train_0"
    assert record.objects["test_2"] == "ball"
    assert len(opened.capture_info().cameras) == 8
    assert opened.best_weights_path.is_file()


def test_one_scene_leaves_no_list_of_objects(make_warp_run: Callable[..., Run], ball_data: Path) -> None:
    run = make_warp_run(data=ball_data / "train" / "train_1")
    train_run(TrainOrder(run.path, TrainSettings(steps=2, device="cpu", eval_every=0)))
    assert Run.open(run.path).collection_info() is None


def test_thousands_of_objects_are_recorded_without_being_opened(tmp_path: Path) -> None:
    opened = []

    def open_one(id: str):
        opened.append(id)
        return ball(id, 0)

    ids = [f"{k % 13:08d}/{k:032x}" for k in range(6000)]
    objects = [
        CollectionObject(id, f"category {k % 13}", lambda id=id: open_one(id)) for k, id in enumerate(ids)
    ]
    splits = {"train": tuple(ids[:5000]), "val": (), "test": tuple(ids[5000:])}
    collection = Collection(name="many", objects=objects, splits=splits)
    run = Run.create(tmp_path / "run", RunRecord("warp", {}, DataSource(path="../many")))
    run.record_collection(collection)
    assert opened == ids[:1]
    assert os.path.getsize(run.path / "collection.json") < 60 * 6000
    again = run.collection_info()
    assert again is not None
    assert (dict(again.objects), dict(again.splits)) == ({e.id: e.category for e in objects}, splits)
    assert again.path == "../many"
    text = json.loads((run.path / "collection.json").read_text())
    for broken, said in (({**text, "schema": 9}, "newer than 1"), ({**text, "category_of": [0]}, "damaged")):
        with pytest.raises(InputError, match=said):
            CollectionRecord.from_json(broken)
