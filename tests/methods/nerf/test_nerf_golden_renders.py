"""Whole renders, sampling and compositing against what the published programs compute.

In float64, from the same float32 inputs, they agree to 1e-6 everywhere; in float32 the fine samples amplify
rounding, and the tolerances are those that come with the numbers.
"""

from pathlib import Path

import pytest
import torch
from nerf_golden import (
    Golden,
    assert_rendered,
    assert_within,
    config_of,
    golden_networks,
    load,
    noise_floor,
)
from torch import Tensor

from sightline.geometry import Cameras, Similarity
from sightline.geometry.rays import image_pixels
from sightline.methods.nerf.config import NerfConfig
from sightline.methods.nerf.frame import Frame
from sightline.methods.nerf.rays import RayMaker
from sightline.methods.nerf.tracing import Chance, NerfRays, Traced, Tracer, over
from sightline.rendering.quadrature import disparity

DTYPES = {"float64": torch.float64, "float32": torch.float32}
# Rays are independent: of the exact and slow renders every third one is made.
EVERY = {"float64": 3, "float32": 1}
PL_CASES = [
    ("nerf_pl_render_white", "nerf_pl", {}),
    ("nerf_pl_render_black", "nerf_pl", {}),
    ("nerf_pl_render_disp", "nerf_pl", {"disparity": True}),
    ("nerf_pl_render_ndc", "nerf_pl", {}),
    ("nerf_pl_dev_render_white", "nerf_pl_dev", {}),
    ("nerf_pl_dev_render_ndc", "nerf_pl_dev", {}),
]
BMILD_CASES = [
    ("bmild_render_blender_white", {}),
    ("bmild_render_blender_black", {}),
    ("bmild_render_lindisp", {"disparity": True}),
    ("bmild_render_ndc", {}),
]
FLAX_CASES = [
    ("flax_render_blender_white", {}),
    ("flax_render_blender_black", {}),
    ("flax_render_llff_lindisp", {"disparity": True}),
    ("flax_render_llff_ndc", {}),
]


def trace(
    system: str,
    golden: Golden,
    config: NerfConfig,
    rays: NerfRays,
    dtype: torch.dtype,
    every: int = 1,
    **options: object,
) -> Traced:
    networks = golden_networks(system, golden, config).to(dtype)
    with torch.no_grad():
        return Tracer(config, networks)(rays[slice(None, None, every)].to(dtype), **options)


def white_behind(traced: Traced, white: bool) -> Tensor | None:
    return torch.ones_like(traced.coarse.seen.colour) if white else None


def compare(shared: Path, golden: Golden, name: str, found: dict[str, Tensor], suffix: str, span: float):
    """Compare arrays by name; coarse ones and those of float64 tightly."""
    floor = noise_floor(shared)
    for array, value in found.items():
        expected = golden[f"{array}{suffix}"].reshape(-1, *value.shape[1:])
        if len(value) < len(expected):
            expected = expected[:: EVERY["float64"]]
        coarse = array.endswith(("coarse", "0"))
        scale = span if "depth" in array else 1.0
        if suffix:
            assert_within(value, expected, 1e-6, array)
        elif coarse:
            # Inverse depth near the camera magnifies: 4.2e-4 in the originals themselves.
            limit = max(2e-4, 3 * floor[name, array][0] if "disp" in array else 0.0)
            assert_within(value, expected, limit * max(1.0, scale), array)
        else:
            _, percentile, mean = floor[name, array]
            assert_rendered(value, expected, percentile, mean, scale, array)


def pl_rays(golden: Golden) -> NerfRays:
    rays = golden["rays"]
    return NerfRays(rays[:, :3], rays[:, 3:6], rays[:, 3:6], rays[:, 6], rays[:, 7])


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize(("name", "preset", "changes"), PL_CASES)
def test_nerf_pl(shared: Path, name: str, preset: str, changes: dict, dtype: str) -> None:
    golden = load(shared, name)
    traced = trace(
        "nerf_pl", golden, config_of(preset, **changes), pl_rays(golden), DTYPES[dtype], EVERY[dtype]
    )
    behind = white_behind(traced, golden.switches["white_back"])
    assert traced.fine is not None
    found = {}
    for which, part in (("coarse", traced.coarse), ("fine", traced.fine)):
        found[f"full_rgb_{which}"] = over(part.seen, behind)
        found[f"full_depth_{which}"] = part.seen.depth_sum
        found[f"full_opacity_{which}"] = part.seen.opacity
    suffix = "_f64" if dtype == "float64" else ""
    compare(shared, golden, name, found, suffix, float(golden["rays"][0, 7] - golden["rays"][0, 6]))


def test_nerf_pl_dev_samples(shared: Path) -> None:
    golden = load(shared, "nerf_pl_dev_render_white")
    traced = trace("nerf_pl", golden, config_of("nerf_pl_dev"), pl_rays(golden), torch.float32)
    assert traced.fine is not None
    assert_within(traced.coarse.t, golden["full_z_vals_coarse"], 1e-5)
    assert_within(traced.coarse.seen.weights, golden["full_weights_coarse"], 2e-4)
    assert_rendered(traced.fine.t, golden["full_z_vals_fine"], 0.0, 0.0)
    assert_rendered(traced.fine.seen.weights, golden["full_weights_fine"], 0.0, 0.0)


def test_nerf_pl_without_coarse_colours(shared: Path) -> None:
    golden = load(shared, "nerf_pl_render_white")
    config = config_of("nerf_pl")
    traced = trace("nerf_pl", golden, config, pl_rays(golden), torch.float64, coarse_colours=False)
    assert traced.fine is not None
    behind = white_behind(traced, True)
    # Fine results are those of a call with coarse colours, which are there in float64.
    assert_within(over(traced.fine.seen, behind), golden["full_rgb_fine_f64"], 1e-6)
    assert_within(traced.fine.seen.depth_sum, golden["full_depth_fine_f64"], 1e-6)
    assert_within(traced.coarse.seen.opacity, golden["test_opacity_coarse"].double(), 2e-4)
    assert_rendered(over(traced.fine.seen, behind), golden["test_rgb_fine"], 0.0, 0.0)
    assert bool((traced.coarse.seen.colour == 0).all())


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_nerf_pl_with_given_chance(shared: Path, dtype: str) -> None:
    golden = load(shared, "nerf_pl_render_random")
    config = config_of("nerf_pl", perturb=golden.switches["perturb"])
    kind = DTYPES[dtype]
    chance = Chance(*(golden[name].to(kind) for name in ("t_rand", "u", "noise_coarse", "noise_fine")))
    networks = golden_networks("nerf_pl", golden, config).to(kind)
    with torch.no_grad():
        traced = Tracer(config, networks, noise=1.0)(pl_rays(golden).to(kind), chance)
    behind = white_behind(traced, True)
    assert traced.fine is not None
    found = {}
    for which, part in (("coarse", traced.coarse), ("fine", traced.fine)):
        found[f"full_rgb_{which}"] = over(part.seen, behind)
        found[f"full_depth_{which}"] = part.seen.depth_sum
        found[f"full_opacity_{which}"] = part.seen.opacity
    compare(shared, golden, "nerf_pl_render_random", found, "_f64" if dtype == "float64" else "", 4.0)


def camera_of(golden: Golden, pose: str = "c2w") -> Cameras:
    matrix = golden["K"]
    return Cameras.create(
        golden[pose].double(),
        fx=float(matrix[0, 0]),
        fy=float(matrix[1, 1]),
        width=int(golden.number("W")),
        height=int(golden.number("H")),
    )


def frame_of(golden: Golden, camera: Cameras, ndc: bool) -> Frame:
    """The frame that the golden cases are in."""
    scale = (float(2 * camera.fx / camera.width), float(2 * camera.fy / camera.height)) if ndc else None
    near, far = (0.0, 1.0) if ndc else (golden.number("near"), golden.number("far"))
    box = ((-1.0,) * 3, (1.0,) * 3)
    return Frame("forward" if ndc else "bounded", Similarity.identity(), near, far, scale, box)


def bmild_found(golden: Golden, traced: Traced, white: bool) -> dict[str, Tensor]:
    behind = white_behind(traced, white)
    assert traced.fine is not None
    assert traced.added is not None
    found = {"z_std": traced.added.std(-1, correction=0)}
    for end, part in (("0", traced.coarse), ("", traced.fine)):
        found[f"rgb{end}"] = over(part.seen, behind)
        found[f"acc{end}"] = part.seen.opacity
        found[f"disp{end}"] = disparity(part.seen.depth_sum, part.seen.opacity)
    return found


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize(("name", "changes"), BMILD_CASES)
def test_bmild(shared: Path, name: str, changes: dict, dtype: str) -> None:
    golden = load(shared, name)
    config, camera = config_of("bmild", **changes), camera_of(golden)
    maker = RayMaker(camera, config, frame_of(golden, camera, golden.switches["ndc"]))
    rays = maker(0, image_pixels(20, 16)).rays
    traced = trace("bmild", golden, config, rays, DTYPES[dtype], EVERY[dtype])
    found = bmild_found(golden, traced, golden.switches["white_bkgd"])
    suffix = "_f64" if dtype == "float64" else ""
    compare(shared, golden, name, found, suffix, golden.number("far") - golden.number("near"))


def test_bmild_with_the_directions_of_another_camera(shared: Path) -> None:
    golden = load(shared, "bmild_render_staticcam")
    config, camera = config_of("bmild"), camera_of(golden, "c2w_for_rays")
    maker = RayMaker(camera, config, frame_of(golden, camera, False))
    other = camera_of(golden, "c2w_for_view_direction")
    traced = trace("bmild", golden, config, maker(0, image_pixels(20, 16), other).rays, torch.float32)
    found = bmild_found(golden, traced, True)
    for array in ("rgb", "acc", "disp"):
        assert_rendered(found[array], golden[array], 1e-3, 1e-4, 1.0, array)
    # The directions matter: with the camera's own ones the colours differ by more than the tolerance.
    own = bmild_found(
        golden, trace("bmild", golden, config, maker(0, image_pixels(20, 16)).rays, torch.float32), True
    )
    assert float((own["rgb"].view(16, 20, 3) - golden["rgb"]).abs().mean()) > 5e-3


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize(("name", "changes"), FLAX_CASES)
def test_flax(shared: Path, name: str, changes: dict, dtype: str) -> None:
    golden = load(shared, name)
    rays = golden["rays"].reshape(-1, 9)
    near, far = (torch.full((len(rays),), golden.number(end)) for end in ("near", "far"))
    traced = trace(
        "flax",
        golden,
        config_of("flax_nerf", **changes),
        NerfRays(rays[:, :3], rays[:, 3:6], rays[:, 6:], near, far),
        DTYPES[dtype],
        EVERY[dtype],
    )
    behind = white_behind(traced, golden.switches["white_bkgd"])
    assert traced.fine is not None
    assert traced.added is not None
    found = {"z_std": traced.added.std(-1, correction=0)}
    for which, part in (("coarse", traced.coarse), ("fine", traced.fine)):
        found[f"rgb_{which}"] = over(part.seen, behind)
        found[f"acc_{which}"] = part.seen.opacity
        found[f"depth_{which}"] = part.seen.depth_sum
        found[f"disp_{which}"] = disparity(part.seen.depth_sum, part.seen.opacity, "clip")
    span = golden.number("far") - golden.number("near")
    compare(shared, golden, name, found, "_f64" if dtype == "float64" else "", span)


NARROW = [
    ("nerf_pl", "nerf_pl", {}),
    ("yen", "bmild", {}),
    ("bmild", "bmild", {"feature_width": 256}),
    ("flax", "flax_nerf", {}),
]


@pytest.mark.parametrize(("name", "preset", "changes"), NARROW)
def test_narrow_networks(shared: Path, name: str, preset: str, changes: dict) -> None:
    golden = load(shared, f"ckpt/{name}_expected")
    config = config_of(preset, width=32, coarse_samples=16, fine_samples=16, **changes)
    system = {"yen": "bmild", "bmild": "list"}.get(name, name)
    for which, network in golden_networks(system, golden, config).items():
        with torch.no_grad():
            density, colour = network(golden["xyz"], golden["dirs"])
        pl = name == "nerf_pl"
        found = torch.cat([torch.sigmoid(colour) if pl else colour, density], -1)
        assert_within(found, golden[f"rgbsigma_{which}" if pl else f"raw_{which}"], 2e-5, which)
    if "rays" in golden:
        rays = golden["rays"].reshape(-1, golden["rays"].shape[-1])
        views = rays[:, 6:9] if name == "flax" else rays[:, 3:6]
        near, far = (torch.full((80,), end) for end in (2.0, 6.0))
        made = NerfRays(rays[:, :3], rays[:, 3:6], views, near, far)
    else:
        camera = camera_of(golden)
        made = RayMaker(camera, config, frame_of(golden, camera, False))(0, image_pixels(10, 8)).rays
    traced = trace(system, golden, config, made, torch.float32)
    assert traced.fine is not None
    behind = white_behind(traced, True)
    names = {"nerf_pl": ("full_rgb_coarse", "full_rgb_fine"), "flax": ("rgb_coarse", "rgb_fine")}
    coarse, fine = names.get(name, ("rgb0", "rgb"))
    assert_within(over(traced.coarse.seen, behind), golden[coarse], 2e-4)
    error = (over(traced.fine.seen, behind) - golden[fine].reshape(80, 3)).abs()
    # A ray whose last bin is almost empty ends where rounding has it: one of these 80.
    assert float(error.amax(-1).sort().values[-2]) < 1e-2
    assert float(error.mean()) < 1e-3
