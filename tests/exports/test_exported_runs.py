"""Exports of real runs of `ngp` and `nerf` through the commands, on a ball that they learn in seconds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from export_cases import CENTRE, RADIUS, Ball, cameras_around, normal_colours, photos_of
from safetensors import safe_open

from sightline.captures import write_capture
from sightline.cli.main import main
from sightline.foundation.errors import InputError
from sightline.media.images import read_image
from sightline.runs.portable import PortableRun
from sightline.runs.run import Run
from sightline.workflows.api import load
from sightline.workflows.export import export_run

# Big enough to see a ball, small enough to learn it in seconds.
SETTINGS = {
    "ngp": "--steps 500 --levels 6 --log2-entries 13 --finest 128 --hidden 32 --grid 48 --bins-per-box 64"
    " --batch-samples 16384 --refresh-cells 8192",
    "nerf": "--preset bmild --steps 300 --depth 3 --width 48 --skip-layers 2 --coarse-samples 24"
    " --fine-samples 24 --rays 256 --learning-rate 5e-3 --initialisation torch --one-image never"
    " --precrop-steps 0 --position-frequencies 5 --direction-frequencies 2",
}
# nerf of 300 steps is a blurred ball.
TOLERANCE = {"ngp": 0.1, "nerf": 0.25}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "ball"
    write_capture(photos_of(Ball(), cameras_around(24, 40)), folder, "blender")
    return folder


@pytest.fixture(scope="module", params=["ngp", "nerf"])
def trained(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp(request.param) / request.param
    call = ["train", request.param, str(data), "--out", str(out), "--device", "cpu", "--eval-every", "0"]
    assert main([*call, *SETTINGS[request.param].split()]) == 0
    return out


def export(run: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> dict:
    capsys.readouterr()
    assert main(["export", str(run), *arguments, "--json", "--device", "cpu"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("colours", ["field", "photos"])
def test_meshes(trained: Path, colours: str, capsys):
    made = export(trained, "mesh", "--resolution", "48", "--colours", colours, capsys=capsys)
    mesh = trimesh.load(made["paths"][0], process=False)
    assert mesh.is_watertight
    assert all(part.volume > 0 for part in mesh.split(only_watertight=False))
    rough = TOLERANCE[trained.name]
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=3 * rough)
    largest = max(mesh.split(only_watertight=False), key=lambda part: part.area)
    offset = np.asarray(largest.vertices) - CENTRE.numpy()
    assert np.abs(np.median(np.linalg.norm(offset, axis=-1)) - RADIUS) < rough * RADIUS
    assert np.linalg.norm(largest.center_mass - CENTRE.numpy()) < rough * RADIUS
    expected = normal_colours(torch.from_numpy(np.asarray(largest.vertices))).numpy()
    assert np.median(np.abs(largest.visual.vertex_colors[:, :3] / 255 - expected)) < 0.1


def test_textured_meshes(trained: Path, tmp_path: Path, capsys):
    flags = ["--resolution", "40", "--texture", "--texture-size", "128", "--faces", "600"]
    made = export(trained, "mesh", *flags, "--out", str(tmp_path / "a.glb"), capsys=capsys)
    assert made["faces"] <= 600
    mesh = trimesh.load(tmp_path / "a.glb", process=False, force="mesh")
    assert np.asarray(mesh.visual.material.baseColorTexture).std() > 10


def test_points(trained: Path, capsys):
    made = export(trained, "points", "--count", "800", capsys=capsys)
    points = np.asarray(trimesh.load(made["paths"][0]).vertices)
    assert len(points) == made["points"] > 200
    distance = np.linalg.norm(points - CENTRE.numpy(), axis=-1)
    assert np.abs(np.median(distance) - RADIUS) < TOLERANCE[trained.name] * RADIUS


@pytest.mark.parametrize("format", ["npz", "vol"])
def test_volumes(trained: Path, format: str, capsys):
    made = export(trained, "volume", "--resolution", "24", "--format", format, capsys=capsys)
    assert Path(made["paths"][0]).stat().st_size > 1000
    assert made["view"] == ("zero" if (trained.name, format) == ("nerf", "vol") else "inward")
    if format == "npz":
        with np.load(made["paths"][0]) as file:
            alpha = file["rgba"][..., 3].astype(float)
            index = np.stack(np.meshgrid(*map(np.arange, alpha.shape), indexing="ij"), -1)
            middle = np.average(index.reshape(-1, 3), axis=0, weights=alpha.ravel() ** 2)
            middle = middle * file["spacing"] + file["low"]
        assert np.linalg.norm(middle - CENTRE.numpy()) < 0.3 * RADIUS


def test_a_portable_scene_renders_the_same_without_run_and_photos(trained: Path, tmp_path: Path, capsys):
    moved = shutil.copytree(trained, tmp_path / "gone" / trained.name)
    made = export(moved, "weights", "--out", str(tmp_path / "ball.sightline"), capsys=capsys)
    assert main(["render", str(trained), "--path", "test", "--out", str(tmp_path / "of_run")]) == 2
    call = ["--path", "orbit", "--frames", "2", "--size", "24", "--format", "png", "--depth"]
    assert main(["render", str(trained), *call, "--out", str(tmp_path / "of_run")]) == 0
    shutil.rmtree(tmp_path / "gone")
    assert main(["render", str(tmp_path / "ball.sightline"), *call]) == 0
    for folder in ("orbit", "orbit_depth"):
        other = "of_run" if folder == "orbit" else "of_run_depth"
        for name in ("0000.png", "0001.png"):
            of_file = read_image(tmp_path / "ball" / "renders" / folder / name)
            assert np.array_equal(of_file, read_image(tmp_path / other / name))
    assert made["bytes"] == (tmp_path / "ball.sightline").stat().st_size
    with safe_open(tmp_path / "ball.sightline", framework="pt") as file:
        metadata = file.metadata()
    assert str(tmp_path) not in "".join(metadata.values())
    capsys.readouterr()
    assert main(["export", str(tmp_path / "ball.sightline"), "mesh", "--resolution", "24"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "ball" / "exports" / "mesh.ply")
    assert main(["export", str(tmp_path / "ball.sightline"), "mesh", "--colours", "photos"]) == 2
    assert "no photos" in capsys.readouterr().err


def test_half_precision_halves_the_file_and_hardly_changes_pictures(trained: Path, tmp_path: Path, capsys):
    whole = export(trained, "weights", "--out", str(tmp_path / "whole.sightline"), capsys=capsys)
    half = export(trained, "weights", "--half", "--out", str(tmp_path / "half.sightline"), capsys=capsys)
    assert half["bytes"] < 0.75 * whole["bytes"]
    pictures = []
    for name in ("whole", "half"):
        run = load(tmp_path / f"{name}.sightline", device="cpu")
        pictures.append(run.render(run.cameras("orbit", frames=1, size="24"))[0].rgb)
    assert 0 < float((pictures[0] - pictures[1]).abs().mean()) < 0.01


def test_the_python_interface(trained: Path, tmp_path: Path):
    result = load(trained, device="cpu").export("mesh", resolution=24, out=tmp_path / "a.obj")
    assert result.path == tmp_path / "a.obj"
    assert result.path.stat().st_size > 1000
    with pytest.raises(InputError, match=r"'resolutoin'.*did you mean 'resolution'"):
        export_run(trained, "mesh", {"resolutoin": 3})
    with pytest.raises(InputError, match="no export 'mash'"):
        export_run(trained, "mash")


def test_portable_scenes_are_told_from_other_files(trained: Path, tmp_path: Path):
    with pytest.raises(InputError, match="neither settings nor cameras"):
        Run.open(trained / "weights.safetensors")
    (tmp_path / "text.sightline").write_text("hello")
    with pytest.raises(InputError, match="neither a run folder nor a portable scene"):
        Run.open(tmp_path / "text.sightline")
    export_run(trained, "weights", out=tmp_path / "ball.sightline")
    run = Run.open(tmp_path / "ball.sightline")
    assert isinstance(run, PortableRun)
    with pytest.raises(InputError, match="one set of weights"):
        run.load_method(best=True)
    with pytest.raises(InputError, match="is not changed"):
        run.update(seed=3)
    cut = (tmp_path / "ball.sightline").read_bytes()[:-100]
    (tmp_path / "ball.sightline").write_bytes(cut)
    with pytest.raises(InputError, match="neither a run folder"):
        Run.open(tmp_path / "ball.sightline")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mesh", "--threshold", "1e9"], r"largest density found is"),
        (["mesh", "--threshold", "nan"], "finite"),
        (["mesh", "--resolution", "100000"], "GiB are free"),
        (["nothing"], "no export 'nothing'"),
        (["mesh", "--out", "."], "is a folder"),
    ],
)
def test_bad_calls(trained: Path, arguments: list[str], said: str, capsys):
    small = [] if "--resolution" in arguments else ["--resolution", "16"]
    assert main(["export", str(trained), *arguments, *(small if arguments[0] == "mesh" else [])]) == 2
    assert said in capsys.readouterr().err


def test_help_lists_exports_and_flags(capsys):
    assert main(["export"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("mesh", "points", "volume", "weights"))
    assert main(["export", "somewhere"]) == 2
    with pytest.raises(SystemExit) as end:
        main(["export", "run", "mesh", "--help"])
    assert end.value.code == 0
    assert "--texture-size" in capsys.readouterr().out
