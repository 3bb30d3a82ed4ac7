import pickle
import threading

import numpy as np
import pytest
from PIL import Image

from sightline.captures import ImageStore, image_store
from sightline.foundation.errors import InputError


@pytest.fixture
def files(tmp_path):
    paths = []
    for index in range(6):
        path = tmp_path / f"{index}.png"
        Image.fromarray(np.full((8, 10, 3), 10 * index, np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.fixture
def decoded(monkeypatch):
    """The files that were decoded, in order."""
    seen = []
    decode = image_store.decode
    monkeypatch.setattr(
        image_store, "decode", lambda path, channels: (seen.append(path.name), decode(path, channels))[1]
    )
    return seen


def store_of(files, **options):
    return ImageStore(files, [(10, 8)] * len(files), channels=3, **options)


def test_nothing_is_decoded_before_it_is_asked_for(files, decoded):
    store = store_of(files)
    assert (len(store), store.channels, store.nbytes) == (6, 3, 6 * 240)
    np.testing.assert_array_equal(store.sizes, [[10, 8]] * 6)
    assert decoded == []
    assert store[2].shape == (8, 10, 3)
    assert (store[2] == 20).all()
    assert decoded == ["2.png"]
    assert (store[-1] == 50).all()
    with pytest.raises(IndexError):
        store[6]


def test_cache_holds_no_more_bytes_than_allowed_and_drops_the_oldest(files, decoded):
    store = store_of(files, cache_bytes=2 * 240)
    for index in (0, 1, 0, 2):  # 1 is now the least recently used and goes
        store[index]
    assert store.cached_bytes == 480
    decoded.clear()
    for index in (0, 2, 1):
        store[index]
    assert decoded == ["1.png"]


def test_parallel_loading_gives_the_order_asked_for(files):
    store = store_of(files)
    images = store.load([4, 0, 4], threads=3)
    assert [int(image[0, 0, 0]) for image in images] == [40, 0, 40]
    assert [int(image[0, 0, 0]) for image in store.load()] == [0, 10, 20, 30, 40, 50]


def test_many_threads_at_once(files):
    store = store_of(files, cache_bytes=500)
    wrong = []

    def work(seed):
        for index in np.random.default_rng(seed).integers(0, 6, 50):
            if not (store[int(index)] == 10 * index).all():
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.cached_bytes <= 500


def test_subsets_share_the_cache(files, decoded):
    store = store_of(files)
    part = store.subset([3, 1])
    assert (part[0] == 30).all()
    assert (store[3] == 30).all()
    assert decoded == ["3.png"]
    assert part.paths == (files[3], files[1])


def test_pickled_stores_leave_the_cache_behind(files):
    store = store_of(files)
    store.load()
    copy = pickle.loads(pickle.dumps(store))
    assert copy.cached_bytes == 0
    assert (copy[5] == 50).all()


def test_images_cannot_be_written_to(files):
    with pytest.raises(ValueError, match="read-only"):
        store_of(files)[0][0, 0] = 1


def test_arrays_stay_what_they_are():
    image = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    store = ImageStore.from_arrays([image])
    np.testing.assert_array_equal(store[0], image)
    assert store.channels == 4
    assert store.paths == (None,)
    image[0, 0, 0] = 99  # the caller's array stays writeable
    with pytest.raises(ValueError, match="same number"):
        ImageStore.from_arrays([image, image[..., :3]])


def test_masks_ignore_every_pixel_that_is_touched(tmp_path):
    mask = np.zeros((4, 4), np.uint8)
    mask[0, 3] = 1  # one of four pixels, and dark
    Image.fromarray(mask).save(tmp_path / "mask.png")
    store = ImageStore([tmp_path / "mask.png", None], [(2, 2), (2, 2)], channels=1)
    np.testing.assert_array_equal(store[0], [[0, 255], [0, 0]])
    np.testing.assert_array_equal(store[1], np.zeros((2, 2)))
    inverted = ImageStore([tmp_path / "mask.png"], [(2, 2)], channels=1, invert=True)
    np.testing.assert_array_equal(inverted[0], [[255, 255], [255, 255]])


def test_masks_smaller_than_their_image_are_enlarged(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "mask.png")
    store = ImageStore([tmp_path / "mask.png"], [(4, 2)], channels=1)
    np.testing.assert_array_equal(store[0], [[0, 0, 255, 255]] * 2)


def test_masks_of_another_shape_are_refused(tmp_path):
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(tmp_path / "mask.png")
    assert ImageStore([tmp_path / "mask.png"], [(21, 16)], channels=1)[0].shape == (16, 21)  # rounding
    with pytest.raises(InputError, match=r"16x12 pixels has another shape.*12x16.*mask\.png"):
        ImageStore([tmp_path / "mask.png"], [(12, 16)], channels=1)[0]


def test_an_image_that_was_replaced_by_a_smaller_one(files):
    store = store_of(files)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(files[1])
    with pytest.raises(InputError, match=r"5x4.*10x8.*1\.png"):
        store[1]
