"""The model frame that is found for a capture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ngp_cases import BALL_CENTRE, BALL_RADIUS, ball_capture, cameras_around, without_alpha

from sightline.captures import Capture
from sightline.captures.image_store import ImageStore
from sightline.methods.ngp.frame import Frame, find_frame


@pytest.fixture(scope="module")
def capture() -> Capture:
    return ball_capture()


@pytest.fixture(scope="module")
def carved(capture: Capture) -> Frame:
    return find_frame(capture, "auto")


def box(frame: Frame) -> torch.Tensor:
    """Corners of the model cube in the input frame."""
    return frame.to_model.inverse().apply(torch.tensor([[-1.0] * 3, [1.0] * 3], dtype=torch.float64))


def test_the_visual_hull_holds_the_ball_tightly(carved: Frame) -> None:
    assert not carved.contracted
    low, high = box(carved)
    assert torch.all(low <= torch.from_numpy(BALL_CENTRE - BALL_RADIUS))
    assert torch.all(high >= torch.from_numpy(BALL_CENTRE + BALL_RADIUS))
    assert float((high - low).max()) <= 1.6 * 2 * BALL_RADIUS
    torch.testing.assert_close(high - low, (high - low)[:1].expand(3))


@pytest.mark.parametrize("focal", [67.0, 12.0])
def test_an_empty_capture_falls_back_to_the_cameras(capture: Capture, focal: float) -> None:
    # With the wide lens every cell is seen, and carved, by some view.
    lens = torch.full((len(capture),), focal, dtype=torch.float64)
    cameras = replace(capture.cameras, fx=lens, fy=lens)
    images = [np.zeros((48, 48, 4), np.uint8) for _ in range(len(capture))]
    frame = find_frame(replace(capture, cameras=cameras, images=ImageStore.from_arrays(images)), "bounded")
    expected = torch.tensor([[-4.0] * 3, [4.0] * 3], dtype=torch.float64)
    torch.testing.assert_close(box(frame), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("scene", ["auto", "unbounded"])
def test_unbounded_frames_are_centred_where_the_cameras_look(scene: str) -> None:
    target = np.array([5.0, -2.0, 1.0])
    cameras = cameras_around(12, target=target, distance=3.0)
    images = [np.full((48, 48, 3), 90, np.uint8) for _ in range(12)]
    capture = Capture(
        name="photos",
        cameras=cameras,
        images=ImageStore.from_arrays(images),
        image_names=tuple(map(str, range(12))),
        splits={"train": tuple(range(12))},
    )
    frame = find_frame(capture, scene)
    assert frame.contracted
    low, high = box(frame)
    torch.testing.assert_close((low + high) / 2, torch.from_numpy(target), atol=1e-6, rtol=0)
    torch.testing.assert_close(high - low, torch.full((3,), 6.0, dtype=torch.float64))
    radii = frame.to_model.apply(cameras.centres).norm(dim=-1)
    torch.testing.assert_close(radii, torch.ones(12, dtype=torch.float64))


def test_a_given_box_is_the_smallest_cube_around_it(capture: Capture) -> None:
    given = np.array([[-1.0, 0.0, 2.0], [1.0, 3.0, 3.0]])
    frame = find_frame(replace(capture, box=given), "bounded")
    expected = torch.tensor([[-1.5, 0.0, 1.0], [1.5, 3.0, 4.0]], dtype=torch.float64)
    torch.testing.assert_close(box(frame), expected)


def test_bounded_without_alpha_or_box_reaches_to_the_cameras(capture: Capture) -> None:
    opaque = without_alpha(capture)
    assert find_frame(opaque, "auto").contracted
    frame = find_frame(opaque, "bounded")
    assert not frame.contracted
    expected = torch.tensor([[-4.0] * 3, [4.0] * 3], dtype=torch.float64)
    torch.testing.assert_close(box(frame), expected, atol=1e-6, rtol=0)


def test_frames_survive_json(carved: Frame) -> None:
    again = Frame.from_json(carved.to_json())
    assert (again.contracted, again.near) == (carved.contracted, carved.near)
    assert torch.equal(box(again), box(carved))
