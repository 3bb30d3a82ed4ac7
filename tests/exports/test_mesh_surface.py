"""Surfaces of fields that are known exactly: areas, volumes, orientation, parts, hollows."""

import numpy as np
import pytest
import torch
import trimesh
from export_cases import CENTRE, RADIUS, Ball, cameras_around
from scipy.ndimage import gaussian_filter

from sightline.exports.grids import (
    Grid,
    content_box,
    grid_over,
    look_up,
    parse_box,
    sample_density,
    scene_box,
)
from sightline.exports.mesh.hidden import hidden_points
from sightline.exports.mesh.simplify import simplify
from sightline.exports.mesh.surface import Mesh, extract_surface, refine_vertices, remove_parts
from sightline.exports.mesh.threshold import choose_threshold, crossing
from sightline.exports.source import Field
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras

VOLUME, AREA = 4 / 3 * np.pi * RADIUS**3, 4 * np.pi * RADIUS**2


def ball_mesh(resolution: int = 48, halvings: int = 6, **ball: float) -> Mesh:
    field = Field(Ball(**ball))
    grid = grid_over(scene_box(field, None), resolution)
    density = sample_density(field, grid)
    mesh = extract_surface(density, grid, 100.0)
    return refine_vertices(mesh, field, grid, density, 100.0, halvings)


def noise(side: int = 40) -> tuple[np.ndarray, Grid]:
    values = gaussian_filter(np.random.default_rng(0).standard_normal((side,) * 3), 2)
    return np.maximum(values, 0).astype(np.float32), Grid(np.zeros(3), np.ones(3), (side,) * 3)


def test_a_ball_is_closed_faces_outwards_and_has_its_size_and_place():
    mesh = ball_mesh()
    assert mesh.closed
    assert mesh.face_volumes().sum() == pytest.approx(VOLUME, rel=4e-3)
    assert mesh.face_areas().sum() == pytest.approx(AREA, rel=3e-3)
    offset = mesh.vertices - CENTRE.numpy()
    # Half of the peak is at the radius; the field is asked, the grid's 2 % of the radius do not show.
    assert np.abs(np.linalg.norm(offset, axis=-1) - RADIUS).max() < 1e-3
    outward = offset / np.linalg.norm(offset, axis=-1, keepdims=True)
    assert (np.einsum("ij,ij->i", mesh.normals(), outward)).min() > 0.99
    other = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert other.is_watertight
    assert other.is_winding_consistent
    assert other.volume == pytest.approx(mesh.face_volumes().sum())
    assert other.area == pytest.approx(mesh.face_areas().sum())


def test_refining_moves_vertices_onto_the_surface():
    # A density as steep as a step tells the grid nothing about where between two points it is.
    errors = [
        np.abs(np.linalg.norm(ball_mesh(24, n, edge=1e-3).vertices - CENTRE.numpy(), axis=-1) - RADIUS).max()
        for n in (0, 2, 6)
    ]
    assert errors[0] > 0.02
    assert errors[1] < errors[0] / 2
    assert errors[2] < 2e-3


def test_axes_are_not_mixed_up():
    class Brick(Ball):
        def density(self, points):
            return 100.0 * (
                (points > torch.tensor([-0.6, -0.4, -0.2])) & (points < torch.tensor([1.0, 0.4, 0.1]))
            ).all(-1)

    field = Field(Brick())
    grid = grid_over(scene_box(field, None), 61)
    mesh = extract_surface(sample_density(field, grid), grid, 50.0)
    cell = grid.cell
    assert mesh.vertices.min(0) == pytest.approx([-0.6, -0.4, -0.2], abs=cell)
    assert mesh.vertices.max(0) == pytest.approx([1.0, 0.4, 0.1], abs=cell)


def test_what_the_box_cuts_is_closed_there():
    field = Field(Ball())
    grid = grid_over(np.array([[0.3, -0.8, -0.5], [1.0, 0.4, 0.7]]), 40)
    mesh = extract_surface(sample_density(field, grid), grid, 100.0)
    assert mesh.closed
    assert mesh.face_volumes().sum() == pytest.approx(VOLUME / 2, rel=0.03)
    assert mesh.vertices[:, 0].min() == pytest.approx(grid.low[0])


def test_an_empty_surface_names_the_largest_density_and_the_flag():
    density, grid = noise(12)
    largest = float(density.max())
    with pytest.raises(
        InputError, match=rf"largest density found is {largest:g} .*--threshold.*lower --threshold"
    ):
        extract_surface(density, grid, 2 * largest)
    with pytest.raises(InputError, match="above 0"):
        extract_surface(density, grid, 0.0)


def shells(*parts: tuple[float, tuple[float, float, float], bool]) -> Mesh:
    vertices, faces = [], []
    for radius, centre, inwards in parts:
        ball = trimesh.creation.icosphere(3, radius)
        faces.append((ball.faces[:, ::-1] if inwards else ball.faces) + sum(map(len, vertices)))
        vertices.append(np.asarray(ball.vertices) + centre)
    return Mesh(np.concatenate(vertices), np.concatenate(faces).astype(np.int32))


def test_small_parts_and_hollows_are_left_out():
    mesh = shells(
        (1, (0, 0, 0), False), (0.5, (0, 0, 0), True), (0.05, (3, 0, 0), False), (0.5, (-3, 0, 0), False)
    )
    cleaned = remove_parts(mesh)
    assert (cleaned.parts, cleaned.small, cleaned.cavities) == (2, 1, 1)
    assert cleaned.mesh.closed
    expected = 4 / 3 * np.pi * (1 + 0.125)
    assert cleaned.mesh.face_volumes().sum() == pytest.approx(expected, rel=0.03)
    assert len(cleaned.mesh.vertices) == len(np.unique(cleaned.mesh.faces))
    assert remove_parts(mesh, most=1).parts == 1
    assert remove_parts(mesh, least=0.0).parts == 3
    kept = remove_parts(mesh, keep_cavities=True)
    assert (kept.parts, kept.cavities) == (3, 0)
    assert kept.mesh.face_volumes().sum() == pytest.approx(4 / 3 * np.pi, rel=0.04)


def test_hollows_of_a_field_are_found():
    class Shell(Ball):
        def density(self, points):
            return super().density(points) * ((points.double() - CENTRE).norm(dim=-1) > 0.3)

    field = Field(Shell())
    grid = grid_over(scene_box(field, None), 48)
    mesh = extract_surface(sample_density(field, grid), grid, 100.0)
    cleaned = remove_parts(mesh)
    assert (cleaned.parts, cleaned.cavities) == (1, 1)
    assert cleaned.mesh.face_volumes().sum() == pytest.approx(VOLUME, rel=0.02)


def test_what_no_light_reaches_is_solid():
    class Sponge(Ball):
        """A ball whose inside is as good as empty, with a canal to the outside as wide as a needle."""

        def density(self, points):
            offset = points.double() - CENTRE
            radius = offset.norm(dim=-1)
            canal = (offset[:, 0] > 0) & (offset[:, 1:].abs() < 0.02).all(-1)
            return super().density(points) * ~((radius < 0.35) | canal)

    field = Field(Sponge())
    grid = grid_over(scene_box(field, None), 64)
    density = sample_density(field, grid)
    hidden = hidden_points(density, grid)
    radius = (grid.points() - CENTRE).norm(dim=-1).numpy()
    assert not hidden[radius > RADIUS].any()
    # Light comes in through the canal, along its axis only.
    assert hidden[radius < 0.3].mean() > 0.98
    rough = extract_surface(density, grid, 100.0)
    assert rough.face_volumes().sum() == pytest.approx(VOLUME * (1 - 0.7**3), rel=0.05)
    mesh = extract_surface(density, grid, 100.0, hidden)
    assert mesh.closed
    assert mesh.face_volumes().sum() == pytest.approx(VOLUME, rel=0.03)


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, -1, 0), (1, 1, 0), (0, -1, 1), (-1, 1, -1), (1, 1, 1)])
def test_light_comes_from_every_direction(direction: tuple[int, int, int]):
    grid = Grid(np.zeros(3), np.array([8.0, 8.0, 8.0]), (9, 9, 9))
    density = np.full((9, 9, 9), 10.0, dtype=np.float32)
    middle = np.array([4, 4, 4])
    assert hidden_points(density, grid)[4, 4, 4]
    for k in range(1, 5):
        density[tuple(middle + k * np.array(direction))] = 0
    assert not hidden_points(density, grid)[4, 4, 4]
    density[tuple(middle + 4 * np.array(direction))] = 10
    assert hidden_points(density, grid)[4, 4, 4]


def test_boxes_and_grids():
    assert parse_box(None) is None
    box = parse_box((0, 0, 0, 1, 2, 3))
    assert box is not None
    grid = grid_over(box, 31)
    assert grid.shape == (11, 21, 31)
    assert grid.spacing == pytest.approx([0.1] * 3)
    assert grid.points()[10, 20, 30].tolist() == pytest.approx([1, 2, 3])
    assert grid.points(3, 4, axis=1)[0, 0, 0].tolist() == pytest.approx([0, 0.3, 0])
    for wrong in ((0, 0, 0, 1, 0, 1), (0, 0, 0, 1, 1, float("nan"))):
        with pytest.raises(InputError, match="--bounds"):
            parse_box(wrong)
    with pytest.raises(InputError, match="--resolution"):
        grid_over(box, 4)


def test_the_box_is_found():
    box = content_box(Field(Ball(half=3.0)), np.array([[-3.0] * 3, [3.0] * 3]))
    reach = CENTRE.numpy() + RADIUS * np.array([[-1], [1]])
    assert (box[0] < reach[0]).all()
    assert (box[1] > reach[1]).all()
    assert np.abs(box - reach).max() < 4 * 6 / 95
    bounds = np.array([[-3.0] * 3, [-2.0] * 3])
    assert (content_box(Field(Ball()), bounds) == bounds).all(), "nothing there: the bounds stay"


def test_looking_up_interpolates_and_is_nothing_outside():
    grid = Grid(np.array([0.0, -1.0, 2.0]), np.array([1.0, 1.0, 5.0]), (3, 4, 5))
    values = (grid.points() @ torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)).float()
    points = torch.tensor([[0.37, -0.21, 3.3], [1.0, 1.0, 5.0], [1.01, 0.0, 3.0]])
    found = look_up(values, grid, points)
    assert found.tolist() == pytest.approx([0.37 - 2.1 + 330, 511, 0], rel=1e-5)


@pytest.mark.parametrize("edge", [0.05, 0.2])
def test_the_threshold_is_where_rays_end(edge: float):
    field = Field(Ball(edge=edge))
    grid = grid_over(scene_box(field, None), 64)
    threshold = choose_threshold(sample_density(field, grid), grid, cameras_around())
    radius = RADIUS + edge / 2 - threshold / 200 * edge
    # Rays through the middle end where the optical depth σ'·s²/2 is ln 2; grazing ones where half passes.
    straight = RADIUS + edge / 2 - np.sqrt(2 * np.log(2) * edge / 200)
    s = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    heights = torch.linspace(RADIUS, RADIUS + edge / 2, 200, dtype=torch.float64)
    points = torch.stack(
        [
            CENTRE[0] + s.expand(200, -1),
            (CENTRE[1] + heights)[:, None].expand(-1, 4001),
            CENTRE[2].expand(200, 4001),
        ],
        -1,
    )
    through = field.density(points.reshape(-1, 3)).view(200, -1).sum(-1) * float(s[1] - s[0])
    grazing = float(heights[int((through > np.log(2)).sum()) - 1])
    assert straight - 0.5 * grid.cell < radius < grazing + 0.5 * grid.cell


def test_without_cameras_that_see_the_box_rays_along_the_axes_are_taken():
    field = Field(Ball())
    grid = grid_over(scene_box(field, None), 48)
    density = sample_density(field, grid)
    away = cameras_around().c2w.clone()
    away[:, :, 3] += 100
    blind = Cameras.create(away, fx=100.0, width=8, height=8)
    threshold = choose_threshold(density, grid, blind)
    radius = RADIUS + 0.025 - threshold / 200 * 0.05
    assert radius == pytest.approx(RADIUS, abs=grid.cell)


def test_fog_has_no_surface():
    field = Field(Ball(peak=0.1))
    grid = grid_over(np.array([[-1.0] * 3, [1.0] * 3]), 24)
    with pytest.raises(InputError, match=r"largest density found is 0\.1 .*--threshold"):
        choose_threshold(sample_density(field, grid), grid, cameras_around())


def test_crossings_by_hand():
    rising = torch.tensor([[0.0, 1.0, 1.0, 3.0], [2.0, 2.0, 2.0, 2.0], [0.0, 0.0, 0.0, 1.0]])
    assert crossing(rising, 1.5).tolist() == pytest.approx([2.25, 0.0, 4.0])


def test_simplifying_keeps_a_ball_a_ball():
    mesh = ball_mesh()
    small = simplify(mesh, 1000)
    assert len(mesh.faces) > 10_000
    assert len(small.faces) <= 1000
    assert small.closed
    assert small.face_volumes().sum() == pytest.approx(VOLUME, rel=0.01)
    assert np.abs(np.linalg.norm(small.vertices - CENTRE.numpy(), axis=-1) - RADIUS).max() < 0.01
    assert small.face_volumes().min() > 0, "no face is turned over"


def test_simplifying_keeps_the_topology_of_anything():
    density, grid = noise()
    mesh = extract_surface(density, grid, float(density.std()))
    small = simplify(mesh, len(mesh.faces) // 6)
    assert len(small.faces) <= len(mesh.faces) // 6
    assert small.closed
    before, after = (trimesh.Trimesh(m.vertices, m.faces, process=False) for m in (mesh, small))
    assert after.is_winding_consistent
    assert after.euler_number == before.euler_number
    assert small.part_of_faces()[0] == mesh.part_of_faces()[0]
    assert after.volume == pytest.approx(before.volume, rel=0.02)


def test_simplifying_ends_at_the_smallest_closed_surface():
    small = simplify(shells((1, (0, 0, 0), False)), 4)
    assert len(small.faces) == 4
    assert small.closed
    with pytest.raises(InputError, match="--faces"):
        simplify(small, 3)


def test_borders_stay_as_they_are():
    grid = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0), indexing="ij"), -1).reshape(-1, 2)
    mesh = Mesh(
        np.concatenate([grid, np.zeros((81, 1))], -1),
        np.array(
            [[a, a + 9, a + 10] for a in range(72) if a % 9 < 8]
            + [[a, a + 10, a + 1] for a in range(72) if a % 9 < 8],
            dtype=np.int32,
        ),
    )
    small = simplify(mesh, 40)
    assert len(small.faces) < len(mesh.faces)
    assert small.face_areas().sum() == pytest.approx(64)
    border = {tuple(v) for v in grid.tolist() if min(v) == 0 or max(v) == 8}
    assert border <= {tuple(v[:2]) for v in small.vertices.tolist()}
