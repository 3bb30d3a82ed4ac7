import json

import numpy as np
import pytest
from PIL import Image

from sightline.captures import draw_cameras, draw_cameras_svg, inspect_capture, open_capture
from sightline.captures.drawing import COLOURS


def test_facts_of_a_small_capture(capture_in_memory):
    facts = inspect_capture(capture_in_memory(channels=4, background="alpha"))
    assert (facts.views, facts.splits, facts.unassigned) == (6, {"train": 4, "val": 1, "test": 1}, 0)
    assert facts.sizes == {"16x12": 6}
    assert facts.lenses == {"PINHOLE": 6}
    assert facts.focal == (20.0, 20.0)
    assert facts.field_of_view[0] == pytest.approx(np.degrees(2 * np.arctan(0.4)))
    assert facts.memory == 6 * 16 * 12 * 4
    assert facts.near == (1.0, 1.5)
    assert facts.far == (5.5, 6.0)
    np.testing.assert_allclose(facts.focus, [0, 0, 0.5], atol=1e-9)
    np.testing.assert_allclose(facts.up, [0, 0, 1], atol=1e-6)
    assert facts.axes_meet
    assert facts.points == 30
    low, high = facts.point_percentiles["1"], facts.point_percentiles["99"]
    assert all(-0.4 <= a < b <= 0.4 for a, b in zip(low, high, strict=True))


def test_facts_as_text_and_json(shared):
    capture = open_capture(shared / "data" / "fox", downscale=4)
    facts = inspect_capture(capture)
    text = "\n".join(facts.lines())
    for part in ("transforms", "43 train", "7 test", "50 270x480", "50 OPENCV", "343.9 pixels", "sharpness"):
        assert part in text
    data = json.loads(json.dumps(facts.to_json(), allow_nan=False))
    assert data["sizes"] == {"270x480": 50}
    assert data["near"] is None
    assert capture.images.cached_bytes == 0  # nothing was decoded


def test_picture_of_the_cameras(capture_in_memory, tmp_path):
    draw_cameras(capture_in_memory(), tmp_path / "cameras.png")
    image = np.asarray(Image.open(tmp_path / "cameras.png").convert("RGB")).astype(int)
    for split in ("train", "val", "test"):
        colour = np.array([int(COLOURS[split][start : start + 2], 16) for start in (1, 3, 5)])
        near = (np.abs(image - colour).max(axis=-1) < 40).sum(axis=0)
        middle = image.shape[1] // 2
        assert near[:middle].sum() > 20  # in both views
        assert near[middle:].sum() > 20


def test_pictures_of_odd_captures(capture_in_memory, tmp_path):
    """One camera, cameras that look straight down, and more than get a frustum."""
    capture = capture_in_memory()
    draw_cameras(capture.view(0), tmp_path / "one.png")
    draw_cameras(capture.subset(list(range(6)) * 100), tmp_path / "many.png")
    down = capture.cameras.c2w.clone()
    down[:, :, :3] = down.new_tensor(np.eye(3))
    cameras = type(capture.cameras).create(down, 20.0, width=16, height=12)
    draw_cameras(capture_in_memory(cameras=cameras, points=None), tmp_path / "down.png")
    for name in ("one", "many", "down"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.size == (1430, 682)


def test_layout_is_told(capture_in_memory):
    facts = inspect_capture(capture_in_memory())
    assert facts.layout == "360"
    assert facts.to_json()["layout"] == "360"
    ahead = inspect_capture(capture_in_memory().view(0))
    assert ahead.layout == "forward-facing"
    assert any("normalised device coordinates apply" in line for line in ahead.lines())


def test_cameras_as_svg_for_a_page(capture_in_memory):
    drawn = draw_cameras_svg(capture_in_memory())
    assert list(drawn) == ["from above", "from the side"]
    for side, svg in drawn.items():
        assert svg.startswith("<svg viewBox=")
        assert svg.rstrip().endswith("</svg>")
        # Nothing that belongs to another page, and letters in the page's own colour.
        assert "http" not in svg
        assert "currentColor" in svg
        assert "#010203" not in svg
        for text in (side, "train (4)", "val (1)", "test (1)", "looked at"):
            assert text in svg
        assert svg.count(f"stroke: {COLOURS['test']}") >= 8  # the edges of one frustum
    assert draw_cameras_svg(capture_in_memory()) == drawn
