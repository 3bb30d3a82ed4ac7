"""Depth of renderings as numbers, disparity, and pictures that stand still while directions move."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.captures import Capture
from sightline.cli.main import main
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.media.colour import colour_depth
from sightline.media.depth import read_depth_bytes, read_depth_png
from sightline.media.images import read_image
from sightline.media.pfm import read_pfm
from sightline.methods.base import Rendering, Scene
from sightline.methods.pictures import PictureRenderer
from sightline.runs.run import Run
from sightline.training.session import TrainOrder, train_run
from sightline.training.settings import TrainSettings
from sightline.workflows.depth_maps import DepthPlan, colour_measured, measure, near_plane
from sightline.workflows.paths import choose_cameras
from sightline.workflows.render import render_run
from sightline.workflows.still import hold_camera
from small_method import Wave, WaveConfig


@pytest.fixture
def trained(make_run, data: Path) -> Run:
    run = make_run()
    train_run(TrainOrder(run.path, TrainSettings(steps=3, device="cpu", eval_every=0)))
    shutil.rmtree(data)
    return Run.open(run.path)


def wall(distance: float = 3.0) -> tuple[Rendering, Cameras]:
    """A wall across the optical axis, with a hole in the upper left corner."""
    camera = Cameras.create(torch.eye(4), fx=4.0, width=8, height=6)
    cosine = -camera.image_rays(0).directions[:, 2].view(6, 8)
    depth = distance / cosine
    opacity = torch.full((6, 8), 0.5)
    depth[0, 0], opacity[0, 0] = torch.nan, 0.0
    sums = torch.nan_to_num(depth) * opacity
    return Rendering(torch.zeros(6, 8, 3), depth=depth, opacity=opacity, depth_sum=sums), camera


def test_kinds_of_depth_on_a_wall():
    rendering, camera = wall()
    assert rendering.depth is not None
    flat = measure(rendering, camera, "z")
    assert np.isnan(flat[0, 0])
    assert flat.ravel()[1:] == pytest.approx(3, rel=1e-6)
    distance = measure(rendering, camera, "distance")
    corner = (3.0**2 * (1 + (3.5 / 4) ** 2 + (2.5 / 4) ** 2)) ** 0.5
    assert distance[5, 7] == pytest.approx(corner, rel=1e-6)
    assert measure(rendering, camera, "disparity")[5, 7] == pytest.approx(1 / corner, rel=1e-6)
    assert measure(rendering, camera, "sum")[5, 7] == pytest.approx(corner / 2, rel=1e-6)
    assert measure(rendering, camera, "sum")[0, 0] == 0
    device = measure(rendering, camera, "ndc", near=0.75)
    assert device[0, 0] == 1
    assert device.ravel()[1:] == pytest.approx(0.75, rel=1e-6)
    assert measure(rendering, camera, "ndc", near=5.0)[3, 3] == 0


def test_near_red_and_far_blue_for_every_kind():
    depth = np.array([[1.0, 2.0, 4.0, np.nan]])
    shown = colour_measured(depth, "distance", (1.0, 4.0))
    assert np.array_equal(shown, colour_depth(depth, (1.0, 4.0)))
    inverse = colour_measured(1 / depth, "disparity", (0.25, 1.0))
    assert np.array_equal(inverse[0, [0, 2, 3]], shown[0, [0, 2, 3]])
    assert inverse[0, 0, 0] > inverse[0, 0, 2], "near is red"


def test_the_near_plane(trained: Run):
    capture = trained.capture_info().as_capture()
    assert near_plane(capture, 2.0) == 1.5
    with pytest.raises(InputError, match="needs a near plane"):
        near_plane(capture, None)
    from dataclasses import replace

    bounded: Capture = replace(capture, near=np.full(len(capture), 4.0))
    assert near_plane(bounded, 2.0) == 3.0


def test_maps_of_every_frame_agree_with_the_rendering(trained: Run):
    formats = ("pfm", "png", "npy", "bytes")
    done = render_run(trained, path="orbit", frames=3, size="12x10", depth_files=formats, format="png")
    folder = trained.path / "renders" / "orbit_depth_maps"
    assert (done.depth_maps, done.depth) == (folder, None)
    stems = ["0000", "0001", "0002"]
    expected = {f"depth_{stem}.{suffix}" for stem in stems for suffix in formats} | {"depth.json"}
    assert {path.name for path in folder.iterdir()} == expected | {f"{stem}.png" for stem in stems}
    method = trained.load_method()
    cameras = choose_cameras(trained.capture_info().as_capture(), "orbit", frames=3, size="12x10")
    depths = [method.render(method.encode(), cameras[k]).depth for k in range(3)]
    frame = next(k for k, depth in enumerate(depths) if depth is not None and 0 < depth.isnan().sum() < 120)
    depth = depths[frame]
    assert depth is not None
    truth = depth.detach().numpy()
    assert np.array_equal(read_pfm(folder / f"depth_{frame:04d}.pfm"), truth, equal_nan=True)
    assert np.array_equal(np.load(folder / f"depth_{frame:04d}.npy"), truth, equal_nan=True)
    assert np.array_equal(read_depth_bytes(folder / f"depth_{frame:04d}.bytes", 12, 10), np.nan_to_num(truth))
    facts = json.loads((folder / "depth.json").read_text())
    steps = facts["png_steps_per_unit"]
    assert np.nanmax(np.abs(read_depth_png(folder / f"depth_{frame:04d}.png") - truth)) <= 0.51 / steps
    assert facts["kind"] == "distance"
    # The pair for mixed reality: the same picture beside the raw depth.
    assert np.array_equal(read_image(folder / f"{frame:04d}.png"), read_image(done.path / f"{frame:04d}.png"))


def test_scale_and_kind_are_as_asked(trained: Run, capsys):
    call = ["render", str(trained.path), "--path", "test", "--depth", "--depth-kind", "disparity"]
    assert main([*call, "--depth-files", "png", "npy", "--depth-scale", "5000"]) == 0
    printed = capsys.readouterr().out.split()
    renders = trained.path / "renders"
    assert printed == [str(renders / name) for name in ("test", "test_disparity", "test_disparity_maps")]
    maps = renders / "test_disparity_maps"
    assert json.loads((maps / "depth.json").read_text())["png_steps_per_unit"] == 5000
    values = np.load(maps / "depth_r_1.npy")
    steps = read_image(maps / "depth_r_1.png")
    known = np.isfinite(values)
    assert np.abs(steps[known] - 5000 * values[known]).max() <= 0.51
    assert (steps[~known] == 0).all()
    assert (read_image(renders / "test_disparity" / "r_1.png")[~known] == 128).all()


def test_device_depth_says_its_near_plane(trained: Run):
    done = render_run(trained, path="test", depth_files=("npy",), depth_kind="ndc")
    assert done.depth_maps is not None
    facts = json.loads((done.depth_maps / "depth.json").read_text())
    values = np.load(done.depth_maps / "depth_r_1.npy")
    assert facts["near"] > 0
    assert 0 <= values.min() < values.max() == 1


def test_maps_are_not_written_among_other_files(trained: Run, tmp_path: Path):
    (tmp_path / "a_depth_maps").mkdir()
    (tmp_path / "a_depth_maps" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"not empty.*a_depth_maps"):
        render_run(trained, path="orbit", frames=2, out=tmp_path / "a", depth_files=("pfm",))
    for scale in (0.0, float("nan")):
        with pytest.raises(InputError, match="--depth-scale"):
            DepthPlan(scale=scale)


class Mirror(Wave):
    """A method whose colours are the direction that they are seen from, and whose depth tells the camera."""

    name = "mirror"

    def render(self, scene, camera, *, background=None, chunk=None, directions_from=None) -> Rendering:
        seen = (directions_from or camera).forward[0].float()
        shape = int(camera.height[0]), int(camera.width[0])
        place = camera.centres[0].norm().float()
        return Rendering((0.5 + 0.5 * seen).expand(*shape, 3), depth=place.expand(shape))


def test_a_still_camera_sees_from_moving_directions():
    poses = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    poses[1, :3, :3] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    poses[:, 2, 3] = torch.tensor([1.0, 2, 3])
    cameras = Cameras.create(poses, fx=4.0, width=6, height=4)
    held = hold_camera(PictureRenderer(Mirror(WaveConfig()), Scene()), cameras[0])
    for index in range(3):
        found = held(cameras[index])
        assert found.depth is not None
        assert float(found.depth[0, 0]) == 1, "the first camera stays"
        expected = 0.5 + 0.5 * cameras.forward[index]
        assert found.rgb[0, 0].tolist() == pytest.approx(expected.tolist())
    assert held(cameras[2].resized(3, 2)).rgb.shape == (2, 3, 3)


def test_methods_that_cannot_hold_the_view_are_refused(trained: Run):
    with pytest.raises(InputError, match="method wave cannot hold the view"):
        render_run(trained, path="orbit", frames=2, still=True)
