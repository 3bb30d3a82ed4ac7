"""Rays and frames against what the published programs compute."""

from pathlib import Path

import pytest
import torch
from nerf_golden import Golden, assert_within, config_of, load

from sightline.geometry import Cameras, Similarity
from sightline.geometry.ndc import ndc_rays
from sightline.geometry.rays import image_pixels
from sightline.methods.nerf.frame import Frame
from sightline.methods.nerf.rays import RayMaker

WORLD = Frame("bounded", Similarity.identity(), 2.0, 6.0, None, ((-1.0,) * 3, (1.0,) * 3))


def camera(golden: Golden, prefix: str = "") -> Cameras:
    return Cameras.create(
        golden[f"{prefix}c2w"].double(),
        fx=golden.number(f"{prefix}focal"),
        width=int(golden.number("W")),
        height=int(golden.number("H")),
    )


@pytest.mark.parametrize(("name", "preset"), [("nerf_pl_rays", "nerf_pl"), ("bmild_rays", "bmild")])
@pytest.mark.parametrize("prefix", ["", "ff_"])
def test_world_rays(shared: Path, name: str, preset: str, prefix: str) -> None:
    golden = load(shared, name)
    rays = RayMaker(camera(golden, prefix), config_of(preset), WORLD)(0, image_pixels(20, 16)).rays
    for array, value in (("rays_o", rays.origins), ("rays_d", rays.directions)):
        assert_within(value, golden[f"{prefix}{array}"], 1e-6)
        exact = f"{prefix}{array}_f64"
        if exact in golden:
            assert_within(value, golden[exact], 1e-7)
    if preset == "nerf_pl":
        local, _ = camera(golden).local_directions(0, image_pixels(20, 16).double())
        assert_within(local, golden["directions"], 1e-6)
    assert rays.view_directions is not None
    torch.testing.assert_close(rays.view_directions.norm(dim=-1), torch.ones(320, dtype=torch.float64))


@pytest.mark.parametrize(("name", "preset"), [("nerf_pl_rays", "nerf_pl"), ("bmild_rays", "bmild")])
def test_ndc_rays(shared: Path, name: str, preset: str) -> None:
    golden = load(shared, name)
    view = camera(golden, "ff_")
    scale = (float(2 * view.fx / view.width), float(2 * view.fy / view.height))
    frame = Frame("forward", Similarity.identity(), 0.0, 1.0, scale, WORLD.bounds)
    made = RayMaker(view, config_of(preset), frame)(0, image_pixels(20, 16))
    assert_within(made.rays.origins, golden["ndc_rays_o"], 1e-6)
    assert_within(made.rays.directions, golden["ndc_rays_d"], 1e-6)
    assert made.rays.view_directions is not None
    if preset == "nerf_pl":
        assert torch.equal(made.rays.view_directions, made.rays.directions)
    else:
        assert_within(made.rays.view_directions, made.directions.float(), 1e-6)
    assert bool((made.rays.near == 0).all())
    assert bool((made.rays.far == 1).all())


@pytest.mark.parametrize("system", ["nerf_pl", "bmild"])
def test_the_length_of_directions_does_not_matter_in_ndc(shared: Path, system: str) -> None:
    golden = load(shared, f"{system}_rays")
    view = camera(golden, "ff_")
    scale = (float(2 * view.fx / view.width), float(2 * view.fy / view.height))
    origins, directions = golden["ff_rays_o"].double(), golden["ff_rays_d"].double()
    one, other = (ndc_rays(origins, factor * directions, scale) for factor in (1.0, 7.5))
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)
