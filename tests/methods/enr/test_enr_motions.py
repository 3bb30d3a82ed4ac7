"""Volumes of `enr` that are moved freely, from the method to `sightline render --motion`."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from enr_cases import SIDE, made_capture, small_config
from PIL import Image

from sightline.captures import Collection
from sightline.cli.main import main
from sightline.geometry import Cameras
from sightline.geometry.turning_volume import turntable_poses
from sightline.media.images import read_image
from sightline.methods.enr.method import Enr
from sightline.methods.enr.poses import free_motion
from sightline.methods.enr.scene import EnrScene
from sightline.runs.checkpoint import Checkpoint
from sightline.runs.record import DataSource, RunProgress, RunRecord
from sightline.runs.run import Run
from sightline.runs.settings import to_plain
from sightline.viewer.looks import Look, Settings
from sightline.viewer.passes import Pass
from sightline.workflows.api import load
from sightline.workflows.view import RunHost

MOTIONS = ("rotation", "translation", "rototranslation")


def made_method(motion: str = "rototranslation") -> Enr:
    torch.manual_seed(0)
    return Enr(small_config(motion=motion)).eval()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose network nobody trained, beside data of two objects."""
    method = made_method()
    data = tmp_path / "blocks"
    for number in range(2):
        capture = made_capture(number, 4, shifts=False)
        folder = data / f"object{number}"
        folder.mkdir(parents=True)
        angles = {f"{view:05d}": {"azimuth": 0.4 * view, "elevation": 0.1 * view} for view in range(4)}
        (folder / "render_params.json").write_text(json.dumps(angles))
        for view in range(4):
            Image.fromarray(capture.images[view]).save(folder / f"{view:05d}.png")
    (data / "sightline.json").write_text('{"angle_unit": "radians"}')
    folder = tmp_path / "run"
    record = RunRecord(
        "enr", to_plain(method.config), DataSource.describe(data, folder), state=method.state()
    )
    run = Run.create(folder, record)
    state = {name: value.detach() for name, value in method.state_dict().items()}
    checkpoint = Checkpoint("enr", 1, state)
    run.write_checkpoint(checkpoint, progress=RunProgress(step=1, fraction=1.0, finished=True))
    return run


def call(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("motion", MOTIONS)
def test_moved_scenes_show_the_free_motion_before_their_own_camera(motion: str):
    method = made_method(motion)
    capture = made_capture(1, 6)
    scene = method.encode(capture.view(2))
    draw = torch.Generator().manual_seed(3)
    azimuth, elevation = torch.rand(2, 4, generator=draw, dtype=torch.float64) * 2 - 1
    shift = torch.rand(4, 3, generator=draw, dtype=torch.float64) - 0.5
    expected = free_motion(azimuth, elevation, shift)
    moved = method.moved(scene, azimuth, elevation, shift)
    found = torch.cat([one.motions(capture.cameras[2]) for one in moved])
    assert torch.allclose(found.double(), expected, atol=1e-6)


def test_moved_scenes_show_what_cameras_there_see():
    """The source stands at azimuth and elevation 0, so that free motions are those of the turntable."""
    method = made_method()
    azimuth, elevation = torch.tensor([0.0, 0.7]).double(), torch.tensor([0.0, -0.3]).double()
    shift = torch.tensor([[0.0, 0.0, 0.0], [0.1, -0.2, 0.3]]).double()
    poses = turntable_poses(azimuth, elevation, shift, 2.0)
    cameras = Cameras.create(poses, 1.1 * SIDE, width=SIDE, height=SIDE)
    scene = method.encode(made_capture(1, 6).view(0))
    at_rest = method.moved(scene, azimuth[:1], elevation[:1], shift[:1])[0]
    still = cameras[0]
    source = replace(scene, turn=torch.eye(3)[None].double(), shift=torch.zeros(1, 3).double())
    (moved,) = method.moved(source, azimuth[1:], elevation[1:], shift[1:])
    assert torch.allclose(moved.motions(still), source.motions(cameras[1]), atol=1e-6)
    assert torch.equal(at_rest.turn, scene.turn)


def test_what_was_not_learnt_is_moved_with_a_warning(caplog):
    zero, some = torch.zeros(2).double(), torch.tensor([0.0, 0.5]).double()
    none = torch.zeros(2, 3).double()
    for motion, turn, shift, said in (
        ("rotation", some, none + 0.1, "learnt rotation only: the volume is moved by shifts"),
        ("translation", some, none, "learnt translation only: the volume is moved by turns"),
    ):
        caplog.clear()
        method = made_method(motion)
        method.moved(method.encode(made_capture(1, 6).view(0)), turn, zero, shift)
        assert caplog.text.count(said) == 1
    caplog.clear()
    method = made_method("rotation")
    method.moved(method.encode(made_capture(1, 6).view(0)), some, some, none)
    assert caplog.text == ""


def test_a_photo_is_moved_by_the_command(run: Run, tmp_path: Path, capsys):
    photo = tmp_path / "blocks" / "object1" / "00002.png"
    arguments = ["--frames", 4, "--device", "cpu", "--json"]
    ranges = "azimuth=0:360,elevation=-10~20,right=0.2,forward=0:0.5:0"
    out = tmp_path / "pictures"
    assert call("render", run.path, "--photo", photo, "--motion", ranges, "--out", out, *arguments) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 4
    method = run.load_method()
    views = method.views_of_photos([read_image(photo)])
    scene = method.encode(views)
    assert isinstance(scene, EnrScene)
    azimuth = torch.tensor([0, 0.5, 1, 1.5]).double() * math.pi
    elevation = torch.deg2rad(-10 + 30 * torch.sin(azimuth / 2).square())
    shift = torch.tensor([[-forward, 0, 0.2] for forward in (0, 0.25, 0.5, 0.25)]).double()
    expected = scene.pictures(free_motion(azimuth, elevation, shift)).numpy()
    frames = [read_image(path) for path in sorted(out.iterdir())]
    assert len(frames) == 4
    for frame, picture in zip(frames, expected, strict=True):
        assert np.abs(frame / 255 - picture).max() <= 0.5 / 255 + 1e-5
    assert not np.array_equal(frames[0], frames[2])


def test_an_object_is_moved_away_from_its_source(run: Run, tmp_path: Path, capsys):
    path = tmp_path / "swing.json"
    path.write_text(json.dumps({"azimuth": [0, 40], "up": 0.1, "frames": 3, "fps": 10}))
    shown = ["--object", "object0", "--split", "train", "--sources", 3, "--device", "cpu"]
    assert call("render", run.path, *shown, "--motion", path, "--size", 24, "--format", "gif") == 0
    gif = run.path / "renders" / "object0-swing.gif"
    assert capsys.readouterr().out.strip() == str(gif)
    with Image.open(gif) as image:
        assert (image.size, getattr(image, "n_frames", 1), image.info["duration"]) == ((24, 24), 3, 100)
    # A motion that stands still is one picture; without shifts and turns it is what the source camera sees.
    still = ["--motion", "azimuth=0", "--out", tmp_path / "still"]
    assert call("render", run.path, *shown, *still) == 0
    (picture,) = (tmp_path / "still").iterdir()
    method = run.load_method()
    data = run.open_data()
    assert isinstance(data, Collection)
    views = data["object0"].open().subset([3])
    rgb = method.render(method.encode(views), views.cameras).rgb.numpy()
    assert np.abs(read_image(picture) / 255 - rgb).max() <= 0.5 / 255 + 1e-5


def test_bad_motions_end_the_command(run: Run, tmp_path: Path, capsys):
    photo = ["--photo", tmp_path / "blocks" / "object1" / "00002.png", "--device", "cpu"]
    for motion, said in (("azimuth:90", "not written as NAME=VALUE"), ("up=3", "nothing is left to see")):
        assert call("render", run.path, *photo, "--motion", motion) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert call("render", run.path, *photo, "--motion", "azimuth=0:9", "--depth", "--frames", 2) == 2
    assert "gives no depth" in capsys.readouterr().err
    assert not list(run.path.glob("renders/*"))


def test_motions_from_python(run: Run, tmp_path: Path):
    photo = tmp_path / "blocks" / "object0" / "00001.png"
    seen = load(run.path, device="cpu").see(photos=[photo])
    pictures = seen.render_motion("azimuth=0:90", frames=3, size="20")
    assert [tuple(picture.rgb.shape) for picture in pictures] == [(20, 20, 3)] * 3
    moved = seen.loaded.method.moved(
        seen.scene, torch.tensor([math.pi / 2]).double(), torch.zeros(1).double(), torch.zeros(1, 3).double()
    )[0]
    expected = seen.loaded.method.render(moved, seen.views.cameras.resized(20, 20)).rgb
    assert torch.allclose(pictures[2].rgb, expected, atol=1e-6)


def test_the_viewer_shows_whole_squares_in_its_window(run: Run, tmp_path: Path):
    host = RunHost(run)
    assert len(host.stage.sources) == 1
    assert host.choices is not None
    assert host.choices.takes_photos
    painter = host.stage.painter()
    assert painter.modes == ("colour", "error")
    camera = host.stage.photos.cameras[2]
    look = Look(camera.c2w[0].numpy(), 0.8, 90, 60, Settings(background=(1.0, 0.0, 0.0)))
    one = Pass(90, 60, False, True)
    picture = painter.finish(look, one, [painter.paint(look, one, 0, 60)], 0.0)
    assert picture.pixels.shape == (60, 90, 3)
    assert (picture.pixels[:, :15] == (255, 0, 0)).all()
    assert (picture.pixels[:, 75:] == (255, 0, 0)).all()
    square = host.stage.method.render(host.stage.scene, camera.resized(60, 60)).rgb
    assert (picture.pixels[:, 15:75] == (square * 255).round().byte().numpy()).all()
    photo = host.choices.take("block.png", (tmp_path / "blocks" / "object1" / "00001.png").read_bytes())
    assert photo.name == "block"
    assert photo.export is None
