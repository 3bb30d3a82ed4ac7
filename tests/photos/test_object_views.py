"""An object cut out of photos with known cameras: a ball before walls."""

import numpy as np
import pytest
import torch

from sightline.captures import Capture, ImageStore, open_capture
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.photos.object_views import cut_out_views, find_subject
from sightline.workflows.cutting_out import ensure_cut_out

WIDTH, HEIGHT, RADIUS = 120, 96, 0.5
CENTRE = np.array([0.3, -0.2, 0.1])


def cameras(count: int) -> Cameras:
    poses = []
    for k in range(count):
        angle = 2 * np.pi * k / count
        backward = np.array([np.cos(angle), np.sin(angle), 0.4])
        backward /= np.linalg.norm(backward)
        right = np.cross([0.0, 0, 1], backward)
        right /= np.linalg.norm(right)
        centre = CENTRE + 2.2 * backward
        poses.append(np.stack([right, np.cross(backward, right), backward, centre], 1))
    return Cameras.create(np.stack(poses), 110.0, width=WIDTH, height=HEIGHT)


def draw(camera: Cameras, seed: int, ball: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The ball and its true mask, before a wall in grey."""
    rays = camera.image_rays(0)
    offset = rays.origins.double().numpy() - CENTRE
    directions = rays.directions.double().numpy()
    along = -(offset * directions).sum(1)
    mask = ((offset**2).sum(1) - along**2 < RADIUS**2).reshape(HEIGHT, WIDTH)
    generator = np.random.default_rng(seed)
    picture = generator.normal(130, 12, (HEIGHT, WIDTH, 3)) + generator.normal(0, 8, 3)
    picture[mask] = np.array(ball) + generator.normal(0, 12, (int(mask.sum()), 3))
    return picture.clip(0, 255).astype(np.uint8), mask


def capture_of(count: int = 12, odd: int | None = None) -> tuple[Capture, list[np.ndarray]]:
    """Photos of the ball; in the view `odd` it has the colour of the wall."""
    seen = cameras(count)
    drawn = [draw(seen[k], k, (128, 130, 132) if k == odd else (190, 60, 30)) for k in range(count)]
    capture = Capture(
        name="ball",
        cameras=seen,
        images=ImageStore.from_arrays([picture for picture, _ in drawn]),
        image_names=tuple(f"images/{k:02d}.jpg" for k in range(count)),
        splits={"train": tuple(range(1, count)), "val": (), "test": (0,)},
    )
    return capture, [mask for _, mask in drawn]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_the_object_is_where_the_cameras_look():
    centre, radius = find_subject(cameras(8))
    np.testing.assert_allclose(centre, CENTRE, atol=1e-6)
    # 2.2 away, half of a height of 96 pixels at a focal length of 110.
    assert radius == pytest.approx(0.85 * 2.2 * np.sin(np.arctan(48 / 110)), rel=1e-3)


def test_masks_are_those_of_the_ball():
    capture, truth = capture_of()
    found = cut_out_views(capture)
    assert all(mask.shape == (HEIGHT, WIDTH) for mask in found.masks)
    assert min(overlap(mask, true) for mask, true in zip(found.masks, truth, strict=True)) > 0.92
    assert (found.box[0] < CENTRE - 0.9 * RADIUS).all()
    assert (found.box[1] > CENTRE + 0.9 * RADIUS).all()
    assert (found.box[1] - found.box[0] < 2.8 * RADIUS).all()


def test_a_photo_in_which_nothing_can_be_told_takes_the_word_of_the_others():
    capture, truth = capture_of(odd=5)
    found = cut_out_views(capture)
    assert overlap(found.masks[5], truth[5]) > 0.75


def test_photos_of_nothing_are_refused():
    seen = cameras(8)
    generator = np.random.default_rng(0)
    pictures = [generator.normal(128, 20, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8) for _ in range(8)]
    away = Cameras.create(
        torch.cat([-seen.c2w[:, :, :1], seen.c2w[:, :, 1:2], -seen.c2w[:, :, 2:3], seen.c2w[:, :, 3:]], 2),
        110.0,
        width=WIDTH,
        height=HEIGHT,
    )
    capture = Capture(
        name="nothing",
        cameras=away,
        images=ImageStore.from_arrays(pictures),
        image_names=tuple(f"{k}.jpg" for k in range(8)),
        splits={"train": tuple(range(8)), "val": (), "test": ()},
    )
    with pytest.raises(InputError, match="do not look at one thing"):
        cut_out_views(capture)


def test_the_object_becomes_a_capture_of_its_own(tmp_path, caplog):
    from sightline.captures import write_capture

    capture, truth = capture_of()
    write_capture(capture, tmp_path / "ball", "transforms")
    made = ensure_cut_out(tmp_path / "ball", tmp_path / "captures", "grabcut", holdout=8)
    opened = open_capture(made)
    assert opened.background == "alpha"
    assert opened.splits == capture.splits
    assert opened.box is not None
    np.testing.assert_allclose(opened.cameras.c2w.numpy(), capture.cameras.c2w.numpy(), atol=1e-9)
    assert overlap(opened.images[3][..., 3] > 127, truth[3]) > 0.92
    np.testing.assert_array_equal(opened.images[3][..., :3], capture.images[3])
    # Once is enough; other settings are not mixed up with it.
    written = (made / "transforms.json").stat().st_mtime_ns
    assert ensure_cut_out(tmp_path / "ball", tmp_path / "captures", "grabcut", holdout=8) == made
    assert ensure_cut_out(made, tmp_path / "captures", "grabcut", holdout=8) == made
    assert (made / "transforms.json").stat().st_mtime_ns == written
    with pytest.raises(InputError, match="in another way"):
        ensure_cut_out(tmp_path / "ball", tmp_path / "captures", "grabcut", holdout=5)
