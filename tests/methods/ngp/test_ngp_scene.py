"""The trained scene: densities, colours, depths and bounds in the frame and units of the input."""

import pytest
import torch
from ngp_cases import SMALL, ball_capture

from sightline.geometry import Cameras, Similarity
from sightline.geometry.poses import look_at
from sightline.geometry.regions import Region
from sightline.kernels.marching import MarchSettings
from sightline.methods.ngp.config import NgpConfig
from sightline.methods.ngp.field import HashField
from sightline.methods.ngp.frame import Frame
from sightline.methods.ngp.method import Ngp
from sightline.methods.ngp.scene import NgpScene
from sightline.rendering.opacity_grid import OpacityGrid
from sightline.rendering.sampler import SamplerSettings

# The box of interest is [2, 6] x [-1, 3] x [0, 4] of the input.
CENTRE, HALF = torch.tensor([4.0, 1.0, 2.0], dtype=torch.float64), 2.0
SCALE = 1 / HALF
STEP = 2 / 64
FLOAT = NgpConfig(levels=4, log2_entries=12, finest=64, hidden=32, network_precision="float32")


class Floor(HashField):
    """Matter below a height of the unit cube; its colour is the direction of the ray."""

    height = 0.5

    def density(self, cube: torch.Tensor) -> torch.Tensor:
        return torch.where(cube[:, 2] < self.height, 1000.0, 0.0)

    def forward(self, cube: torch.Tensor, harmonics: torch.Tensor, ray_indices: torch.Tensor):
        # Harmonics 1 to 3 are y, z, x but for a factor and signs.
        direction = harmonics[:, [3, 1, 2]] / 0.4886025 * torch.tensor([-1.0, -1.0, 1.0])
        return self.density(cube), (0.5 + 0.5 * direction)[ray_indices]


def make_scene(field: HashField, contracted: bool = False) -> NgpScene:
    similarity = Similarity(SCALE, torch.eye(3, dtype=torch.float64), -SCALE * CENTRE)
    grid = OpacityGrid(64, STEP, contracted)
    grid.refresh(field.density, grid.random_cells(64**3), rate=1.0)
    marching = MarchSettings(
        contracted, STEP, near=1e-3, far=16.0, threshold=2e-3, largest=0.9, least_transmittance=1e-3
    )
    return NgpScene(field, Frame(similarity, contracted, 1e-3), grid, marching, SamplerSettings(24))


def constant_field(log_density: float) -> HashField:
    """A field whose networks give one log density everywhere."""
    field = HashField(FLOAT)
    with torch.no_grad():
        field.table.fill_(1.0)
        field.density_network[0].fill_(1 / field.levels.width)
        field.density_network[1].zero_()
        field.density_network[1][0] = log_density / FLOAT.hidden
    return field


def camera_above(target: torch.Tensor, height: float = 6.0) -> Cameras:
    eye = target.double() + torch.tensor([0.5, 0.0, height], dtype=torch.float64)
    pose = look_at(eye, target.double(), torch.tensor([0.0, 1.0, 0.0]))
    return Cameras.create(pose[None], fx=40.0, width=24, height=20)


def test_density_is_per_input_unit_and_zero_outside_a_box() -> None:
    scene = make_scene(constant_field(1.3))
    points = torch.tensor([[4.0, 1.0, 2.0], [2.1, -0.9, 0.1], [6.2, 1.0, 2.0], [4.0, 1.0, -0.1]])
    inside = float(torch.tensor(1.3).exp()) * SCALE
    torch.testing.assert_close(
        scene.density(points), torch.tensor([inside, inside, 0.0, 0.0]), rtol=1e-4, atol=0
    )


def test_density_is_everywhere_in_unbounded_scenes() -> None:
    scene = make_scene(constant_field(-0.7), contracted=True)
    points = torch.tensor([[4.0, 1.0, 2.0], [60.0, 1.0, 2.0]])
    expected = float(torch.tensor(-0.7).exp()) * SCALE
    torch.testing.assert_close(scene.density(points), torch.full((2,), expected), rtol=1e-4, atol=0)


def test_fog_takes_the_light_that_its_density_says() -> None:
    scene = make_scene(constant_field(-0.5))
    # Through the middle, straight down: 4 input units of fog.
    pose = look_at(
        torch.tensor([4.0, 1.0, 9.0]), torch.tensor([4.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    )
    camera = Cameras.create(pose[None], fx=4000.0, width=3, height=3)
    density = float(scene.density(torch.tensor([[4.0, 1.0, 2.0]])))
    opacity = scene.render(camera).opacity
    assert opacity is not None
    expected = 1 - float(torch.exp(torch.tensor(-density * 4)))
    torch.testing.assert_close(opacity, torch.full((3, 3), expected), atol=0.02, rtol=0)


@pytest.mark.parametrize("contracted", [False, True])
def test_depth_of_a_plane_is_in_input_units(contracted: bool) -> None:
    scene = make_scene(Floor(SMALL), contracted)
    camera = camera_above(torch.tensor([4.0, 1.0, 2.0]))
    rendering = scene.render(camera)
    rays = camera.image_rays(0)
    expected = ((2.0 - rays.origins[:, 2]) / rays.directions[:, 2]).view(20, 24)
    assert rendering.depth is not None
    assert rendering.opacity is not None
    torch.testing.assert_close(rendering.opacity, torch.ones(20, 24), atol=2e-3, rtol=0)
    # A bin and a cell of the grid are 1/16 of an input unit; contracted cells are twice that.
    torch.testing.assert_close(rendering.depth, expected, atol=0.1 if contracted else 0.05, rtol=0)


def test_colours_follow_the_rays_and_chunks_change_nothing() -> None:
    scene = make_scene(Floor(SMALL))
    camera = camera_above(torch.tensor([4.0, 1.0, 2.0]))
    rendering = scene.render(camera)
    directions = camera.image_rays(0).directions.view(20, 24, 3)
    torch.testing.assert_close(rendering.rgb, 0.5 + 0.5 * directions, atol=5e-3, rtol=0)
    chunked = scene.render(camera, chunk=37)
    torch.testing.assert_close(chunked.rgb, rendering.rgb)
    torch.testing.assert_close(chunked.depth_sum, rendering.depth_sum)
    assert chunked.statistics == rendering.statistics


def test_what_is_empty_shows_the_background_and_has_no_depth() -> None:
    scene = make_scene(Floor(SMALL))
    rendering = scene.render(camera_above(torch.tensor([40.0, 1.0, 2.0])), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(rendering.rgb, torch.tensor([0.1, 0.2, 0.3]).expand(20, 24, 3))
    assert rendering.depth is not None
    assert rendering.depth.isnan().all()
    assert rendering.statistics["samples"] == 0
    white = scene.render(camera_above(torch.tensor([40.0, 1.0, 2.0])))
    assert torch.all(white.rgb == 1)


def test_radiance_turns_directions_with_the_frame() -> None:
    scene = make_scene(Floor(SMALL))
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    scene.frame = Frame(Similarity(SCALE, turn, -SCALE * (turn @ CENTRE)), False, 1e-3)
    directions = torch.nn.functional.normalize(torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]]), dim=-1)
    found = scene.radiance(CENTRE.float().expand(2, 3), directions)
    torch.testing.assert_close(found, 0.5 + 0.5 * directions @ turn.float().T, atol=1e-5, rtol=0)


def test_bounds_hold_the_matter_of_a_box_and_the_box_of_unbounded_scenes() -> None:
    torch.testing.assert_close(
        make_scene(Floor(SMALL)).bounds, torch.tensor([[2.0, -1.0, 0.0], [6.0, 3.0, 2.0]])
    )
    unbounded = make_scene(Floor(SMALL), contracted=True).bounds
    torch.testing.assert_close(unbounded, torch.tensor([[2.0, -1.0, 0.0], [6.0, 3.0, 4.0]]))


def test_photos_have_nothing_behind_them() -> None:
    method = Ngp(SMALL)
    capture = method.prepare(ball_capture(count=8, size=16, surroundings=True))
    method.grid.opacity.zero_()
    method.grid.changed()
    picture = method.render(method.encode(), capture.cameras[[0]], background=torch.ones(3))
    assert picture.rgb.count_nonzero() == 0
    other = Ngp(SMALL)
    other.restore(method.state())
    assert not other.encode().has_background  # type: ignore[attr-defined]


@pytest.mark.parametrize("contracted", [False, True])
def test_a_cut_scene_has_nothing_outside_the_cut(contracted: bool) -> None:
    # The floor's surface is at z = 2; the box begins 1 below it, and keeps the middle of the picture.
    scene = make_scene(Floor(SMALL), contracted)
    low, high = torch.tensor([3.5, 0.5, 0.0]), torch.tensor([4.5, 1.5, 1.0])
    cut = scene.within(Region.box(low, high))
    camera = camera_above(torch.tensor([4.0, 1.0, 2.0]))
    rendering = cut.render(camera)
    assert rendering.opacity is not None
    assert rendering.depth is not None
    rays = camera.image_rays(0)
    met = Region.box(low, high).spans(rays.origins.double(), rays.directions.double())
    inside = (met[1] > met[0] + 0.2).view(20, 24)
    outside = (met[1] <= met[0]).view(20, 24)
    assert bool(inside.any())
    assert bool(outside.any())
    torch.testing.assert_close(rendering.opacity[inside], torch.ones(int(inside.sum())), atol=0.02, rtol=0)
    assert float(rendering.opacity[outside].max()) == 0
    # What is seen now is where rays enter the box.
    expected = met[0].view(20, 24).float()[inside]
    torch.testing.assert_close(rendering.depth[inside], expected, atol=0.1, rtol=0)
    points = torch.tensor([[4.0, 1.0, 0.5], [4.0, 1.0, 1.5]])
    assert (cut.density(points) > 0).tolist() == [True, False]
    assert (scene.density(points) > 0).tolist() == [True, True]


def test_a_cut_that_leaves_everything_changes_nothing() -> None:
    scene = make_scene(constant_field(-0.5))
    camera = camera_above(torch.tensor([4.0, 1.0, 2.0]))
    whole, cut = (
        found.render(camera)
        for found in (scene, scene.within(Region.box(torch.full((3,), -50.0), torch.full((3,), 50.0))))
    )
    torch.testing.assert_close(cut.rgb, whole.rgb, atol=2e-4, rtol=0)
    torch.testing.assert_close(cut.depth, whole.depth, atol=2e-3, rtol=0, equal_nan=True)


def test_drafts_take_a_third_of_the_samples() -> None:
    scene = make_scene(Floor(SMALL))
    camera = camera_above(torch.tensor([4.0, 1.0, 2.0]))
    whole, draft = scene.render(camera), scene.drafted().render(camera)
    assert draft.statistics["samples"] <= 8 * 480 < whole.statistics["samples"]
    assert whole.depth is not None
    assert draft.depth is not None
    assert float((whole.depth - draft.depth).abs().median()) < 0.05
