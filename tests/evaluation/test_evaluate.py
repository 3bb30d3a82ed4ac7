import csv
import json
import math
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from memory_captures import HEIGHT, WIDTH, make_capture, random_pictures

from sightline.evaluation.evaluate import evaluate_scene, evaluate_subjects
from sightline.evaluation.protocols import SIGHTLINE, Protocol
from sightline.evaluation.views import Subject, truth_picture
from sightline.evaluation.views import background_for as background
from sightline.foundation.errors import InputError
from sightline.media.images import read_image, to_float
from sightline.metrics.lpips import Lpips, Provenance


def strict(path):
    def refuse(text):
        raise AssertionError(f"{text} is not standard JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def noisy(capture, sigma=0.1):
    """A renderer that knows the truth and adds noise; finds the view by its camera."""

    def render(camera):
        assert len(camera) == 1
        index = int(camera.c2w[0, 0, 3])
        truth = truth_picture(capture, index, background(capture))
        noise = sigma * torch.randn(truth.shape, generator=torch.Generator().manual_seed(index))
        return SimpleNamespace(rgb=truth + noise)

    return render


def test_everything_is_written_and_agrees(tmp_path):
    capture = make_capture(random_pictures(5), splits={"train": (0,), "val": (), "test": (1, 2, 3, 4)})
    done = []
    found = evaluate_scene(noisy(capture), capture, tmp_path, method="ngp", every=2, on_view=done.append)
    metrics = strict(tmp_path / "metrics.json")
    assert metrics == json.loads(json.dumps(found.metrics))
    assert done == [1, 2]
    assert (metrics["method"], metrics["data"], metrics["split"]) == ("ngp", "scene", "test")
    assert (metrics["protocol"], metrics["background"], metrics["views"]) == ("sightline", "white", 2)
    assert metrics["baselines"] == {}
    assert metrics["lpips"] is None
    assert "is not on this machine" in metrics["lpips_reason"]
    assert metrics["seconds"] >= metrics["seconds_per_view"] >= 0
    assert metrics["device"]["type"] == "cpu"
    assert metrics["versions"]["torch"].startswith("2.")
    assert "per_object" not in metrics
    assert [view["index"] for view in metrics["per_view"]] == [1, 3]
    assert [view["name"] for view in metrics["per_view"]] == ["test/r_1.png", "test/r_3.png"]
    for view in metrics["per_view"]:
        expected = SIGHTLINE.score(
            noisy(capture)(capture.cameras[view["index"]]).rgb,
            to_torch(capture.images[view["index"]]),
            None,
            None,
        )
        assert {key: view[key] for key in expected} == expected
        saved = to_torch(read_image(tmp_path / "images" / f"r_{view['index']}.png"))
        assert SIGHTLINE.score(saved, to_torch(capture.images[view["index"]]), None, None) == expected
    means = [sum(view[key] for view in metrics["per_view"]) / 2 for key in ("psnr", "ssim")]
    assert [metrics["psnr"], metrics["ssim"]] == pytest.approx(means, rel=1e-12)
    with open(tmp_path / "per_view.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["psnr"]) for row in rows] == [view["psnr"] for view in metrics["per_view"]]
    assert [row["lpips"] for row in rows] == ["", ""]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("contact_sheet.png", "images", "metrics.json", "panels", "per_view.csv"),
    ]


def to_torch(image):
    return torch.from_numpy(to_float(image))


def test_panel_shows_truth_prediction_and_error(tmp_path):
    truth = np.full((HEIGHT, WIDTH, 3), 51, np.uint8)
    capture = make_capture([truth])
    evaluate_scene(
        lambda camera: SimpleNamespace(rgb=torch.full((HEIGHT, WIDTH, 3), 0.45)),
        capture,
        tmp_path,
        method="m",
    )
    panel = read_image(tmp_path / "panels" / "r_0.png")
    at = [panel[24:44, 6 + i * 30 : 30 + i * 30] for i in range(3)]
    assert [tuple(np.unique(part.reshape(-1, 3), axis=0)[0]) for part in at] == [
        (51, 51, 51),
        (115, 115, 115),
        (255, 255, 255),
    ]
    assert all(len(np.unique(part.reshape(-1, 3), axis=0)) == 1 for part in at)


def test_identical_pictures_are_explained_not_numbers(tmp_path):
    capture = make_capture(random_pictures(3))

    def render(camera):
        return noisy(capture, sigma=0.1 if int(camera.c2w[0, 0, 3]) else 0.0)(camera)

    metrics = strict(evaluate_scene(render, capture, tmp_path, method="m").folder / "metrics.json")
    assert metrics["psnr"] is None
    assert metrics["psnr_reason"] == "infinite: 1 of 3 predictions are identical to the truth"
    assert metrics["identical_views"] == 1
    others = [view["psnr"] for view in metrics["per_view"][1:]]
    assert metrics["psnr_of_other_views"] == pytest.approx(sum(others) / 2)
    assert metrics["per_view"][0]["psnr"] is None
    assert metrics["per_view"][0]["identical"] is True
    assert "inf" in (tmp_path / "per_view.csv").read_text(encoding="utf-8").splitlines()[1].split(",")


def test_alpha_and_masks(tmp_path):
    images = random_pictures(1, channels=4)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, :12] = 255
    capture = make_capture(images, masks=[mask])
    on_black = truth_picture(capture, 0, background(capture, "black"))
    half = on_black.clone()
    half[:, :12] = 0.3
    found = evaluate_scene(
        lambda camera: SimpleNamespace(rgb=half), capture, None, method="m", background="black"
    )
    assert found.metrics["background"] == "black"
    assert found.metrics["per_view"][0]["identical"] is True
    assert found.metrics["ssim"] == pytest.approx(1)
    assert found.folder is None
    on_white = evaluate_scene(lambda camera: SimpleNamespace(rgb=half), capture, None, method="m")
    assert on_white.metrics["psnr"] < 15


def test_broken_pixels_are_counted_and_warned_of(caplog):
    capture = make_capture(random_pictures(2))

    def render(camera):
        rgb = noisy(capture)(camera).rgb
        rgb[0, :3, 1] = math.nan
        return SimpleNamespace(rgb=rgb)

    found = evaluate_scene(render, capture, None, method="m")
    assert [view["broken_pixels"] for view in found.metrics["per_view"]] == [3, 3]
    assert "6 pixels of 2 predictions are not finite" in caplog.text


def test_wrong_size_and_unknown_names(tmp_path):
    capture = make_capture(random_pictures(1))
    with pytest.raises(InputError, match=r"12x10 pixels and the truth 24x20.*test/r_0\.png"):
        evaluate_scene(lambda camera: SimpleNamespace(rgb=torch.zeros(10, 12, 3)), capture, None, method="m")
    with pytest.raises(InputError, match="no protocol"):
        evaluate_scene(noisy(capture), capture, None, method="m", protocol="none")
    with pytest.raises(InputError, match="split 'val'"):
        evaluate_scene(noisy(capture), capture, None, method="m", split="val")


def test_pictures_are_not_kept(tmp_path):
    capture = make_capture(random_pictures(12))
    pictures = []

    def render(camera):
        assert sum(reference() is not None for reference in pictures) <= 1
        rgb = noisy(capture)(camera).rgb
        pictures.append(weakref.ref(rgb))
        return SimpleNamespace(rgb=rgb)

    evaluate_scene(render, capture, tmp_path, method="m")
    assert len(pictures) == 12


def test_lpips_with_its_provenance(monkeypatch):
    metric = Lpips("alex")
    for head in metric.heads:
        head.data.fill_(1.0)
    metric.provenance = Provenance("aa", "bb", published=False)
    monkeypatch.setattr(Protocol, "load_lpips", lambda self: (metric, None))
    truth = np.tile(np.arange(40, dtype=np.uint8)[:, None, None] * 6, (1, 40, 3))
    capture = make_capture([truth])
    prediction = to_torch(truth).flip(0)
    found = evaluate_scene(lambda camera: SimpleNamespace(rgb=prediction), capture, None, method="m").metrics
    assert found["lpips"] == pytest.approx(metric(prediction, to_torch(truth)).item(), rel=1e-5)
    assert "lpips_reason" not in found
    assert found["lpips_weights"] == {"backbone_sha256": "aa", "heads_sha256": "bb", "published": False}
    # Too small for the network: not defined, and said so.
    small = make_capture(random_pictures(1))
    found = evaluate_scene(noisy(small), small, None, method="m").metrics
    assert found["lpips"] is None
    assert found["lpips_reason"] == "not defined for 1 of 1 views"


def test_objects_weigh_the_same_whatever_their_views(tmp_path):
    def subjects():
        for name, category, count, error in (
            ("a/1", "car", 1, 51),
            ("b/2", "bus", 3, 102),
            ("c/3", "bus", 1, 25.5),
        ):
            capture = make_capture([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * count)
            predict = lambda index, error=error: torch.full((HEIGHT, WIDTH, 3), round(error) / 255)  # noqa: E731
            black = {"black": lambda index: torch.full((HEIGHT, WIDTH, 3), 1.0)}
            yield Subject(capture, capture.splits["test"], predict, name, category, baselines=black)

    found = evaluate_subjects(subjects(), tmp_path, method="m", data="set", split="test", facts={"note": 1})
    metrics = strict(tmp_path / "metrics.json")
    values = [-20 * math.log10(level / 255) for level in (51, 102, 26)]
    assert metrics["psnr"] == pytest.approx(sum(values) / 3, abs=1e-6)
    assert [entry["psnr"] for entry in metrics["per_object"]] == pytest.approx(values, abs=1e-6)
    assert [(e["object"], e["category"], e["views"]) for e in metrics["per_object"]] == [
        ("a/1", "car", 1),
        ("b/2", "bus", 3),
        ("c/3", "bus", 1),
    ]
    assert [(e["category"], e["objects"]) for e in metrics["per_category"]] == [("bus", 2), ("car", 1)]
    assert metrics["per_category"][0]["psnr"] == pytest.approx((values[1] + values[2]) / 2, abs=1e-6)
    assert metrics["baselines"]["black"]["psnr"] == pytest.approx(0, abs=1e-9)
    assert (metrics["views"], metrics["note"]) == (5, 1)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["a_1", "b_2", "c_3"]
    assert len(list((tmp_path / "images" / "b_2").iterdir())) == 3
    assert found.metrics["per_view"][1]["object"] == "b/2"


def test_nothing_to_evaluate():
    with pytest.raises(InputError, match="no view"):
        evaluate_subjects([], None, method="m", data="set", split="test")
