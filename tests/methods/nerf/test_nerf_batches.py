"""Training rays: the photos' pixels, in the order that was asked for, and drawn again on resuming."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from nerf_cases import ball_capture, small_config

from sightline.captures import Capture
from sightline.captures.image_store import ImageStore
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.methods.nerf import batches as batches_module
from sightline.methods.nerf.batches import BatchMaker, NerfBatch, Pixels, shuffled
from sightline.methods.nerf.frame import find_frame
from sightline.methods.nerf.rays import RayMaker

VIEWS, WIDTH, HEIGHT = 6, 12, 10


def make_capture(channels: int = 3, masked: bool = False) -> Capture:
    """Images in which every pixel says where it is: view, x and y."""
    images, masks = [], []
    for view in range(VIEWS):
        image = np.full((HEIGHT, WIDTH, channels), 200, np.uint8)
        image[..., 0] = view
        image[..., 1] = np.arange(WIDTH)
        image[..., 2] = np.arange(HEIGHT)[:, None]
        images.append(image)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:, : 2 + view] = 255
        masks.append(mask)
    base = ball_capture(VIEWS, WIDTH, format="blender")
    return replace(
        base,
        cameras=Cameras.create(base.cameras.c2w, fx=15.0, width=WIDTH, height=HEIGHT),
        images=ImageStore.from_arrays(images),
        masks=ImageStore.from_arrays(masks) if masked else None,
        splits={"train": tuple(range(VIEWS))},
    )


def make(capture: Capture, views: list[int], seed: int = 0, **settings: Any) -> BatchMaker:
    own = {name: settings.pop(name) for name in ("random_background",) if name in settings}
    one_image = settings.get("one_image", "never") == "always"
    config = small_config(**settings)
    maker = RayMaker(capture.cameras[views], config, find_frame(capture, config))
    generator = torch.Generator().manual_seed(seed)
    return BatchMaker(Pixels(capture, views), maker, config, generator, one_image=one_image, **own)


def addresses(batch: NerfBatch) -> torch.Tensor:
    """(rays, 3) view, x, y that the colours spell."""
    return (batch.colours[:, :3] * 255).round().long()


def same(a: NerfBatch, b: NerfBatch) -> bool:
    return torch.equal(a.colours, b.colours) and torch.equal(a.rays.directions, b.rays.directions)


@pytest.mark.parametrize("total", [1, 2, 3, 7, 64, 100, 4097])
def test_a_shuffled_order_holds_every_number_once(total: int) -> None:
    keys = [17, 2**30 + 5, 99, 123_456_789, 3, 2**31 - 1]
    order = shuffled(torch.arange(total), total, keys)
    assert torch.equal(order.sort().values, torch.arange(total))
    parts = [shuffled(part, total, keys) for part in torch.arange(total).split(3)]
    assert torch.equal(torch.cat(parts), order)


def test_shuffled_orders_look_random() -> None:
    keys = torch.randint(1 << 31, (20, 6), generator=torch.Generator().manual_seed(0)).tolist()
    firsts = torch.stack([shuffled(torch.arange(200), 10_000, key) for key in keys]).double()
    # Uniform numbers below 10000: mean 5000, deviation 2887; 4000 of them; neighbours do not correlate.
    assert float(firsts.mean()) == pytest.approx(5000, abs=4 * 2887 / 4000**0.5)
    assert float(firsts.std()) == pytest.approx(2887, rel=0.03)
    steps = firsts - 5000
    assert abs(float((steps[:, 1:] * steps[:, :-1]).mean())) < 4 * 2887**2 / 4000**0.5


def test_an_epoch_takes_every_pixel_once() -> None:
    capture = make_capture()
    maker = make(capture, [1, 2, 4], rays=50)
    total = 3 * WIDTH * HEIGHT
    found = torch.cat([addresses(next(maker)) for _ in range(2 * total // 50 + 1)])
    for epoch in range(2):
        part = found[epoch * total : (epoch + 1) * total]
        assert len(set(map(tuple, part.tolist()))) == total
    assert set(found[:, 0].tolist()) == {1, 2, 4}
    assert not torch.equal(found[:total], found[total : 2 * total])


def test_rays_are_those_of_their_pixels() -> None:
    capture = make_capture(4)
    batch = next(make(capture, [1, 3, 4], rays=200))
    assert batch.colours.shape == (200, 4)
    view, x, y = addresses(batch).unbind(-1)
    made = RayMaker(capture.cameras, small_config(), find_frame(capture, small_config()))(
        view, torch.stack([x, y], -1)
    )
    torch.testing.assert_close(batch.rays.directions, made.rays.directions.float())
    torch.testing.assert_close(batch.rays.origins, made.rays.origins.float())
    # Corners of pixels, and directions that reach the plane z = -1.
    local = torch.stack([x - WIDTH / 2, HEIGHT / 2 - y, torch.full_like(x, -1)], -1).double()
    local[:, :2] /= float(capture.cameras.fx[0])
    expected = (capture.cameras.c2w[view, :, :3] * local[:, None]).sum(-1).float()
    torch.testing.assert_close(batch.rays.directions, expected)


def test_with_replacement_pixels_are_drawn_evenly() -> None:
    batch = next(make(make_capture(), list(range(VIEWS)), rays=30_000, batching="replacement"))
    view, x, _ = addresses(batch).unbind(-1)
    assert bool(((view.bincount() - 5000).abs() < 5 * 5000**0.5).all())
    assert bool(((x.bincount() - 2500).abs() < 5 * 2500**0.5).all())


def test_one_image_at_a_time() -> None:
    maker = make(make_capture(), [0, 2, 5], rays=40, one_image="always")
    seen = set()
    for _ in range(12):
        found = addresses(next(maker))
        assert len(set(found[:, 0].tolist())) == 1
        assert len(set(map(tuple, found.tolist()))) == 40
        seen.add(int(found[0, 0]))
    assert seen == {0, 2, 5}


def test_all_pixels_of_one_image() -> None:
    found = addresses(next(make(make_capture(), [3, 4], rays=0, one_image="always")))
    assert len(set(map(tuple, found.tolist()))) == WIDTH * HEIGHT
    # Row by row.
    assert torch.equal(found[:, 1], torch.arange(WIDTH).repeat(HEIGHT))


def test_the_middle_of_images_comes_first() -> None:
    maker = make(make_capture(), [0, 1], rays=0, one_image="always", precrop_steps=3, precrop_fraction=0.5)
    for step in range(4):
        found = addresses(next(maker))
        if step < 3:
            assert set(found[:, 1].tolist()) == set(range(3, 9))
            assert set(found[:, 2].tolist()) == {3, 4, 5, 6}
        else:
            assert len(found) == WIDTH * HEIGHT


@pytest.mark.parametrize("one_image", ["never", "always"])
def test_masked_pixels_are_never_drawn(one_image: str) -> None:
    maker = make(make_capture(masked=True), [0, 2, 3], rays=64, one_image=one_image)
    found = torch.cat([addresses(next(maker)) for _ in range(30)])
    view, x, _ = found.unbind(-1)
    assert bool((x >= 2 + view).all())
    assert set(x[view == 2].tolist()) == set(range(4, WIDTH))


def test_masks_that_leave_nothing_are_an_error() -> None:
    masks = ImageStore.from_arrays([np.full((HEIGHT, WIDTH), 255, np.uint8)] * VIEWS)
    with pytest.raises(InputError, match="mask"):
        Pixels(replace(make_capture(), masks=masks), [0, 1])


def test_large_captures_are_read_from_their_images(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = make_capture(masked=True)
    expected = [next(make(capture, [0, 2, 3], rays=64)) for _ in range(1)]
    monkeypatch.setattr(batches_module, "RESIDENT_BYTES", 10)
    assert same(next(make(capture, [0, 2, 3], rays=64)), expected[0])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batching": "replacement"},
        {"one_image": "always", "precrop_steps": 5},
        {"random_background": True},
    ],
)
def test_a_loaded_state_gives_the_same_batches(settings: dict) -> None:
    capture = make_capture()
    maker = make(capture, list(range(VIEWS)), rays=100, **settings)
    for _ in range(3):
        next(maker)
    state, generator = maker.state_dict(), maker.generator.get_state()
    expected = [next(maker) for _ in range(8)]
    other = make(capture, list(range(VIEWS)), seed=99, rays=100, **settings)
    next(other)
    other.load_state_dict(state)
    other.generator.set_state(generator)
    for batch in expected:
        found = next(other)
        assert same(found, batch)
        if batch.random_colours is not None:
            assert found.random_colours is not None
            assert torch.equal(found.random_colours, batch.random_colours)
