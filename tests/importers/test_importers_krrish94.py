"""Trained weights that are published: imported, they give the published pictures and figures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.captures import open_capture
from sightline.cli.main import main
from sightline.methods.nerf.method import Nerf
from sightline.methods.nerf.rays import RayMaker
from sightline.methods.nerf.tracing import over
from sightline.runs.run import Run
from sightline.workflows.importing import import_checkpoint

PUBLISHED_PSNR = 27.29
RAYS = 1600


@pytest.fixture
def lego(shared: Path, tmp_path: Path) -> Run:
    file = shared / "data" / "weights" / "krrish94" / "lego-lowres" / "checkpoint199999.ckpt"
    data = shared / "data" / "nerf_synthetic_lego_400"
    for path in (file, data):
        if not path.exists():
            pytest.skip(f"no trained weights or data at {path}")
    return import_checkpoint([file], tmp_path / "lego", data=data)


def golden_picture(shared: Path) -> np.ndarray:
    return np.asarray(Image.open(shared / "golden" / "nerf" / "krrish94_lego_view0_400.png").convert("RGB"))


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((first.astype(np.float64) - second) ** 2)))


def test_what_is_taken_from_where(lego: Run) -> None:
    assert lego.record.progress.step == 199999
    assert lego.record.source["imported"] == "krrish94"
    origins = lego.record.source["settings"]
    assert (origins["file"]["depth"], origins["file"]["width"]) == (4, 128)
    assert (origins["file"]["position_frequencies"], origins["file"]["feature_width"]) == (10, None)
    assert (origins["preset"]["coarse_samples"], origins["preset"]["fine_samples"]) == (64, 64)
    assert origins["data"] == {"scene": "bounded", "near": 2.0, "far": 6.0, "background": "white"}
    assert lego.record.data.locate(lego.path).name == "nerf_synthetic_lego_400"


def test_rays_of_the_picture_at_400_pixels(shared: Path, lego: Run) -> None:
    """Every hundredth pixel: as bright as in the published render, as near to the photo."""
    method = lego.load_method()
    assert isinstance(method, Nerf)
    capture = open_capture(lego.record.data.locate(lego.path))
    view = capture.splits["test"][0]
    chosen = torch.randperm(400 * 400, generator=torch.Generator().manual_seed(0))[:RAYS]
    pixels = torch.stack([chosen % 400, chosen // 400], -1)
    rays = RayMaker(capture.cameras[view], method.config, method.frame)(0, pixels).rays.to(torch.float32)
    with torch.no_grad():
        fine = method.tracer(rays, coarse_colours=False).best.seen
    found = over(fine, torch.ones(RAYS, 3)).clamp(0, 1).numpy()
    golden = golden_picture(shared).reshape(-1, 3)[chosen] / 255
    assert np.abs(found - golden).mean() < 2e-3
    photo = capture.images[view].reshape(-1, 4)[chosen] / 255
    photo = photo[:, :3] * photo[:, 3:] + 1 - photo[:, 3:]
    assert psnr(found, photo) == pytest.approx(psnr(golden, photo), abs=0.05)


@pytest.mark.slow
def test_the_whole_picture_at_400_pixels(shared: Path, lego: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(lego.path), "--every", "25", "--json", "-", "--device", "cpu"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["psnr"] == pytest.approx(PUBLISHED_PSNR, abs=0.05)
    (file,) = (lego.path / "eval" / "test-every-25" / "images").glob("*.png")
    found = np.asarray(Image.open(file).convert("RGB")) / 255
    assert np.abs(found - golden_picture(shared) / 255).mean() < 2e-3


def test_fern_has_fewer_frequencies_and_needs_its_cameras(shared: Path, tmp_path: Path) -> None:
    file = shared / "data" / "weights" / "krrish94" / "fern-lowres" / "checkpoint249999.ckpt"
    data = shared / "data" / "llff_fern_504"
    if not file.is_file() or not data.is_dir():
        pytest.skip("no trained weights of fern, or not its data")
    run = import_checkpoint([file], tmp_path / "fern", data=data / "poses_bounds.npy")
    assert run.config.position_frequencies == 6
    frame = run.record.state["frame"]
    assert (frame["kind"], frame["near"], frame["far"]) == ("forward", 0.0, 1.0)
    assert run.record.state["background"] == "nothing"
    assert run.record.data.split_rule == "bmild"
