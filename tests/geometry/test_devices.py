import pytest
import torch

from sightline.geometry import Cameras, LensModel, fit_similarity, look_at, recentre
from sightline.geometry.trajectories import circle, interpolate, orbit, spiral

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


def cameras():
    angles = torch.arange(9).double() * 0.7
    eyes = torch.stack([3 * torch.cos(angles), 3 * torch.sin(angles), 1 + 0 * angles], -1)
    poses = look_at(eyes, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))
    lenses = [LensModel.PINHOLE, LensModel.OPENCV, LensModel.OPENCV_FISHEYE] * 3
    return Cameras.create(
        poses, 80.0, width=100, height=90, lens=lenses, distortion=[0.05, -0.01, 0.001, 0.002]
    )


def test_cameras_give_the_same_on_the_gpu():
    here, there = cameras(), cameras().to("cuda")
    indices = torch.arange(900) % 9
    pixels = torch.rand(900, 2, generator=torch.Generator().manual_seed(0)) * 90
    rays, far = here.rays(indices, pixels), there.rays(indices.cuda(), pixels.cuda())
    assert far.directions.is_cuda
    torch.testing.assert_close(far.directions.cpu(), rays.directions, atol=1e-6, rtol=0)
    points = rays.at(torch.full((900,), 2.0))
    expected, depth = here.project(points, indices)
    found, found_depth = there.project(points.cuda(), indices.cuda())
    torch.testing.assert_close(found.cpu(), expected)
    torch.testing.assert_close(found_depth.cpu(), depth)
    assert torch.equal(there.sees(points.cuda(), indices.cuda()).cpu(), here.sees(points, indices))
    torch.testing.assert_close(
        there.image_rays(1).directions.cpu(), here.image_rays(1).directions, atol=1e-6, rtol=0
    )


def test_paths_and_poses_give_the_same_on_the_gpu():
    here, there = cameras(), cameras().to("cuda")
    for make in (orbit, circle, spiral, interpolate):
        path = make(there, 6)
        assert path.c2w.is_cuda
        torch.testing.assert_close(path.c2w.cpu(), make(here, 6).c2w, atol=1e-9, rtol=0)
    moved, similarity = recentre(there.c2w)
    torch.testing.assert_close(there.transformed(similarity).c2w, moved)
    found = fit_similarity(there.centres, moved[:, :, 3])
    torch.testing.assert_close(found.rotation, similarity.rotation)
