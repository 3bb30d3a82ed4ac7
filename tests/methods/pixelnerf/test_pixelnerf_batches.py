"""What training batches hold, and that they follow from the generator alone."""

import numpy as np
import pytest
import torch
from pixelnerf_cases import COLOURS, SIDE, ball_capture, balls, small_config, small_method

from sightline.captures import Collection, CollectionObject
from sightline.foundation.errors import InputError
from sightline.methods.pixelnerf.batches import BatchMaker, OpenedObjects, draw_distinct
from sightline.methods.pixelnerf.method import PixelNerf


def maker(seed: int = 0, data: Collection | None = None, **changes) -> BatchMaker:
    method = PixelNerf(small_config(**changes))
    prepared = method.prepare(data or balls())
    return method.batches(prepared, torch.Generator().manual_seed(seed))


def test_rays_show_the_colours_of_their_pixels():
    batch = next(maker(target_views=None))
    assert batch.sources.images.shape[:1] == (2,)
    assert batch.colours.shape == (2, 64, 3)
    for group in range(2):
        origins, directions = batch.rays.origins[group], batch.rays.directions[group]
        torch.testing.assert_close(directions.norm(dim=-1), torch.ones(64))
        torch.testing.assert_close(origins.norm(dim=-1), torch.full((64,), 2.0))
        along = -(origins * directions).sum(-1, keepdim=True)
        nearest = (origins + along * directions).norm(dim=-1)
        white = (batch.colours[group] == 1).all(-1)
        # Half a pixel: published rays go through the corner that a pixel of the picture has.
        assert bool((nearest[~white] < 0.5 + 0.1).all())
        assert bool((nearest[white] > 0.5 - 0.1).all())
        shown = {tuple((255 * colour).round().int().tolist()) for colour in batch.colours[group][~white]}
        assert len(shown) == 1
        assert shown <= set(COLOURS)


def test_batches_follow_from_the_generator():
    first, again, other = (next(maker(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.rays.directions, again.rays.directions)
    assert torch.equal(first.sources.images, again.sources.images)
    assert not torch.equal(first.rays.directions, other.rays.directions)


def test_the_number_of_sources_is_drawn():
    batches = maker(source_counts=(1, 3))
    counts = {next(batches).sources.images.shape[1] for _ in range(12)}
    assert counts == {1, 3}
    with pytest.raises(InputError, match=r"'ball\d' has 6 views, fewer than the 7"):
        next(maker(source_counts=(7,)))


def test_few_views_are_read_where_that_is_asked_for(monkeypatch):
    read = []
    batches = maker(target_views=2, objects=1, rays=500)
    inner = batches.objects

    class Watched:
        objects = inner.objects

        def __len__(self):
            return len(inner)

        def __getitem__(self, index):
            capture = inner[index]
            monkeypatch.setattr(type(capture.images), "__getitem__", watch(type(capture.images)))
            return capture

    def watch(store, original=None):
        kept = original or ORIGINAL

        def get(self, index):
            read.append(index)
            return kept(self, index)

        return get

    from sightline.captures import ImageStore

    ORIGINAL = ImageStore.__getitem__
    batches.objects = Watched()
    next(batches)
    assert 2 <= len(set(read)) <= 4


def test_boxes_lead_to_the_object():
    def share(boxed: int) -> float:
        batch = next(maker(box_steps=boxed, rays=400))
        return float((batch.colours < 1).any(-1).float().mean())

    # A ball of this size fills 0.29 of the picture and 0.7 of its box.
    assert share(0) < 0.45
    assert share(1) > 0.6


def test_the_box_phase_ends_and_goes_on_after_resuming():
    batches = maker(box_steps=2, rays=400)
    shares = [float((next(batches).colours < 1).any(-1).float().mean()) for _ in range(3)]
    assert min(shares[:2]) > 0.6 > 0.45 > shares[2]
    resumed = maker(box_steps=2, rays=400)
    resumed.load_state_dict(batches.state_dict())
    assert float((next(resumed).colours < 1).any(-1).float().mean()) < 0.45


def test_part_of_the_rays_may_be_drawn_from_boxes_after_that():
    def share(box_share: float) -> float:
        batches = maker(box_steps=0, box_share=box_share, rays=400)
        return float(np.mean([(next(batches).colours < 1).any(-1).float().mean() for _ in range(6)]))

    nothing, all_of_them = share(0.0), share(1.0)
    assert all_of_them - nothing > 0.25
    assert share(0.5) == pytest.approx((nothing + all_of_them) / 2, abs=0.06)


def test_objects_are_closed_where_they_do_not_fit():
    opened = []

    def entry(number: int) -> CollectionObject:
        def open_it():
            opened.append(number)
            return ball_capture(number)

        return CollectionObject(str(number), "ball", open_it)

    held = OpenedObjects([entry(number) for number in range(3)], limit=-1)
    for index in (0, 0, 1, 0):
        held[index]
    assert opened == [0, 1, 0]
    kept = OpenedObjects([entry(number) for number in range(3)])
    opened.clear()
    for index in (0, 1, 0, 1):
        kept[index]
    assert opened == [0, 1]


def test_pictures_of_several_sizes():
    objects = [
        CollectionObject(str(n), "ball", lambda n=n: ball_capture(n, side=8 + 8 * n)) for n in range(2)
    ]
    data = Collection(name="mixed", objects=objects, splits={"train": ("0", "1")})
    with pytest.raises(InputError, match=r"pictures of different sizes \(16x16, 8x8\)"):
        next(maker(data=data, image_size=None, objects=2))
    assert next(maker(data=data, image_size=8, objects=2)).sources.images.shape[-1] == 8


def test_drawing():
    generator = torch.Generator().manual_seed(0)
    assert sorted(draw_distinct(5, 5, generator)) == list(range(5))
    assert len(set(draw_distinct(9, 4, generator))) == 4
    assert sorted(draw_distinct(2, 4, generator)) == [0, 0, 1, 1]


def test_colours_change_alike_in_all_views():
    plain, changed = (next(maker(colour_jitter=strength, objects=1)) for strength in (0.0, 0.1))
    assert not torch.equal(plain.sources.images, changed.sources.images)
    shown = changed.colours[0][(plain.colours[0] < 1).any(-1)]
    torch.testing.assert_close(shown, shown[:1].expand_as(shown))
    assert bool((changed.colours >= 0).all() and (changed.colours <= 1).all())


def test_other_objects_are_made_by_other_colours():
    orders = set()
    for seed in range(8):
        plain = next(maker(seed, objects=1))
        changed = next(maker(seed, objects=1, permute_colours=True))
        matter = (plain.colours[0] < 1).any(-1)
        one, other = plain.colours[0][matter][0], changed.colours[0][matter]
        torch.testing.assert_close(other, other[:1].expand_as(other))
        assert sorted(one.tolist()) == pytest.approx(sorted(other[0].tolist()))
        orders.add(tuple(other[0].argsort().tolist()) + tuple(one.argsort().tolist()))
        bent = next(maker(seed, objects=1, bend_colours=0.7))
        powers = bent.colours[0][matter][0].log() / one.log()
        assert bool((powers.log().abs() <= 0.7 + 1e-3).all())
        assert float(powers.log().abs().max()) > 0.01
        torch.testing.assert_close(bent.colours[0][~matter], plain.colours[0][~matter])
    assert len(orders) > 2


def test_methods_refuse_data_without_training_objects():
    data = balls()
    empty = Collection(name="none", objects=data.objects, splits={"train": ()})
    with pytest.raises(InputError, match="no objects in the split 'train'"):
        PixelNerf(small_config()).prepare(empty)
    assert np.isfinite(float(small_method().frame.near))
    assert SIDE == 16
