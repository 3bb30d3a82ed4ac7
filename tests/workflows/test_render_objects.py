"""Rendering an object of a collection, or one of photos, with a method that generalises."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from many_objects import (
    RADIUS,
    SIZE,
    Warp,
    ball,
    ball_data,
    cameras_of,
    make_warp_run,
    ring,
    warp,
    with_weights,
)
from sightline.captures import open_capture
from sightline.foundation.errors import InputError
from sightline.media.images import read_image
from sightline.methods.base import Method
from sightline.runs.run import Run
from sightline.workflows.api import load
from sightline.workflows.render import render_run
from sightline.workflows.shown_objects import ShownObject, looks_at_origin
from sightline.workflows.source_strip import SourceStrip
from small_method import data, make_run, wave

__all__ = ["ball_data", "data", "make_run", "make_warp_run", "warp", "wave"]


@pytest.fixture
def trained(make_warp_run: Callable[..., Run]) -> Run:
    return with_weights(make_warp_run(), blend=0.5)


def angles(cameras, up=(0.0, 0.0, 1.0)) -> tuple[torch.Tensor, torch.Tensor]:
    centres = cameras.centres
    return torch.atan2(centres[:, 1], centres[:, 0]), torch.asin(centres[:, 2] / centres.norm(dim=-1))


def test_an_orbit_is_around_the_origin_at_the_sources_distance_and_elevation() -> None:
    # Cameras at several heights and distances: the orbit follows the source, not their mean.
    poses = torch.cat([ring(8), ring(8, start=0.3, elevation=1.0)])
    poses[8:, :, 3] *= 1.5
    capture = ball("a", 0, poses)
    shown = ShownObject("a", capture.subset([11]), capture)
    cameras, names = shown.cameras("orbit", frames=12)
    assert names is None
    azimuth, elevation = angles(cameras)
    own_azimuth, own_elevation = angles(capture.cameras[11])
    assert torch.allclose(cameras.centres.norm(dim=-1), torch.full((12,), 1.5 * RADIUS).double(), atol=1e-6)
    assert torch.allclose(elevation, own_elevation.expand(12), atol=1e-6)
    assert float(azimuth[0]) == pytest.approx(float(own_azimuth), abs=1e-6)
    turns = torch.remainder(azimuth.diff(), 2 * torch.pi)
    assert torch.allclose(turns, torch.full_like(turns, 2 * torch.pi / 12), atol=1e-6)
    beside = torch.linalg.cross(cameras.centres, cameras.forward).norm(dim=-1)
    assert float(beside.max()) < 1e-9
    above, _ = shown.cameras("orbit", frames=3, elevation=10.0, size="40x20")
    assert torch.allclose(angles(above)[1], torch.full((3,), 10.0).deg2rad().double(), atol=1e-6)
    assert (above.width.tolist(), above.height.tolist()) == ([40] * 3, [20] * 3)


def test_what_does_not_stand_at_the_origin_is_turned_around_its_own_place() -> None:
    assert looks_at_origin(cameras_of(ring(8)))
    poses = ring(8)
    poses[:, 0, 3] += 3 * RADIUS
    assert not looks_at_origin(cameras_of(poses))
    capture = ball("a", 0, poses)
    cameras, _ = ShownObject("a", capture.subset([0]), capture).cameras("orbit", frames=5)
    middle = torch.tensor([3 * RADIUS, 0.0, 0.0]).double()
    assert torch.allclose(
        (cameras.centres - middle).norm(dim=-1), torch.full((5,), RADIUS).double(), atol=1e-5
    )


def test_an_object_is_rendered_from_its_sources(trained: Run, ball_data: Path) -> None:
    done = render_run(
        trained, object="val_1", sources="3", frames=4, format="png", device="cpu", debug_views=True
    )
    assert done.path == trained.path / "renders" / "val_1-orbit"
    assert Warp.encoded == [("00003.png",)]
    frames = [read_image(path) for path in sorted(done.path.iterdir())]
    assert [frame.shape for frame in frames] == [(SIZE, 2 * SIZE + 4, 3)] * 4
    capture = open_capture(ball_data)["val_1"].open()
    method = trained.load_method()
    shown = ShownObject("val_1", capture.subset([3]), capture)
    cameras, _ = shown.cameras("orbit", frames=4)
    for index, frame in enumerate(frames):
        with torch.no_grad():
            rgb = method.render(method.encode(shown.views), cameras[index]).rgb.numpy()
        assert np.abs(frame[:, SIZE + 4 :] / 255 - rgb).max() <= 0.5 / 255 + 1e-6
        assert np.array_equal(frame[:, :SIZE], capture.images[3])
        assert (frame[:, SIZE : SIZE + 4] == 255).all()


def test_the_objects_own_views_are_rendered_under_their_names(trained: Run) -> None:
    done = render_run(trained, path="test", sources="0", device="cpu")
    assert done.path.name == "test_0-test"
    assert sorted(path.name for path in done.path.iterdir()) == [f"{k:05d}.png" for k in range(8)]
    video = render_run(trained, object="train_0", path="interpolate", frames=3, depth=True, device="cpu")
    assert video.path.name == "train_0-interpolate.mp4"
    assert video.depth is not None
    assert video.depth.stat().st_size > 500


def test_a_photo_needs_no_data(trained: Run, ball_data: Path, tmp_path: Path) -> None:
    picture = read_image(ball_data / "test" / "test_0" / "00002.png")
    Image.fromarray(picture).save(tmp_path / "mug.png")
    ball_data.rename(tmp_path / "gone")
    done = render_run(trained, photo=[tmp_path / "mug.png"], frames=3, size="30", device="cpu")
    assert done.path.name == "mug-orbit.mp4"
    assert Warp.encoded == [("photo.png",)]
    with pytest.raises(InputError, match="not where it was"):
        render_run(trained, object="test_0", frames=2, device="cpu")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"object": "chair"}, "no object 'chair'"),
        ({"sources": "9"}, "no view '9'"),
        ({"sources": "each"}, "one choice of sources"),
        ({"split": "none"}, "no objects in the split 'none'"),
        ({"photo": [Path("absent.png")]}, "does not exist.*absent.png"),
        ({"photo": [Path("a.png")], "object": "test_0"}, "in two ways"),
        ({"path": "zigzag"}, "no path 'zigzag'"),
    ],
)
def test_what_does_not_go_together_is_refused(trained: Run, named: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        render_run(trained, **{"frames": 2, "device": "cpu", **named})


def test_methods_that_need_cameras_refuse_photos(trained: Run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Warp, "views_of_photos", Method.views_of_photos)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"needs to know where its source views were taken.*--photo"):
        render_run(trained, photo=[tmp_path / "a.png"], frames=2, device="cpu")


def test_methods_of_one_scene_have_no_sources(make_run: Callable[..., Run]) -> None:
    run = make_run()
    photo = [Path("a.png")]
    named: list[dict] = [{"object": "a"}, {"sources": "1"}, {"photo": photo}, {"debug_views": True}]
    for options in named:
        with pytest.raises(InputError, match="has learnt one scene"):
            render_run(run, frames=2, **options)


def test_the_python_interface(trained: Run, ball_data: Path) -> None:
    capture = open_capture(ball_data)["test_0"].open()
    trained.record_collection(trained.open_data())
    run = load(trained.path, device="cpu")
    assert run.objects["val"] == ("val_0", "val_1")
    seen = run.see(object="test_0", sources="5")
    assert (seen.name, seen.views.image_names) == ("test_0", ("00005.png",))
    (picture,) = seen.render(seen.cameras("test")[:1], background=(0, 0, 0))
    method = trained.load_method()
    with torch.no_grad():
        expected = method.render(
            method.encode(capture.view(5)), capture.cameras[0], background=torch.zeros(3)
        )
    assert torch.equal(picture.rgb, expected.rgb)
    photo = ball_data / "test" / "test_1" / "00000.png"
    assert run.see(photos=[photo]).views.name == "photo"
    assert load(trained.path).evaluate(sources="5", objects=["test_0"])["views"] == 7


def test_a_strip_holds_several_sources_in_the_height_of_the_frame() -> None:
    red, blue = (np.full((20, 10, 3), colour, np.uint8) for colour in ([200, 0, 0], [0, 0, 200]))
    sheet = SourceStrip((red, blue)).beside(np.full((44, 30, 4), 7, np.uint8))
    assert sheet.shape == (44, 10 + 4 + 30, 4)
    assert (sheet[:20, :10, :3] == red).all()
    assert (sheet[24:44, :10, :3] == blue).all()
    assert (sheet[20:24, :14] == 255).all()
    assert (sheet[:, :10, 3] == 255).all()
    assert (sheet[:, 14:] == 7).all()
