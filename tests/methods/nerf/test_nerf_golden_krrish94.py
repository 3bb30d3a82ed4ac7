"""Trained weights that are published, rendered: the pictures and their PSNR."""

import hashlib
from pathlib import Path

import pytest
import torch
from nerf_golden import Golden, config_of, load
from torch import Tensor

from sightline.geometry import Cameras, Similarity
from sightline.methods.base import Rendering
from sightline.methods.nerf.frame import Frame
from sightline.methods.nerf.method import Nerf
from sightline.methods.nerf.network import build_networks

NAMES = {
    "layer1": "trunk.0",
    "layers_xyz.0": "trunk.1",
    "layers_xyz.1": "trunk.2",
    "layers_xyz.2": "trunk.3",
    "fc_feat": "feature",
    "fc_alpha": "density",
    "layers_dir.0": "view",
    "fc_rgb": "colour",
}
FRAME = Frame("bounded", Similarity.identity(), 2.0, 6.0, None, ((-1.5,) * 3, (1.5,) * 3))


def make_method(shared: Path, golden: Golden) -> Nerf:
    path = shared / "data" / "weights" / "krrish94" / "lego-lowres" / "checkpoint199999.ckpt"
    if not path.is_file():
        pytest.skip(f"no trained weights at {path}")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == golden.switches["sha256"]
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    method = Nerf(config_of("krrish94"))
    for which, network in method.networks.items():
        source = checkpoint[f"model_{which}_state_dict"]
        renamed = {}
        for name, value in source.items():
            layer, _, kind = name.rpartition(".")
            renamed[f"{NAMES[layer]}.{kind}"] = value
        network.load_state_dict(renamed)
    method.restore({"frame": FRAME.to_json(), "background": "white"})
    return method.eval()


def render(method: Nerf, golden: Golden, size: int) -> tuple[Rendering, Tensor]:
    camera = Cameras.create(
        golden["c2w"].double(), fx=golden.number(f"focal_{size}"), width=size, height=size
    )
    fine = method.render(method.encode(), camera)
    coarse = Nerf(config_of("krrish94", fine_samples=0))
    coarse.networks["coarse"].load_state_dict(method.networks["coarse"].state_dict())
    coarse.restore(method.state())
    return fine, coarse.render(coarse.encode(), camera).rgb


def psnr(picture: Tensor, truth: Tensor) -> float:
    return float(-10 * torch.log10((picture.double() - truth.double()).square().mean()))


@pytest.mark.parametrize("size", [64, pytest.param(80, marks=pytest.mark.slow)])
def test_trained_lego(shared: Path, size: int) -> None:
    golden = load(shared, "krrish94_lego")
    method = make_method(shared, golden)
    rendering, coarse = render(method, golden, size)
    assert rendering.opacity is not None
    assert rendering.depth is not None
    for found, name in ((rendering.rgb, "rgb"), (coarse, "rgb0"), (rendering.opacity, "acc")):
        expected = golden[f"{name}_{size}"].clamp(0, 1)
        assert float((found - expected).abs().mean()) < 2e-3, name
    photo = golden[f"photo_{size}"]
    assert psnr(rendering.rgb, photo) == pytest.approx(golden.switches[f"psnr_fine_{size}"], abs=0.05)
    assert psnr(coarse, photo) == pytest.approx(golden.switches[f"psnr_coarse_{size}"], abs=0.05)
    # Distances along rays, where the original has depths along the axis: 1 / disparity.
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    plane = torch.stack([columns - size / 2, rows - size / 2], -1) / golden.number(f"focal_{size}")
    expected = (1 + plane.square().sum(-1)).sqrt() / golden[f"disp_{size}"]
    solid = golden[f"acc_{size}"] > 0.5
    assert float((rendering.depth - expected)[solid].abs().mean()) < 2e-3 * 4


def test_networks_are_of_the_published_shape() -> None:
    network = build_networks(config_of("krrish94"))["fine"]
    assert sum(p.numel() for p in network.parameters()) == sum(
        (i + 1) * o for i, o in [(63, 128), *[(128, 128)] * 4, (128, 1), (155, 64), (64, 3)]
    )
