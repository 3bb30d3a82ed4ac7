from types import SimpleNamespace

import imageio_ffmpeg
import numpy as np
import pytest

from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json
from sightline.media.images import read_image
from sightline.workflows import demo as demo_module
from sightline.workflows.demo import run_demo

SETTINGS = {"minutes": 0.01, "size": 32, "train_views": 6, "test_views": 2, "frames": 4, "device": "cpu"}


def read_video(path) -> list[np.ndarray]:
    frames = imageio_ffmpeg.read_frames(str(path))
    width, height = next(frames)["size"]
    return [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in frames]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("made") / "demo", **SETTINGS)


def test_everything_is_where_it_says(made):
    frames = read_video(made.video)
    assert [frame.shape for frame in frames] == [(32, 32, 3)] * 4
    assert np.abs(frames[0].astype(int) - frames[2]).max() > 20  # the camera moves
    # Two test views below each other, truth, prediction and error side by side.
    sheet = read_image(made.contact_sheet)
    assert sheet.shape[0] > 2 * 32
    assert sheet.shape[1] > 3 * 32
    assert [row[0] for row in made.table.rows] == ["test/000.png", "test/001.png", "mean"]
    table = made.table_file.read_text(encoding="utf-8")
    assert f"| mean | {made.metrics['psnr']:.2f} |" in table
    assert read_json(made.run / "eval" / "test" / "metrics.json")["psnr"] == made.metrics["psnr"]
    psnr = [row[1] for row in made.table.rows]
    assert psnr[2] == pytest.approx((psnr[0] + psnr[1]) / 2)
    assert set(made.seconds) == {"scene", "training", "evaluation", "video"}


def test_it_says_where_everything_is(made):
    text = made.to_text()
    for path in (made.video, made.contact_sheet, made.table_file, made.capture, made.run):
        assert path.exists()
        assert str(path) in text
    found = made.to_json()
    assert found["video"] == made.video.as_posix()
    assert found["psnr"] == made.metrics["psnr"]


def test_again_it_makes_only_what_is_missing(made):
    pictures = sorted(made.capture.rglob("*.png"))
    before = [path.stat().st_mtime_ns for path in pictures]
    weights = (made.run / "weights.safetensors").read_bytes()
    made.video.unlink()
    again = run_demo(made.folder, **SETTINGS)
    assert [path.stat().st_mtime_ns for path in pictures] == before
    assert (made.run / "weights.safetensors").read_bytes() == weights
    assert len(read_video(again.video)) == 4
    assert again.metrics["psnr"] == pytest.approx(made.metrics["psnr"], abs=1e-6)


def test_a_folder_of_another_demo_is_refused(made):
    with pytest.raises(InputError, match="other settings"):
        run_demo(made.folder, **{**SETTINGS, "seed": 1})


def test_stopped_training_stops_the_demo(made, monkeypatch):
    stopped = SimpleNamespace(result=SimpleNamespace(ending="interrupted"))
    monkeypatch.setattr(demo_module, "train_method", lambda *arguments: stopped)
    before = made.video.stat().st_mtime_ns
    with pytest.raises(KeyboardInterrupt):
        run_demo(made.folder, **SETTINGS)
    assert made.video.stat().st_mtime_ns == before


@pytest.mark.slow
def test_the_demo_as_it_is(tmp_path):
    """A minute of training gives test views that are clearly better than a white picture."""
    found = run_demo(tmp_path / "demo")
    assert found.metrics["psnr"] > 26
    assert len(read_video(found.video)) == 90
