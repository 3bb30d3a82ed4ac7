import numpy as np
import pytest

from sightline.evaluation.pictures import PictureWriter
from sightline.evaluation.saved_views import read_evaluations, read_pictures
from sightline.foundation.files import read_json, write_json

ENTRY = {"split": "test", "protocol": "sightline", "views": 2, "baselines": {}, "data": "C:\\data\\fox"}


def picture(seed: int, shape=(40, 60)) -> np.ndarray:
    return np.random.default_rng(seed).random((*shape, 3)).astype(np.float32)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "eval" / "test"
    writer = PictureWriter(folder, "title")
    for number, stem in enumerate(("a", "b")):
        writer.add(stem, picture(number), picture(number + 10), {"psnr": 20.0})
    views = [{"index": k, "name": f"images/{stem}.png", "psnr": 20.0} for k, stem in enumerate(("a", "b"))]
    write_json(folder / "metrics.json", {**ENTRY, "per_view": views})
    return tmp_path


def test_pictures_are_found_by_their_views(run):
    (evaluation,), problems = read_evaluations(run)
    assert problems == []
    assert (evaluation.name, evaluation.data_name, evaluation.is_usual) == ("test", "fox", True)
    assert evaluation.size() == (60, 40)
    assert [view.key for view in evaluation.views()] == [(None, "images/a.png"), (None, "images/b.png")]
    found = read_pictures(evaluation.views()[1])
    assert found is not None
    np.testing.assert_array_equal(found.prediction, np.rint(picture(1) * 255))
    # The truth comes out of the panel as it was.
    np.testing.assert_array_equal(found.truth, np.rint(picture(11) * 255))
    assert found.sources == ()


def test_views_without_pictures_are_left_out(run):
    (run / "eval" / "test" / "images" / "a.png").unlink()
    (run / "eval" / "test" / "panels" / "b.png").unlink()
    (evaluation,), _ = read_evaluations(run)
    (view,) = evaluation.views()
    found = read_pictures(view)
    assert found is not None
    assert found.truth is None
    view.picture.write_bytes(b"no picture")
    assert read_pictures(view) is None


def test_large_pictures_have_a_smaller_truth(tmp_path):
    folder = tmp_path / "eval" / "test"
    PictureWriter(folder, "title").add("a", picture(0, (30, 1024)), picture(1, (30, 1024)), {"psnr": 20.0})
    write_json(folder / "metrics.json", {**ENTRY, "per_view": [{"index": 0, "name": "a.png"}]})
    (evaluation,), _ = read_evaluations(tmp_path)
    found = read_pictures(evaluation.views()[0])
    assert found is not None
    assert found.prediction.shape == (30, 1024, 3)
    assert found.truth is not None
    assert found.truth.shape == (15, 512, 3)


def test_a_damaged_evaluation_is_told_and_the_others_are_read(run):
    (run / "eval" / "broken").mkdir()
    (run / "eval" / "broken" / "metrics.json").write_text("{", encoding="utf-8")
    write_json(run / "eval" / "other" / "metrics.json", {"psnr": 3})
    write_json(run / "eval" / "a" / "metrics.json", {**ENTRY, "protocol": "gpnr", "per_view": None})
    found, problems = read_evaluations(run)
    # The usual protocol comes first, whatever the names are.
    assert [evaluation.name for evaluation in found] == ["test", "a"]
    assert found[1].views() == []
    assert found[1].size() is None
    assert ["broken" in problem for problem in problems] == [True, False]
    assert "another kind" in problems[1]


def test_one_object_alone_is_a_scene(run):
    path = run / "eval" / "test" / "metrics.json"
    metrics = read_json(path)
    views = [{**entry, "object": "fern", "sources": [3]} for entry in metrics["per_view"]]
    write_json(path, {**metrics, "per_view": views})
    images = run / "eval" / "test" / "images"
    (images / "fern").mkdir()
    for name in ("a", "b"):
        (images / f"{name}.png").rename(images / "fern" / f"{name}.png")
    (evaluation,), _ = read_evaluations(run)
    assert [view.key for view in evaluation.views()] == [(None, "images/a.png"), (None, "images/b.png")]
    assert evaluation.views()[0].object == "fern"
    views[1]["object"] = "trex"
    write_json(path, {**metrics, "per_view": views})
    (evaluation,), _ = read_evaluations(run)
    assert [view.key for view in evaluation.views()] == [("fern", "images/a.png")]
