from types import SimpleNamespace

import numpy as np
import pytest
import torch
from memory_captures import HEIGHT, WIDTH, make_capture, random_pictures
from PIL import Image

from sightline.evaluation.evaluate import evaluate_scene
from sightline.evaluation.folder import evaluate_folder, match_pictures
from sightline.foundation.errors import InputError
from sightline.media.images import write_png

SCORES = ("psnr", "ssim", "lpips")


def put(folder, **pictures):
    for name, picture in pictures.items():
        write_png(folder / f"{name}.png", picture)
    return folder


def level(value):
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


def test_the_pictures_of_an_evaluation_get_its_scores(tmp_path):
    names = ["cam0/0001.jpg", "cam1/0001.jpg", "cam1/0002.jpg"]
    capture = make_capture(random_pictures(3, channels=4), names)
    generator = torch.Generator().manual_seed(0)

    def render(camera):
        return SimpleNamespace(rgb=torch.rand(HEIGHT, WIDTH, 3, generator=generator))

    first = evaluate_scene(render, capture, tmp_path / "eval", method="m").metrics
    again = evaluate_folder(tmp_path / "eval" / "images", capture, tmp_path / "again").metrics
    for key in (*SCORES, "views", "background", "lpips_reason"):
        assert again[key] == first[key]
    assert [v["psnr"] for v in again["per_view"]] == [v["psnr"] for v in first["per_view"]]
    assert (again["matched_by"], again["missing"], again["unused"]) == ("name", [], [])
    assert again["images"] == str(tmp_path / "eval" / "images")
    assert again["method"] == "pictures"
    assert (tmp_path / "again" / "panels" / "cam1_0002.png").is_file()


def test_names_decide_before_order(tmp_path):
    capture = make_capture([level(0), level(100), level(200)], ["a.jpg", "b.jpg", "c.jpg"])
    folder = put(tmp_path, c=level(190), a=level(20), b=level(100), extra=level(1))
    found = evaluate_folder(folder, capture, None).metrics
    expected = [-20 * np.log10(20 / 255), None, -20 * np.log10(10 / 255)]
    assert [view["psnr"] for view in found["per_view"]] == [
        pytest.approx(expected[0], abs=1e-5),
        None,
        pytest.approx(expected[2], abs=1e-5),
    ]
    assert found["unused"] == ["extra.png"]


def test_order_decides_where_names_are_others_and_counts_fit(tmp_path, caplog):
    caplog.set_level("INFO", logger="sightline")
    capture = make_capture([level(0)] * 11, [f"{8 * i:04d}.jpg" for i in range(11)])
    folder = put(tmp_path, **{f"frame{i}": level(0) for i in range(11)})
    matching = match_pictures(folder, capture, range(11))
    assert matching.rule == "order"
    assert [matching.paths[i].stem for i in range(11)] == [f"frame{i}" for i in range(11)]
    # One name happens to fit, but the numbers are positions in the list, not names of photos.
    numbered = put(tmp_path / "numbered", **{f"{i:04d}": level(0) for i in range(11)})
    matching = match_pictures(numbered, capture, range(11))
    assert [matching.paths[i].stem for i in (1, 8)] == ["0001", "0008"]
    assert evaluate_folder(folder, capture, None).metrics["matched_by"] == "order"
    assert "matched by order, from frame0.png for 0000.jpg" in caplog.text


def test_missing_pictures_are_listed_and_left_out(tmp_path, caplog):
    capture = make_capture([level(0), level(0), level(0)], ["a.jpg", "b.jpg", "c.jpg"])
    found = evaluate_folder(put(tmp_path, b=level(51)), capture, None).metrics
    assert found["missing"] == ["a.jpg", "c.jpg"]
    assert found["views"] == 1
    assert found["psnr"] == pytest.approx(-20 * np.log10(0.2), abs=1e-6)
    assert "2 views have no picture and are left out: a.jpg, c.jpg" in caplog.text


def test_only_the_chosen_views_need_pictures(tmp_path):
    capture = make_capture(
        [level(i) for i in range(6)], splits={"train": (0, 1), "val": (), "test": (2, 3, 4, 5)}
    )
    found = evaluate_folder(put(tmp_path, r_2=level(2), r_4=level(9)), capture, None, every=2).metrics
    assert [view["index"] for view in found["per_view"]] == [2, 4]
    assert found["missing"] == []


def test_other_kinds_of_pictures(tmp_path):
    capture = make_capture([level(255), level(100), level(128)], ["alpha.png", "grey.png", "deep.png"])
    clear = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    deep = np.full((HEIGHT, WIDTH, 3), 128 * 257, np.uint16)
    folder = put(tmp_path, alpha=clear, grey=level(100)[..., 0], deep=deep)
    found = evaluate_folder(folder, capture, None).metrics
    assert [view["identical"] for view in found["per_view"]] == [True] * 3


def test_bad_folders(tmp_path):
    capture = make_capture([level(0), level(0)], ["a.jpg", "b.jpg"])
    with pytest.raises(InputError, match="no such folder"):
        evaluate_folder(tmp_path / "none", capture, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="No pictures"):
        evaluate_folder(tmp_path / "empty", capture, None)
    with pytest.raises(InputError, match=r"None of the 1 pictures .* 2 views.*a, b"):
        evaluate_folder(put(tmp_path / "other", x=level(0)), capture, None)
    twice = put(tmp_path / "twice", a=level(0))
    Image.fromarray(level(0)).save(twice / "a.jpg")
    with pytest.raises(InputError, match="same name"):
        evaluate_folder(twice, capture, None)


def test_another_size_is_refused_before_anything_is_scored(tmp_path):
    capture = make_capture([level(0), level(0)], ["a.jpg", "b.jpg"])
    folder = put(tmp_path / "in", a=level(0), b=np.zeros((HEIGHT // 2, WIDTH // 2, 3), np.uint8))
    with pytest.raises(InputError, match=r"12x10 pixels and the photo 24x20.*b\.png, view b\.jpg.*downscale"):
        evaluate_folder(folder, capture, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (folder / "b.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"Cannot read the picture.*b\.png"):
        evaluate_folder(folder, capture, tmp_path / "out")
