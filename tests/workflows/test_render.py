"""Rendering along paths, from what the run remembers."""

import shutil
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from sightline.foundation.errors import InputError
from sightline.geometry import trajectories
from sightline.media.images import read_image
from sightline.runs.run import Run
from sightline.training.session import TrainOrder, train_run
from sightline.training.settings import TrainSettings
from sightline.workflows.api import load
from sightline.workflows.paths import choose_cameras, parse_size
from sightline.workflows.render import render_run
from sightline.workflows.side_writer import SideWriter


@pytest.fixture
def trained(make_run, data: Path) -> Run:
    run = make_run()
    train_run(TrainOrder(run.path, TrainSettings(steps=5, device="cpu", eval_every=0)))
    shutil.rmtree(data)
    return Run.open(run.path)


def video_facts(path: Path) -> tuple[tuple[int, int], float, int]:
    frames = imageio_ffmpeg.read_frames(str(path))
    facts = next(frames)
    return facts["size"], facts["fps"], sum(1 for _ in frames)


@pytest.mark.parametrize("path", ["orbit", "spiral", "circle", "interpolate"])
def test_paths_are_rendered_without_the_data(trained: Run, path: str) -> None:
    done = render_run(trained, path=path, frames=3, fps=10, size="12x10")
    assert done.path == trained.path / "renders" / f"{path}.mp4"
    assert video_facts(done.path) == ((12, 10), 10.0, 3)


def test_a_published_path_is_rendered_under_its_name(trained: Run) -> None:
    done = render_run(trained, path="circle", variant="blender", frames=3, fps=10, size="12x10")
    assert done.path == trained.path / "renders" / "circle-blender.mp4"
    assert video_facts(done.path) == ((12, 10), 10.0, 3)
    with pytest.raises(InputError, match="has no variant 'paper'"):
        render_run(trained, path="spiral", variant="paper")


def test_a_file_says_path_and_frame_rate(trained: Run, tmp_path: Path) -> None:
    cameras = trajectories.orbit(trained.capture_info().cameras, 4, width=8, height=6)
    trajectories.to_file(tmp_path / "way.json", cameras, fps=5)
    done = render_run(trained, path=str(tmp_path / "way.json"))
    assert done.path.name == "way.mp4"
    assert video_facts(done.path) == ((8, 6), 5.0, 4)


def test_the_views_of_a_split_become_pictures_by_name(trained: Run) -> None:
    done = render_run(trained, path="test", background="black")
    assert sorted(path.name for path in done.path.iterdir()) == ["r_0.png", "r_1.png"]
    method = trained.load_method()
    camera = trained.capture_info().cameras[11]
    expected = method.render(method.encode(), camera, background=torch.zeros(3)).rgb
    assert (
        np.abs(read_image(done.path / "r_0.png") / 255 - expected.detach().numpy()).max() <= 0.5 / 255 + 1e-6
    )


@pytest.mark.parametrize(
    ("path", "layout", "told"),
    [("orbit", "forward-facing", 1), ("orbit", "360", 0), ("spiral", "forward-facing", 0)],
)
def test_an_orbit_around_what_was_seen_from_one_side_is_told(
    trained: Run, monkeypatch, caplog: pytest.LogCaptureFixture, path: str, layout: str, told: int
) -> None:
    caplog.set_level("INFO", logger="sightline")
    monkeypatch.setattr("sightline.workflows.render.capture_layout", lambda cameras: layout)
    render_run(trained, path=path, frames=2, size="8x8")
    assert caplog.text.count("--path spiral") == told


def test_pictures_are_never_written_among_the_users_own(trained: Run, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "0007.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"not empty.*photos"):
        render_run(trained, path="orbit", frames=2, out=photos)
    depth = tmp_path / "new_depth"
    shutil.copytree(photos, depth)
    with pytest.raises(InputError, match=r"not empty.*new_depth"):
        render_run(trained, path="orbit", frames=2, out=tmp_path / "new", depth=True)
    assert [path.read_bytes() for path in (*photos.iterdir(), *depth.iterdir())] == [b"mine", b"mine"]
    # Beside the run they are its own, and an earlier, longer rendering is replaced.
    for frames in (3, 2):
        done = render_run(trained, path="orbit", frames=frames, format="png")
        assert len(list(done.path.iterdir())) == frames


def test_best_weights_that_do_not_exist_are_told(trained: Run) -> None:
    with pytest.raises(InputError, match=r"no best weights.*Leave out --best"):
        render_run(trained, path="orbit", frames=2, best=True)


def test_transparent_frames_have_straight_colours(trained: Run) -> None:
    done = render_run(trained, path="orbit", frames=2, background="transparent")
    picture = read_image(done.path / "0000.png")
    assert picture.shape == (8, 8, 4)
    method = trained.load_method()
    camera = choose_cameras(trained.capture_info().as_capture(), "orbit", frames=2)[0]
    rendering = method.render(method.encode(), camera, background=torch.zeros(3))
    assert rendering.opacity is not None
    opaque = rendering.opacity.numpy() == 1
    assert np.array_equal(picture[..., 3] == 255, opaque)
    assert 0 < opaque.sum() < opaque.size
    expected = (rendering.rgb.detach().numpy() * 255).round()
    assert np.abs(picture[..., :3][opaque] - expected[opaque]).max() <= 1
    assert (picture[~opaque] == 0).all()


def test_depth_in_colour_is_written_beside(trained: Run) -> None:
    done = render_run(trained, path="orbit", frames=3, size="12x10", depth=True)
    assert done.depth == trained.path / "renders" / "orbit_depth.mp4"
    assert video_facts(done.depth) == ((12, 10), 30.0, 3)
    done = render_run(trained, path="test", depth=True)
    assert done.depth is not None
    depth = read_image(done.depth / "r_1.png")
    assert (depth == 128).all(-1).any(), "pixels without depth are grey"


def test_a_shorter_rendering_leaves_no_frames_of_a_longer_one(trained: Run) -> None:
    render_run(trained, path="orbit", frames=5, format="png")
    done = render_run(trained, path="orbit", frames=2, format="png")
    assert sorted(path.name for path in done.path.iterdir()) == ["0000.png", "0001.png"]


def test_sizes(trained: Run) -> None:
    cameras = trained.capture_info().cameras
    assert parse_size("800x600", cameras) == (800, 600)
    assert parse_size("400", cameras) == (400, None)
    upright = cameras.resized(40, 80)
    assert parse_size("400", upright) == (None, 400)
    for wrong in ("0", "4x", "x5", "big", "0x5"):
        with pytest.raises(InputError, match="--size"):
            parse_size(wrong, cameras)
    capture = trained.capture_info().as_capture()
    resized = choose_cameras(capture, "test", size="16")
    assert resized.width.tolist() == [16, 16]
    assert resized.fx[0] == pytest.approx(2 * capture.cameras.fx[11])
    orbit = choose_cameras(capture, "orbit", frames=7, size="20x10", elevation=30)
    assert (len(orbit), int(orbit.width[0]), int(orbit.height[0])) == (7, 20, 10)
    layout = trajectories.survey(capture.cameras[list(capture.splits["train"])])
    above = (orbit.centres - layout.focus) @ layout.up
    assert torch.allclose(above, torch.full_like(above, layout.distance * 0.5), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "zigzag"}, "no path 'zigzag'"),
        ({"path": "spiral", "elevation": 20.0}, "Only an orbit"),
        ({"background": "transparent", "format": "mp4"}, "cannot be transparent"),
        ({"background": "mauve-ish"}, "is not a colour"),
        ({"out": Path("x.avi")}, "do not go together"),
        ({"out": Path("x.mp4"), "format": "gif"}, "do not go together"),
        ({"data": Path("absent")}, "absent"),
    ],
)
def test_options_that_do_not_go_together_are_refused(trained: Run, options: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        render_run(trained, **{"frames": 2, **options})


def test_views_of_several_sizes_are_no_video(trained: Run, monkeypatch) -> None:
    record = trained.capture_info()
    widths = record.cameras.width.clone()
    widths[11] = 10
    cameras = replace(record.cameras, width=widths)
    monkeypatch.setattr(
        Run, "capture_info", lambda self: type(record)(**{**vars(record), "cameras": cameras})
    )
    with pytest.raises(InputError, match="2 sizes"):
        render_run(trained, path="test", format="mp4")


def test_a_writer_that_fails_is_heard(tmp_path: Path) -> None:
    def fail(frames) -> None:
        next(frames)
        raise InputError("the disk is full")

    writer = SideWriter(fail)
    writer.put(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(InputError, match="the disk is full"):
        writer.finish()
    writer.close()


def test_the_python_interface(trained: Run) -> None:
    run = load(trained.path, device="cpu")
    pictures = run.render(run.cameras("test"), background=(0, 0, 0))
    assert [tuple(picture.rgb.shape) for picture in pictures] == [(8, 8, 3)] * 2
    assert run.config.rays == 64
    assert run.capture.splits["test"] == (11, 12)
    with pytest.raises(InputError, match="not where it was"):
        run.evaluate()
