"""Sparse voxels, their space and their packing, by hand."""

import math
import zlib

import numpy as np
import pytest
import torch
from export_cases import Ball, cameras_around
from web_cases import all_places, blob, space_of, voxels_of

from sightline.exports.source import Field
from sightline.exports.web.packing import from_text, pack, quantised, to_text
from sightline.exports.web.space import Space, find_space, whole_blocks
from sightline.exports.web.survey import Survey, TrainingRays, levels_to
from sightline.exports.web.voxels import key_places, point_keys, to_codes, to_depths
from sightline.geometry import Cameras, Similarity


def test_codes_stand_for_depths():
    assert to_codes(np.array([0.0, 24.0, 1000.0, -1.0])).tolist() == [0, 1, 1, 0]
    # A half is the geometric mean of 1 and 1201, of 0.02 each, less 0.02.
    assert to_depths(np.array([0.5]))[0] == pytest.approx(0.02 * (math.sqrt(1201) - 1))
    depths = np.array([0.001, 0.1, 3.0])
    assert to_depths(to_codes(depths)) == pytest.approx(depths, rel=1e-4)


def test_keys_of_points():
    # Two blocks a side have three owners: the last holds the points of the upper faces alone.
    assert point_keys(np.array([[0, 0, 0], [1, 2, 3], [4, 0, 0], [8, 8, 8]]), 8).tolist() == [
        0,
        1 + 4 * 2 + 16 * 3,
        64,
        64 * 26,
    ]
    places = all_places(8)
    assert (key_places(point_keys(places, 8), 8) == places).all()


def test_a_point_on_a_face_belongs_to_both_blocks():
    voxels = voxels_of(16, np.array([[4, 1, 1]]), np.array([[1, 0.2, 0.4, 0.6]]))
    assert voxels.blocks.tolist() == [0, 1]
    assert voxels.corners[0].reshape(5, 5, 5)[1, 1, 4] == 0
    assert voxels.corners[1].reshape(5, 5, 5)[1, 1, 0] == 0
    assert (voxels.corners >= 0).sum() == 2
    assert voxels.slots[0, 0].tolist() == [0, 1, -1, -2]
    assert voxels.slots[3, 3].tolist() == [-3, -3, -3, -3]
    assert voxels.fills == pytest.approx(np.array([[0.2, 0.4, 0.6]] * 2))


def test_halves_lie_within_two_cells_of_a_point():
    voxels = voxels_of(16, np.array([[1, 1, 1]]), np.array([[1, 0, 0, 0]]), terms=3)
    # Halves of places 0 and 2, not of 4, on each axis of the only block; nine halves a side.
    assert voxels.half_keys.tolist() == [0, 1, 9, 10, 81, 82, 90, 91]
    assert voxels.halves[0].reshape(3, 3, 3)[:2, :2, :2].tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert (voxels.halves[0].reshape(3, 3, 3)[2] == -1).all()
    assert voxels.residual.shape == (8, 9)


def test_fewer_points_keep_what_they_hold():
    voxels = blob(16, False, terms=3)
    kept = voxels.kept(voxels.values[:, 0] > 0.3)
    assert (np.isin(kept.keys, voxels.keys)).all()
    rows = np.searchsorted(voxels.keys, kept.keys)
    assert (kept.values == voxels.values[rows]).all()
    halves = np.searchsorted(voxels.half_keys, kept.half_keys)
    assert (kept.residual == voxels.residual[halves]).all()
    assert len(kept.blocks) < len(voxels.blocks)


def test_any_bytes_become_text_that_a_page_holds():
    data = bytes(range(256)) * 9 + b"\0\r\n<~" * 50
    text = to_text(data)
    assert text.isascii()
    assert not set(text) & set("\0\r\n<")
    assert from_text(text, len(data)) == data
    assert len(to_text(b"")) == 0
    # 7 bytes of zeros are 8 symbols 0, each of which is ~A.
    assert to_text(bytes(7)) == "~A" * 8
    # Lowest bits first: 1 is a symbol 1, which stays, and seven zeros.
    assert to_text(bytes([1, 0, 0, 0, 0, 0, 0])) == "\x01" + "~A" * 7
    random = np.random.default_rng(0).integers(0, 256, 70_000, np.uint8).tobytes()
    assert len(to_text(random)) / len(random) == pytest.approx(8 / 7 * (1 + 5 / 128), rel=5e-3)


def test_streams_hold_differences():
    places = np.array([[0, 0, 0], [1, 0, 0], [8, 0, 0]])
    values = np.array([[10, 100, 50, 60], [12, 90, 60, 50], [255, 0, 255, 0]]) / 255
    packed = pack(voxels_of(16, places, values))
    owners, masks, code, red, green, blue = (zlib.decompress(stream) for stream in packed.streams)
    # Owners 0 and 2 of 125.
    assert owners == bytes([5]) + bytes(15)
    assert masks == bytes([3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    assert list(code) == [10, 2, 243]
    assert list(green) == [50, 10, 195]
    # Red less green: 50, 30, -255, which is 1 modulo 256.
    assert list(red) == [50, 236, 227]
    assert list(blue) == [10, 236, 11]


def test_quantised_residuals_keep_their_scale():
    voxels = voxels_of(16, np.array([[1, 1, 1]]), np.array([[0.5, 0.1, 0.2, 0.3]]), terms=3)
    voxels.residual[:] = np.linspace(-1, 1, 72).reshape(8, 9)
    made, ranges = quantised(voxels)
    assert made.values[0] == pytest.approx(np.rint(255 * voxels.values[0]) / 255)
    assert len(ranges) == 3
    largest = np.abs(voxels.residual).max(0).reshape(3, 3)
    assert np.array(ranges) == pytest.approx(largest, rel=1e-2)
    assert np.abs(made.residual - voxels.residual).max() <= 0.51 * largest.max() / 127 + 2e-3


def test_points_of_contracted_space_are_where_the_field_says():
    to_model = Similarity(0.5, torch.eye(3, dtype=torch.float64), torch.tensor([0.0, 0.0, 1.0]).double())
    space = Space(to_model, True, 0.05)
    grid = torch.tensor([[16, 16, 16], [8, 16, 16], [4, 16, 16], [2, 16, 16]])
    points, stretch = space.points(grid, 32)
    # Cube 0, -1, -1.5, -1.75 along x: model 0, -1, -2, -4; the input frame is twice as large, z from -2.
    expected = torch.tensor([[0, 0, -2], [-2, 0, -2], [-4, 0, -2], [-8, 0, -2]])
    assert torch.allclose(points, expected.double(), atol=1e-9)
    assert stretch.tolist() == pytest.approx([1, 1, 4, 16])
    assert space.cell(32) == pytest.approx(1 / 8)
    assert space.codes_scale(32) == pytest.approx(1 / 4)
    # The outermost corner is as far as rays reach.
    far, stretch = space.points(torch.tensor([[0, 16, 16]]), 32)
    assert far[0, 0] == pytest.approx(-128, rel=1e-3)


def test_the_space_of_an_object_is_its_box():
    cameras = cameras_around(8)
    box = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]])
    space = find_space(Field(Ball()), cameras, False, box, 0.0)
    assert space.to_model.apply(torch.tensor([[0.5, 1.0, 0.0]]).double())[0].tolist() == [0, 0, -1]
    assert space.near == 1e-3
    around = find_space(Field(Ball()), cameras, True, box, 1.0)
    # Cameras 4 from the ball's middle.
    assert around.contracted
    assert around.to_model.scale == pytest.approx(0.25)
    assert around.near == pytest.approx(0.25)


def test_a_resolution_follows_the_pixels():
    poses = torch.eye(4)[:3].repeat(2, 1, 1)
    poses[:, 2, 3] = 4.0
    cameras = Cameras.create(poses, fx=400.0, width=100, height=100)
    # A pixel at distance 4 is 1/100: 200 of them across the box.
    assert space_of(False).finest_useful(cameras) == 200
    assert space_of(True).finest_useful(cameras) == 400
    assert [whole_blocks(n) for n in (1, 33.9, 34.1)] == [8, 32, 36]
    assert levels_to(320) == [80, 160, 320]
    assert levels_to(100) == [100]
    assert levels_to(330 - 2) == [84, 164, 328]


def test_a_survey_finds_the_surface_and_not_what_it_hides():
    ball, cameras = Ball(peak=400.0, edge=0.05), cameras_around(20)
    box = torch.tensor([[-0.3, -0.8, -0.5], [0.9, 0.4, 0.7]])
    space = find_space(Field(ball), cameras, False, box, 0.0)
    rays = TrainingRays(cameras, space, torch.Generator().manual_seed(0))
    survey = Survey(Field(ball), space, rays, None)
    voxels = survey.run(128, 1 << 15)
    points, _ = space.points(torch.from_numpy(key_places(voxels.keys, 128)).double(), 128)
    radius = (points - torch.tensor([0.3, -0.2, 0.1])).norm(dim=-1).numpy()
    # Some of the inside, which light does not reach, is left out; nothing is found outside.
    assert radius.max() < 0.53
    assert radius.min() > 0.3
    shell = np.abs(radius - 0.5) < 0.02
    assert shell.sum() > 0.8 * 4 * math.pi * 0.25 * 0.04 / (space.cell(128) / space.to_model.scale) ** 3
    assert survey.asked < 129**3
