"""Scoring methods that generalise: sources, targets, baselines, resuming, what is refused."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import many_objects
from many_objects import SIZE, Warp, ball_data, make_warp_run, read_balls, warp, with_weights, write_balls
from sightline.captures import Capture, Collection, open_capture
from sightline.evaluation import objects as objects_module
from sightline.evaluation.protocols import SIGHTLINE
from sightline.foundation.errors import InputError
from sightline.media.images import read_image
from sightline.runs.run import Run
from sightline.workflows.evaluate import evaluate_run

__all__ = ["ball_data", "make_warp_run", "warp"]


@pytest.fixture
def trained(make_warp_run: Callable[..., Run]) -> Run:
    return with_weights(make_warp_run())


def picture(capture, index: int) -> torch.Tensor:
    return torch.from_numpy(np.array(capture.images[index])).float() / 255


def test_every_view_but_the_sources_is_judged(trained: Run, ball_data: Path) -> None:
    found = evaluate_run(trained, sources="2", device="cpu")
    metrics = json.loads((trained.path / "eval" / "test-2" / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(found.metrics))
    assert Warp.encoded == [("00002.png",)] * 3
    objects = [f"test_{k}" for k in range(3)]
    assert [entry["object"] for entry in metrics["per_object"]] == objects
    judged = [(view["object"], view["index"]) for view in metrics["per_view"]]
    assert judged == [(id, index) for id in objects for index in (0, 1, 3, 4, 5, 6, 7)]
    assert {tuple(view["sources"]) for view in metrics["per_view"]} == {(2,)}
    method = trained.load_method()
    total = []
    for id in objects:
        capture = open_capture(ball_data)[id].open()
        scene = method.encode(capture.view(2))
        scores = []
        for index in (0, 1, 3, 4, 5, 6, 7):
            with torch.no_grad():
                rgb = method.render(scene, capture.cameras[index]).rgb
            scores.append(SIGHTLINE.score(rgb, picture(capture, index), None, None)["psnr"])
        total.append(sum(scores) / 7)
    assert [entry["psnr"] for entry in metrics["per_object"]] == pytest.approx(total, abs=1e-9)
    assert metrics["psnr"] == pytest.approx(sum(total) / 3, abs=1e-9)
    assert metrics["per_category"][0]["objects"] == 3
    with open(found.folder / "per_view.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["object"], row["sources"], row["index"]) for row in rows[:2]] == [
        ("test_0", "2", "0"),
        ("test_0", "2", "1"),
    ]
    assert sorted(path.name for path in (found.folder / "images" / "test_1").iterdir()) == [
        f"{index:05d}.png" for index in (0, 1, 3, 4, 5, 6, 7)
    ]
    assert read_image(found.folder / "images" / "test_1" / "00000.png").shape == (SIZE, SIZE, 3)
    assert (found.folder / "contact_sheet.png").is_file()


def test_baselines_of_known_pictures(trained: Run, ball_data: Path) -> None:
    metrics = evaluate_run(trained, sources="2", objects=["test_1"], device="cpu").metrics
    data = read_balls(ball_data, options())
    capture = data["test_1"].open()
    train = [entry.open() for entry in data.split("train")]
    targets = [index for index in range(8) if index != 2]
    own = torch.stack([picture(capture, index) for index in range(8)])
    of_training = torch.stack([torch.stack([picture(c, i) for i in range(8)]) for c in train])
    nearest = int((of_training[:, 2] - own[2]).square().mean((1, 2, 3)).argmin())
    expected = {
        "white": lambda index: torch.ones_like(own[0]),
        "copy_source": lambda index: own[2],
        "object_mean": lambda index: own.mean(0),
        "mean_training_image": lambda index: of_training.mean((0, 1)),
        "mean_per_pose": lambda index: of_training[:, index].mean(0),
        "nearest_training_object": lambda index: of_training[nearest, index],
    }
    assert list(metrics["baselines"]) == list(expected)
    for name, predict in expected.items():
        scores = [SIGHTLINE.score(predict(index), own[index], None, None) for index in targets]
        for metric in ("psnr", "ssim"):
            mean = sum(score[metric] for score in scores) / len(scores)
            # Means are added up in another order, and some pixels are then rounded the other way.
            assert metrics["baselines"][name][metric] == pytest.approx(mean, rel=1e-3), (name, metric)
    assert metrics["training_objects"] == 4


def options():
    from sightline.captures.frames import ReadOptions

    return ReadOptions()


def test_baselines_that_need_training_objects_say_why_they_are_missing(
    trained: Run, ball_data: Path, tmp_path: Path
) -> None:
    shutil.copytree(ball_data / "test", tmp_path / "elsewhere" / "test")
    metrics = evaluate_run(trained, data=tmp_path / "elsewhere", sources="0", device="cpu").metrics
    assert metrics["baselines"]["mean_per_pose"]["psnr"] > 5, "taken from what the run was trained on"
    shutil.rmtree(ball_data)
    shutil.rmtree(trained.path / "eval")
    metrics = evaluate_run(trained, data=tmp_path / "elsewhere", sources="0", device="cpu").metrics
    assert metrics["baselines"]["white"]["psnr"] > 5
    for name in ("mean_training_image", "mean_per_pose", "nearest_training_object"):
        found = metrics["baselines"][name]
        assert found["psnr"] is None
        assert "no training objects" in found["reason"]
        assert "not where it was" in found["reason"]


class Stop(Exception):
    pass


def test_a_stopped_evaluation_goes_on_and_equals_one_that_was_not(
    trained: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="sightline")
    whole = evaluate_run(trained, sources="1,4", device="cpu")
    texts = {
        path.relative_to(whole.folder).as_posix(): path.read_bytes()
        for path in whole.folder.rglob("*")
        if path.suffix == ".png"
    }
    rows = (whole.folder / "per_view.csv").read_text()
    shutil.rmtree(whole.folder)
    Warp.encoded.clear()
    real, judged = objects_module._judge_object, []

    def stopping(*arguments, **named):
        if len(judged) == 2:
            raise Stop
        judged.append(1)
        return real(*arguments, **named)

    monkeypatch.setattr(objects_module, "_judge_object", stopping)
    with pytest.raises(Stop):
        evaluate_run(trained, sources="1,4", device="cpu")
    assert not (whole.folder / "metrics.json").exists()
    monkeypatch.setattr(objects_module, "_judge_object", real)
    again = evaluate_run(trained, sources="1,4", device="cpu")
    assert len(Warp.encoded) == 3, "each object once"
    assert "2 of 3 objects are finished" in caplog.text
    for name in ("psnr", "ssim", "per_object", "baselines"):
        assert again.metrics[name] == whole.metrics[name]
    without_times = [row.rpartition(",")[0] for row in rows.splitlines()]
    found = (whole.folder / "per_view.csv").read_text().splitlines()
    assert [row.rpartition(",")[0] for row in found] == without_times
    assert texts == {
        path.relative_to(whole.folder).as_posix(): path.read_bytes()
        for path in whole.folder.rglob("*")
        if path.suffix == ".png"
    }
    evaluate_run(trained, sources="1,4", device="cpu")
    assert len(Warp.encoded) == 3, "finished: nothing is done again"
    assert "All objects are finished" in caplog.text


def test_pictures_of_all_views_are_saved_and_gone_on_with(
    trained: Run, ball_data: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("sightline.evaluation.object_pictures.MOST_PICTURES", 3)
    out = tmp_path / "pictures"
    evaluate_run(trained, sources="2", objects=["test_0"], device="cpu")
    evaluate_run(trained, sources="2", objects=["test_0"], device="cpu", save_images=out)
    views = [f"{k:05d}.png" for k in (0, 1, 3, 4, 5, 6, 7)]
    assert sorted(path.name for path in (out / "test_0").iterdir()) == views
    # All objects, in the same folder: what is there is kept, what is missing is rendered again.
    done = evaluate_run(trained, sources="2", device="cpu", save_images=out).metrics
    (out / "test_1" / "00003.png").unlink()
    kept = (out / "test_0" / "00000.png").stat().st_mtime_ns
    Warp.encoded.clear()
    again = evaluate_run(trained, sources="2", device="cpu", save_images=out).metrics
    assert len(Warp.encoded) == 1
    assert again["psnr"] == done["psnr"]
    assert (out / "test_0" / "00000.png").stat().st_mtime_ns == kept
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == [
        f"test_{k}/{view}" for k in range(3) for view in views
    ]
    method, capture = trained.load_method(), open_capture(ball_data)["test_1"].open()
    with torch.no_grad():
        rgb = method.render(method.encode(capture.view(2)), capture.cameras[3]).rgb.numpy()
    assert np.abs(read_image(out / "test_1" / "00003.png") / 255 - rgb).max() <= 0.5 / 255 + 1e-6
    with pytest.raises(InputError, match="made with other settings"):
        evaluate_run(trained, sources="3", device="cpu", save_images=out)
    with pytest.raises(InputError, match="among the data"):
        evaluate_run(trained, sources="2", device="cpu", save_images=ball_data / "test")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_bytes(b"1")
    with pytest.raises(InputError, match="not empty"):
        evaluate_run(trained, sources="2", device="cpu", save_images=tmp_path / "mine")
    each = tmp_path / "each"
    evaluate_run(trained, sources="each", objects=["test_0"], every=4, device="cpu", save_images=each)
    count = len(list(each.rglob("*.png")))
    Warp.encoded.clear()
    evaluate_run(trained, sources="each", objects=["test_0"], every=4, device="cpu", save_images=each)
    assert (Warp.encoded, len(list(each.rglob("test_0/from_*/*.png")))) == ([], count)
    assert count > 8


def test_other_settings_are_never_mixed_with_earlier_results(
    trained: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="sightline")
    first = evaluate_run(trained, sources="0", device="cpu")
    second = evaluate_run(trained, sources="0", background="black", device="cpu")
    assert second.folder == first.folder
    assert 'background: null before, "black" now' in caplog.text
    assert len(Warp.encoded) == 6
    Warp.encoded.clear()
    evaluate_run(with_weights(trained, step=2, blend=0.9), sources="0", background="black", device="cpu")
    assert "weights: " in caplog.text
    assert len(Warp.encoded) == 3


def test_ways_to_name_sources(trained: Run, tmp_path: Path) -> None:
    def encoded(**named) -> list[tuple[str, ...]]:
        Warp.encoded.clear()
        evaluate_run(trained, device="cpu", **named)
        return list(Warp.encoded)

    assert encoded(objects=["test_0"]) == [("00004.png",)], "the middle view"
    assert encoded(objects=["test_0"], num_sources=2) == [("00002.png", "00006.png")]
    assert encoded(objects=["test_0"], sources="00003,1") == [("00003.png", "00001.png")]
    listing = tmp_path / "src_dvr.txt"
    listing.write_text("ball test_2 5\n\nball test_0 1 7\nball test_1 0\nball unused 3\n", encoding="utf-8")
    assert encoded(source_list=listing) == [
        ("00001.png", "00007.png"),
        ("00000.png",),
        ("00005.png",),
    ]


def test_every_view_in_turn(trained: Run) -> None:
    found = evaluate_run(trained, sources="each", objects=["test_0"], every=3, device="cpu")
    assert Warp.encoded == [(f"{index:05d}.png",) for index in range(8)]
    pairs = [(view["sources"], view["index"]) for view in found.metrics["per_view"]]
    expected = [([s], t) for s in range(8) for t in [i for i in range(8) if i != s][::3]]
    assert pairs == expected
    assert found.metrics["per_object"][0]["views"] == len(expected) == 24
    assert (found.folder / "images" / "test_0" / "from_3" / "00004.png").is_file()


def test_one_view_of_each_object(trained: Run) -> None:
    first = evaluate_run(trained, sources="0", approx=True, device="cpu")
    drawn = [view["index"] for view in first.metrics["per_view"]]
    assert len(drawn) == 3
    assert 0 not in drawn
    shutil.rmtree(first.folder)
    alone = evaluate_run(trained, sources="0", approx=True, objects=["test_2"], device="cpu")
    assert [view["index"] for view in alone.metrics["per_view"]] == drawn[2:]


def test_one_object_is_a_collection_of_one(trained: Run, ball_data: Path) -> None:
    data = ball_data / "test" / "test_0"
    own = evaluate_run(trained, sources="3", device="cpu")
    found = evaluate_run(trained, data=data, sources="3", device="cpu")
    # Beside the scores of the run's own data, which stay.
    assert (own.folder, found.folder) == (trained.path / "eval/test-3", trained.path / "eval/test-3-test_0")
    assert json.loads((own.folder / "metrics.json").read_text())["objects"] == 3
    metrics = found.metrics
    assert [entry["object"] for entry in metrics["per_object"]] == ["test_0"]
    assert metrics["views"] == 7
    assert metrics["baselines"]["nearest_training_object"]["psnr"] > 5


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"sources": "8"}, r"test_0 has no view '8'.*It has 8: 00000, 00001, 00002, …, 00007"),
        ({"sources": "left"}, "no view 'left'"),
        ({"sources": ","}, "No source view is named"),
        ({"sources": "0", "num_sources": 2}, "in several ways"),
        ({"num_sources": 8}, "leave a view to predict"),
        ({"objects": ["chair"]}, "no object 'chair'.*for example train_0"),
        ({"objects": ["train_1"]}, "not in the split 'test'.*--split train"),
        ({"split": "all"}, r"no objects in the split 'all'.*train \(4\)"),
        ({"protocol": "none"}, "no protocol 'none'.*enr, pixelnerf"),
        ({"sources": "0", "every": 0}, "Each 0-th"),
        ({"protocol": "enr"}, "no view '64'"),
        ({"sampler": "occupancy"}, "one way to place samples"),
    ],
)
def test_what_does_not_go_together_is_refused(trained: Run, named: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        evaluate_run(trained, device="cpu", **named)
    assert not (trained.path / "eval").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ball test_0 1\nball test_1 2\n", "no row for the object 'test_2'"),
        ("ball test_0\n", "line 1"),
        ("ball test_0 1\nball test_0 2\n", "listed twice.*line 2"),
        ("# nothing\n", "is empty"),
        ("ball test_0 1\nball test_1 2\nball test_2 99\n", "no view '99'"),
    ],
)
def test_source_lists_that_do_not_serve(trained: Run, tmp_path: Path, text: str, said: str) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        evaluate_run(trained, source_list=listing, device="cpu")
    assert "list.txt" in str(caught.value)


def test_too_many_sources_for_the_method(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Warp, "most_sources", 1)
    with pytest.raises(InputError, match="from 1 view, and 2 are given"):
        evaluate_run(trained, sources="0,1", device="cpu")


def test_thousands_of_views_are_not_held(trained: Run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sightline.evaluation.tally.MOST_LISTED", 10)
    monkeypatch.setattr("sightline.evaluation.object_pictures.MOST_PICTURES", 2)
    found = evaluate_run(trained, sources="0", device="cpu")
    assert found.metrics["per_view"] is None
    assert "per_view.csv" in found.metrics["per_view_reason"]
    assert len((found.folder / "per_view.csv").read_text().splitlines()) == 1 + 21
    assert sorted(path.parent.name for path in found.folder.rglob("images/*/*.png")) == ["test_0", "test_1"]
    write_balls(tmp_path / "many", train=1, val=0, test=0)
    with pytest.raises(InputError, match="no objects in the split 'test'"):
        evaluate_run(trained, data=tmp_path / "many", device="cpu")


def test_of_objects_that_were_trained_on_only_held_out_views_are_judged(
    make_warp_run: Callable[..., Run], ball_data: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    caplog.set_level("INFO", logger="sightline")
    real = many_objects.read_ball

    def with_hold_out(folder: Path, read_options) -> Capture:
        return replace(
            real(folder, read_options), splits={"train": (1, 2, 3, 5, 6, 7), "val": (), "test": (0, 4)}
        )

    def flat(folder: Path, read_options) -> Collection:
        found = many_objects.read_balls(folder, read_options)
        assert isinstance(found, Collection)
        ids = tuple(entry.id for entry in found)
        return replace(found, splits={"train": ids[:5], "val": (), "test": ids[3:]})

    monkeypatch.setattr(many_objects, "read_ball", with_hold_out)
    monkeypatch.setattr(many_objects, "FORMAT", replace(many_objects.FORMAT, read=flat))
    run = with_weights(make_warp_run())
    data = run.open_data()
    assert isinstance(data, Collection)
    run.record_collection(data)
    metrics = evaluate_run(run, sources="1", device="cpu").metrics
    views = {entry["object"]: entry["views"] for entry in metrics["per_object"]}
    assert views == {"train_3": 2, "val_0": 2, "val_1": 7, "test_0": 7, "test_1": 7, "test_2": 7}
    assert "2 of the 6 objects were trained on" in caplog.text
    trained = {(view["object"], view["index"]) for view in metrics["per_view"] if view["object"] == "train_3"}
    assert trained == {("train_3", 0), ("train_3", 4)}
