"""Training rays: that they are the photos' pixels, and that they can be drawn again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ngp_cases import cameras_around

from sightline.captures import Capture
from sightline.captures.image_store import ImageStore
from sightline.foundation.errors import InputError
from sightline.methods.ngp import batches as batches_module
from sightline.methods.ngp.batches import RayBatch, RayPool

VIEWS, WIDTH = 6, 20


def make_capture(channels: int = 3, masked: bool = False) -> Capture:
    """Images in which every pixel says where it is: view, x and y."""
    images, masks = [], []
    for view in range(VIEWS):
        image = np.full((WIDTH, WIDTH, channels), 200, np.uint8)
        image[..., 0] = view
        image[..., 1] = np.arange(WIDTH)
        image[..., 2] = np.arange(WIDTH)[:, None]
        images.append(image)
        mask = np.zeros((WIDTH, WIDTH), np.uint8)
        mask[:, : 5 + view] = 255
        masks.append(mask)
    return Capture(
        name="addresses",
        cameras=cameras_around(VIEWS, WIDTH),
        images=ImageStore.from_arrays(images),
        image_names=tuple(map(str, range(VIEWS))),
        splits={"train": tuple(range(VIEWS))},
        masks=ImageStore.from_arrays(masks) if masked else None,
        background="alpha" if channels == 4 else "photo",
    )


def make_pool(capture: Capture, views: list[int], count: int = 3000, seed: int = 0) -> RayPool:
    generator = torch.Generator().manual_seed(seed)
    return RayPool(capture, views, capture.cameras[views], generator, lambda: count, tell_views=True)


def addresses(batch: RayBatch) -> torch.Tensor:
    """(rays, 3) view, x, y that the colours spell."""
    return (batch.colours[:, :3] * 255).round().long()


def same(a: RayBatch, b: RayBatch) -> bool:
    return all(torch.equal(value, vars(b)[name]) for name, value in vars(a).items())


@pytest.mark.parametrize("channels", [3, 4])
def test_rays_are_those_of_their_pixels(channels: int) -> None:
    capture = make_capture(channels)
    batch = next(make_pool(capture, [1, 3, 4]))
    view, x, y = addresses(batch).unbind(-1)
    rays = capture.cameras.rays(view, torch.stack([x, y], -1).double() + 0.5)
    torch.testing.assert_close(batch.origins, rays.origins)
    torch.testing.assert_close(batch.directions, rays.directions)
    assert set(view.tolist()) == {1, 3, 4}
    assert batch.views is not None
    assert torch.equal(torch.tensor([1, 3, 4])[batch.views], view)
    assert set(x.tolist()) == set(y.tolist()) == set(range(WIDTH))
    assert batch.colours.shape == (3000, channels)
    if channels == 4:
        torch.testing.assert_close(batch.colours[:, 3], torch.full((3000,), 200 / 255))
    assert float(batch.backgrounds.mean()) == pytest.approx(0.5, abs=0.02)


def test_pixels_are_drawn_evenly() -> None:
    batch = next(make_pool(make_capture(), list(range(VIEWS)), count=60000))
    view, x, _ = addresses(batch).unbind(-1)
    expected = 60000 / VIEWS
    assert torch.all((view.bincount() - expected).abs() < 5 * expected**0.5)
    assert torch.all((x.bincount() - 3000).abs() < 5 * 3000**0.5)


def test_masked_pixels_are_never_drawn() -> None:
    batch = next(make_pool(make_capture(masked=True), list(range(VIEWS)), count=20000))
    view, x, _ = addresses(batch).unbind(-1)
    assert torch.all(x >= 5 + view)
    assert set(x[view == 2].tolist()) == set(range(7, WIDTH))


def test_masks_that_leave_nothing_are_an_error() -> None:
    masks = ImageStore.from_arrays([np.full((WIDTH, WIDTH), 255, np.uint8)] * VIEWS)
    pool = make_pool(replace(make_capture(), masks=masks), [0, 1])
    with pytest.raises(InputError, match="mask"):
        next(pool)


def test_batches_run_on_over_the_end_of_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "POOL", 1000)
    capture = make_capture()
    one = next(make_pool(capture, [0, 1, 2], count=2500))
    assert len(one.origins) == 2500
    parts = make_pool(capture, [0, 1, 2], count=500)
    joined = [
        torch.cat(columns) for columns in zip(*(vars(next(parts)).values() for _ in range(5)), strict=True)
    ]
    assert all(torch.equal(a, b) for a, b in zip(joined, vars(one).values(), strict=True))


@pytest.mark.parametrize("resident", [None, 2])
def test_a_loaded_state_gives_the_same_batches(monkeypatch: pytest.MonkeyPatch, resident: int | None) -> None:
    monkeypatch.setattr(batches_module, "POOL", 1000)
    if resident is not None:
        monkeypatch.setattr(batches_module, "RESIDENT_BYTES", resident * WIDTH * WIDTH * 3)
    capture, views = make_capture(), list(range(VIEWS))
    pool = make_pool(capture, views, count=700)
    for _ in range(3):
        next(pool)
    state, generator = pool.state_dict(), pool.generator.get_state()
    expected = [next(pool) for _ in range(4)]
    other = make_pool(capture, views, count=700, seed=99)
    next(other)
    other.load_state_dict(state)
    other.generator.set_state(generator)
    assert all(same(next(other), batch) for batch in expected)


def test_a_state_before_the_first_batch_loads() -> None:
    capture = make_capture()
    pool, other = (make_pool(capture, [0, 1]) for _ in range(2))
    other.load_state_dict(pool.state_dict())
    assert same(next(pool), next(other))


def test_few_images_are_held_and_all_take_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "POOL", 500)
    monkeypatch.setattr(batches_module, "RESIDENT_BYTES", 2 * WIDTH * WIDTH * 3)
    pool = make_pool(make_capture(), list(range(VIEWS)), count=500)
    seen: set[int] = set()
    for _ in range(30):
        views = set(addresses(next(pool))[:, 0].tolist())
        assert len(views) == 2
        assert len(pool._pixels._held) == 2
        seen |= views
    assert seen == set(range(VIEWS))
