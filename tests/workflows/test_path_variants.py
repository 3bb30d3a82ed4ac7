"""The paths of published systems, from a capture's own poses and bounds."""

import numpy as np
import pytest
import torch

from sightline.captures import open_capture
from sightline.foundation.errors import InputError
from sightline.geometry import published_paths, transform_poses
from sightline.geometry.treatments import depth_range, recentre_and_scale, spherify
from sightline.workflows.paths import VARIANTS, choose_cameras


@pytest.fixture(scope="module")
def fern(shared):
    return open_capture(shared / "data" / "llff_fern_504", downscale=8)


@pytest.mark.parametrize(
    ("path", "variant", "key", "frames"),
    [
        ("spiral", "nerf_pl", "nerf_pl__spiral_poses", 120),
        ("spiral", "flax_nerf", "flax__spiral_poses", 120),
        ("spiral", "bmild", "bmild__spiral_poses", 120),
        ("spiral", "bmild-zflat", "bmild__spiral_zflat_poses", 60),
        ("circle", "nerf_pl", "nerf_pl__spheric_poses", 120),
        ("circle", "bmild", "bmild__spherify_path", 120),
    ],
)
def test_fern(fern, shared, path, variant, key, frames):
    with np.load(shared / "golden" / "nerf" / "llff_fern.npz") as data:
        golden = data[key][:, :, :4]
    cameras = choose_cameras(fern, path, variant=variant, frames=frames)
    bounds = torch.from_numpy(fern.near), torch.from_numpy(fern.far)
    treat = spherify if key == "bmild__spherify_path" else recentre_and_scale
    similarity = treat(fern.cameras.c2w, *bounds).similarity
    # Cameras are in the frame of the data; in that of the source they are the source's.
    np.testing.assert_allclose(transform_poses(cameras.c2w, similarity), golden, atol=3e-5)
    assert set(zip(cameras.width.tolist(), cameras.height.tolist(), strict=True)) == {(504, 378)}
    np.testing.assert_allclose(cameras.fx, np.full(frames, float(fern.cameras.fx[0])))


def test_rays_of_a_path_are_the_source_s(fern, shared):
    with np.load(shared / "golden" / "nerf" / "llff_fern.npz") as data:
        rays, pixels = data["nerf_pl__spheric7_rays"], data["nerf_pl__ray_pixel_index"]
    camera = choose_cameras(fern, "circle", variant="nerf_pl")[7]
    treated = recentre_and_scale(fern.cameras.c2w, torch.from_numpy(fern.near), torch.from_numpy(fern.far))
    # Row by row through the corners of pixels.
    places = torch.from_numpy(np.stack([pixels % 504, pixels // 504], -1).astype(float))
    found = camera.transformed(treated.similarity).rays(0, places)
    np.testing.assert_allclose(found.origins, rays[:, :3], atol=2e-5)
    np.testing.assert_allclose(found.directions, rays[:, 3:6], atol=2e-5)
    near_far = depth_range(treated.near, treated.far)
    np.testing.assert_allclose(np.broadcast_to(near_far, (50, 2)), rays[:, 6:], rtol=1e-6)


def test_the_size_is_as_asked_for(fern):
    cameras = choose_cameras(fern, "spiral", variant="bmild", frames=3, size="100x80")
    assert (cameras.width.tolist(), cameras.height.tolist()) == ([100] * 3, [80] * 3)


def test_blender_circle_needs_no_bounds(shared):
    lego = open_capture(shared / "data" / "nerf_synthetic_lego_400")
    cameras = choose_cameras(lego, "circle", variant="blender", frames=40)
    np.testing.assert_allclose(cameras.c2w, published_paths.blender_circle(40), atol=1e-12)
    for path, variant in (("spiral", "bmild"), ("circle", "nerf_pl")):
        with pytest.raises(InputError, match="this data states none"):
            choose_cameras(lego, path, variant=variant)


@pytest.mark.parametrize(
    ("path", "variant"), [("orbit", "bmild"), ("spiral", "blender"), ("test", "nerf_pl")]
)
def test_unknown_variants_list_what_there_is(fern, path, variant):
    with pytest.raises(InputError) as caught:
        choose_cameras(fern, path, variant=variant)
    assert all(name in str(caught.value) for names in VARIANTS.values() for name in names)
