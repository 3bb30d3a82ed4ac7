"""Pictures by a grid of opacities against dense sampling of the same field."""

import pytest
import torch
from pixelnerf_cases import ball_capture, small_config
from torch.nn.functional import normalize

from sightline.foundation.errors import InputError
from sightline.methods.pixelnerf.frame import published_frame
from sightline.methods.pixelnerf.method import PixelNerf
from sightline.methods.pixelnerf.occupancy import OccupancyTracer
from sightline.rendering.quadrature import integrate

NEAR, FAR = 1.0, 3.0
MIDDLE = torch.tensor([0.1, -0.05, 0.2])


class Balls:
    """A dense ball beside a thin one, which is denser from the left; counts the points it is asked for."""

    def __init__(self):
        self.asked = 0

    def __call__(self, points, directions, fine):
        self.asked += points.shape[1]
        distance = (points - MIDDLE).norm(dim=-1)
        thin = ((points - MIDDLE - torch.tensor([0.5, 0.0, 0.0])).norm(dim=-1) < 0.12).float()
        sigma = 40 * torch.sigmoid((0.3 - distance) / 0.01) + thin * (3 + directions[..., 0])
        return (points - MIDDLE + 0.8) / 1.6, sigma


def rays(count: int = 24):
    """A picture of the balls, from two away."""
    y, z = torch.meshgrid(torch.linspace(-0.4, 0.4, count), torch.linspace(-0.4, 0.4, count), indexing="ij")
    towards = torch.stack([y.flatten(), torch.ones(count * count), z.flatten()], -1)
    origins = torch.tensor([0.2, -2.0, 0.1]).expand(count * count, 3)
    return origins, normalize(towards, dim=-1)


def test_pictures_are_those_of_dense_sampling():
    field, (origins, directions) = Balls(), rays()
    tracer = OccupancyTracer(small_config(occupancy_samples=48), field, torch.zeros(3), 1.0, NEAR, FAR)
    assert tracer.half < 0.75
    field.asked = 0
    found, count = tracer(origins, directions)
    assert count == field.asked
    t = NEAR + (FAR - NEAR) * (torch.arange(3000) + 0.5) / 3000
    points = origins[:, None] + t[:, None] * directions[:, None]
    colours, sigmas = field(points.flatten(0, 1)[None], directions.repeat_interleave(3000, 0)[None], True)
    steps = torch.full((len(origins), 3000), (FAR - NEAR) / 3000)
    shape = len(origins), 3000
    truth = integrate(sigmas.view(shape), colours.view(*shape, 3), t.expand(shape), steps)
    assert 0.1 < float(truth.opacity.mean()) < 0.5
    assert float((found.opacity - truth.opacity).abs().mean()) < 4e-3
    assert float((found.colour - truth.colour).square().mean()) < 1e-4
    opaque = truth.opacity > 0.9
    depth = (found.depth_sum / found.opacity)[opaque], (truth.depth_sum / truth.opacity)[opaque]
    assert float((depth[0] - depth[1]).abs().mean()) < 0.01
    # Rays beside the balls cost nothing.
    missed = truth.opacity < 1e-6
    assert missed.float().mean() > 0.4
    assert found.opacity[missed].max() == 0
    assert count < 30 * len(origins)


def test_rays_end_where_the_far_end_is():
    field, (origins, directions) = Balls(), rays()
    tracer = OccupancyTracer(small_config(), field, torch.zeros(3), 1.0, NEAR, 1.2)
    found, count = tracer(origins, directions)
    assert count == 0
    assert float(found.opacity.max()) == 0


def test_a_method_renders_with_it():
    torch.manual_seed(0)
    method = PixelNerf(small_config())
    method.restore({"frame": published_frame(method.config).to_json()})
    views = ball_capture(0)
    with torch.no_grad():
        for perceptron in (method.network.mlp_coarse, method.network.mlp_fine):
            perceptron.lin_out.bias[3] = 4.0
    pictures = {}
    for name in ("stratified", "occupancy"):
        method.choose_sampler(name)
        assert method.sampler == name
        pictures[name] = method.render(method.encode(views.view(0)), views.cameras[2])
    # Matter everywhere: both see the same of it.
    there, here = pictures["stratified"], pictures["occupancy"]
    assert float(there.opacity.mean()) > 0.9
    assert float((there.opacity - here.opacity).abs().mean()) < 0.1
    assert here.statistics["samples"] > 0
    with pytest.raises(InputError, match="no sampler 'dense'"):
        method.choose_sampler("dense")
