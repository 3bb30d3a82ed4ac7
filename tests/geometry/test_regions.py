"""Half-spaces: what lies in them, and where rays enter and leave."""

import pytest
import torch

from sightline.geometry import Similarity
from sightline.geometry.ndc import ndc_matrix, ndc_points
from sightline.geometry.regions import Region

BOX = Region.box(torch.tensor([0.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 3.0]))


def test_a_box_holds_what_is_between_its_corners():
    points = torch.tensor([[0.5, 1.9, 2.9], [0.0, 0.0, 0.0], [1.1, 1.0, 1.0], [0.5, -0.1, 1.0]])
    assert BOX.holds(points).tolist() == [True, True, False, False]


def test_rays_enter_and_leave_a_box():
    origins = torch.tensor([[-2.0, 1.0, 1.0], [0.5, 1.0, 1.0], [-2.0, 5.0, 1.0], [5.0, 1.0, 1.0]])
    directions = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    enter, leave = BOX.spans(origins, directions)
    assert enter[:2].tolist() == [2.0, 0.0]
    # Two lengths of the direction are the rest of the way to z = 3.
    assert leave[:2].tolist() == [3.0, 1.0]
    assert (leave[2:] <= enter[2:]).all()


def test_ahead_is_measured_along_the_axis():
    c2w = torch.eye(4)[:3].double()
    region = Region.ahead(c2w, 2.0)
    assert region.holds(torch.tensor([[3.0, 0.0, -2.5], [0.0, 0.0, -1.9]])).tolist() == [True, False]
    enter, leave = region.spans(torch.zeros(1, 3), torch.tensor([[0.6, 0.0, -0.8]]))
    assert float(enter) == pytest.approx(2.5)
    assert float(leave) == torch.inf


def test_a_region_moves_with_its_frame():
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    similarity = Similarity(2.5, turn, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    points = torch.rand(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 4 - 1
    both = BOX & Region.ahead(torch.eye(4)[:3].double(), -1.5)
    assert (both.transformed(similarity).holds(similarity.apply(points)) == both.holds(points)).all()
    assert 0 < both.holds(points).sum() < 200


def test_a_region_ahead_of_a_camera_has_one_in_its_cube():
    points = torch.rand(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 4 - 2
    points[:, 2] = -1 - points[:, 2].abs() * 3
    box = Region.box(torch.tensor([-1.0, -0.5, -4.0]), torch.tensor([0.7, 1.0, -1.5]))
    moved = box.mapped(ndc_matrix((1.3, 1.7)))
    assert (moved.holds(ndc_points(points, (1.3, 1.7))) == box.holds(points)).all()
    assert 0 < box.holds(points).sum() < 200
