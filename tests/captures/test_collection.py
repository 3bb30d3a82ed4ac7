import functools
import pickle

import pytest

from sightline.captures import Collection, CollectionObject, open_capture
from sightline.captures.collection import read_id_list, splits_from_lists
from sightline.foundation.errors import InputError


@pytest.fixture
def two_objects(transforms_scene):
    folders = {name: transforms_scene(3, name=name) for name in ("chair_1", "car_1")}
    return [
        CollectionObject(id=name, category=name.split("_")[0], open=functools.partial(open_capture, folder))
        for name, folder in folders.items()
    ]


def test_objects_are_opened_when_asked_for(two_objects):
    collection = Collection(
        name="pair", objects=two_objects, splits={"train": ("chair_1",), "val": (), "test": ("car_1",)}
    )
    assert len(collection) == 2
    assert collection.categories == ("car", "chair")
    assert [entry.id for entry in collection] == ["chair_1", "car_1"]
    (entry,) = collection.split("test")
    capture = entry.open()
    assert (capture.name, len(capture), capture.images[0].shape) == ("car_1", 3, (12, 16, 3))
    assert pickle.loads(pickle.dumps(entry)).open().name == "car_1"


def test_opening_is_lazy():
    opened = []
    entries = [
        CollectionObject(str(index), "thing", lambda index=index: opened.append(index)) for index in range(3)
    ]
    collection = Collection(name="many", objects=entries, splits={"train": ("0", "2")})
    assert [entry.id for entry in collection.split("train")] == ["0", "2"]
    assert opened == []


def test_unknown_objects_and_splits(two_objects):
    collection = Collection(name="pair", objects=two_objects, splits={"train": ("car_1",), "test": ()})
    assert collection["car_1"].category == "car"
    with pytest.raises(InputError, match=r"no object 'boat'.*2, for example chair_1, car_1"):
        collection["boat"]
    with pytest.raises(InputError, match=r"no objects in the split 'test'.*train \(1\)"):
        collection.split("test")
    with pytest.raises(ValueError, match="unknown objects"):
        Collection(name="pair", objects=two_objects, splits={"train": ("boat",)})
    with pytest.raises(ValueError, match="same id"):
        Collection(name="pair", objects=[two_objects[0]] * 2, splits={})


def test_splits_come_from_list_files(two_objects, tmp_path, warnings_seen):
    train, test = tmp_path / "train.lst", tmp_path / "test.lst"
    train.write_text("chair_1\n\n  gone_1 \nchair_1\n", encoding="utf-8")
    test.write_text("car_1\r\n", encoding="utf-8")
    assert read_id_list(train) == ("chair_1", "gone_1")
    lists = {"train": train, "test": test}
    assert splits_from_lists(lists, two_objects) == {"train": ("chair_1",), "test": ("car_1",)}
    (warning,) = warnings_seen()
    assert warning.startswith("1 of 3 listed objects have no data (train: 1, first gone_1)")
    with pytest.raises(InputError, match=r"no data.*train\.lst"):
        splits_from_lists(lists, two_objects, strict=True)
    with pytest.raises(InputError, match=r"Cannot read the list.*none\.lst"):
        read_id_list(tmp_path / "none.lst")
