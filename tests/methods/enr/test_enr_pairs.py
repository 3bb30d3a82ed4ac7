import hashlib

import numpy as np
import pytest
import torch
from enr_cases import made_collection, small_config
from hypothesis import given
from hypothesis import strategies as st

from sightline.foundation.errors import InputError
from sightline.methods.enr.method import Enr
from sightline.methods.enr.pairs import PictureBank, pair_order, share_of_batch
from sightline.methods.enr.pictures import fit_pictures


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_the_published_order(golden):
    stored = golden.numbers["loader"]
    order = pair_order([stored["num_imgs_per_scene"]] * stored["num_scenes"], seeded(0))
    assert order[:64].tolist() == stored["sampler_seed0_first64"]
    assert len(order) == stored["sampler_len"]
    assert (
        hashlib.sha256(order.numpy().astype(np.int64).tobytes()).hexdigest() == stored["sampler_sha256_int64"]
    )


def test_the_published_first_batch(golden):
    """The published loader draws a seed for its workers first."""
    stored = golden.numbers["loader"]
    generator = seeded(5)
    torch.empty((), dtype=torch.int64).random_(generator=generator)
    numbers = pair_order([250] * 3, generator)[:8].tolist()
    collection = golden.collection("original", angle_unit="degrees")
    captures = [collection[id].open() for id in stored["scene_order"]]
    assert [captures[n // 250].name for n in numbers] == stored["dataloader_seed5_batch8_scene_names"]
    azimuths = [captures[n // 250].per_view["azimuth"][n % 250] for n in numbers]
    assert azimuths == pytest.approx(stored["dataloader_seed5_batch8_azimuth"], abs=1e-4)


def test_pictures_are_those_of_the_published_loader(golden):
    arrays = golden.arrays("loader")
    collection = golden.collection("original", angle_unit="degrees")
    picture = collection[golden.numbers["loader"]["scene_order"][0]].open().images[5]
    whole = fit_pictures([picture], small_config(image_size=128))[0]
    assert np.abs(whole.numpy() / 255 - arrays["item5"]).max() < 1e-6
    cropped = fit_pictures([picture], small_config(image_size=64, crop=100, resize=True))[0]
    assert np.abs(cropped.numpy() / 255 - arrays["item5_crop100_resize64"]).max() < 1e-6


@given(st.lists(st.integers(1, 5).map(lambda n: 2 * n), min_size=1, max_size=6), st.integers(0, 99))
def test_every_view_once_in_pairs_of_one_object(counts, seed):
    order = pair_order(counts, seeded(seed))
    assert sorted(order.tolist()) == list(range(sum(counts)))
    owner = np.repeat(np.arange(len(counts)), counts)[order.numpy()].reshape(-1, 2)
    assert (owner[:, 0] == owner[:, 1]).all()


def test_batches_show_pairs_with_the_motion_between_them():
    collection = made_collection(objects=3, views=6)
    method = Enr(small_config(motion="rototranslation"))
    objects = method.prepare(collection)
    assert [len(entry.views) for entry in objects] == [4, 4, 4]
    batches = method.batches(objects, seeded(3))
    batch = next(batches)
    assert batch.pictures.shape == (4, 3, 16, 16)
    for first in (0, 2):
        there, back = (torch.cat([motion, torch.eye(4)[3:]]) for motion in batch.motions[first : first + 2])
        assert torch.allclose(there @ back, torch.eye(4), atol=1e-5)
        assert not torch.allclose(there, torch.eye(4), atol=1e-2)
        # The objects of these pictures have a colour each.
        assert torch.equal(batch.pictures[first, :, 8, 8], batch.pictures[first + 1, :, 8, 8])
    assert not torch.equal(batch.pictures[0, :, 8, 8], batch.pictures[2, :, 8, 8])


def test_batches_go_on_where_they_were():
    method = Enr(small_config())
    objects = method.prepare(made_collection(objects=3, views=6))
    generator = seeded(3)
    batches = method.batches(objects, generator)
    for _ in range(4):
        next(batches)
    state, random = batches.state_dict(), generator.get_state()
    wanted = [next(batches).pictures for _ in range(6)]
    other = seeded(8)
    resumed = method.batches(objects, other)
    resumed.load_state_dict(state)
    other.set_state(random)
    assert all(torch.equal(next(resumed).pictures, pictures) for pictures in wanted)


def test_an_epoch_shorter_than_a_batch_is_joined_with_the_next():
    method = Enr(small_config(batch_size=16))
    batches = method.batches(method.prepare(made_collection(objects=1, views=6)), seeded(0))
    counts = torch.bincount(torch.cat([batches.next_numbers() for _ in range(4)]), minlength=4)
    assert counts.tolist() == [16] * 4


def test_pictures_that_are_not_held_are_the_same(caplog):
    method = Enr(small_config())
    objects = method.prepare(made_collection(objects=3, views=6))
    held = PictureBank(objects, method.config)
    read = PictureBank(objects, method.config, resident_bytes=0)
    assert "do not fit into memory" in caplog.text
    numbers = torch.tensor([11, 0, 5, 4])
    assert torch.equal(held.pictures(numbers), read.pictures(numbers))


def test_differing_numbers_of_views_are_told(caplog):
    collection = made_collection(objects=3, views=[6, 9, 2])
    objects = Enr(small_config()).prepare(collection)
    assert [len(entry.views) for entry in objects] == [4, 6]
    assert (
        "1 of 2 objects have other numbers of views than the first (4); 1 have less than two" in caplog.text
    )


def test_processes_share_a_batch_without_parting_pairs():
    assert share_of_batch(16, 4) == 4
    with pytest.raises(InputError, match="without parting pairs"):
        share_of_batch(6, 2)


def test_transparent_pictures_are_put_on_white():
    picture = np.zeros((16, 16, 4), np.uint8)
    picture[:8, :, 3] = 255
    picture[8:, :, 3] = 51
    found = fit_pictures([picture], small_config())[0]
    assert found[:, :8].eq(0).all()
    assert found[:, 8:].eq(204).all()


def test_sizes_that_do_not_fit():
    picture = np.full((48, 32, 3), 7, np.uint8)
    picture[8:40] = 90
    with pytest.raises(InputError, match=r"32x48 pixels, and this network takes 16x16.*--resize"):
        fit_pictures([picture], small_config())
    square = np.full((32, 32, 3), 90, np.uint8)
    with pytest.raises(InputError, match="--downscale 2"):
        fit_pictures([square], small_config())
    assert fit_pictures([picture], small_config(resize=True)).eq(90).all()
    assert fit_pictures([square], small_config(crop=16)).eq(90).all()
