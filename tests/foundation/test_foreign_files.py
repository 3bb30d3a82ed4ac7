"""Files of other programs: read as they were written, nothing in them executed, damage told."""

import argparse
import collections
import io
import os
import pickle
import zipfile

import msgpack
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sightline.foundation.errors import InputError
from sightline.foundation.tensors import read_foreign
from sightline.foundation.unpickling import Foreign, RestrictedUnpickler, fields_of


class Settings(dict):
    """A dictionary of a foreign kind."""


class Callback:
    def __init__(self):
        self.best = torch.tensor([1.5, 2.5])
        self.history = [1, 2]


class Harmful:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (os.mkdir, (str(self.place),))


@pytest.fixture
def checkpoint():
    weights = collections.OrderedDict()
    weights["a.weight"] = torch.arange(6.0).reshape(2, 3)
    weights["a.transposed"] = weights["a.weight"].T
    weights["half"] = torch.tensor([0.5, 2.0], dtype=torch.float16)
    weights["brain"] = torch.tensor([0.5, 3.0], dtype=torch.bfloat16)
    weights["counts"] = torch.tensor([[1], [2]])
    weights["flags"] = torch.tensor([True, False])
    weights["part"] = torch.arange(10.0)[4:7]
    weights["none"] = torch.empty(0, 3)
    weights["number"] = torch.tensor(7.0)
    weights["parameter"] = torch.nn.Parameter(torch.ones(2))
    settings = Settings(depth=8)
    settings.extra = 3
    return {
        "epoch": 5,
        "state_dict": weights,
        "hparams": argparse.Namespace(N_samples=64, img_wh=[400, 300], root_dir="data/lego"),
        "hyper_parameters": settings,
        "callbacks": {Callback: Callback()},
        "sets": ({1, 2}, frozenset("a"), collections.defaultdict(list, x=[1])),
        "numpy": np.float64(2.5),
    }


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_files_with_foreign_classes(tmp_path, checkpoint, legacy):
    path = tmp_path / "net.ckpt"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=not legacy)
    found = read_foreign(path)
    assert found["epoch"] == 5
    assert list(found["state_dict"]) == list(checkpoint["state_dict"])
    for name, tensor in checkpoint["state_dict"].items():
        assert found["state_dict"][name].dtype == tensor.dtype, name
        assert torch.equal(found["state_dict"][name], tensor), name
    assert found["hparams"].name == "argparse.Namespace"
    assert fields_of(found["hparams"]) == {"N_samples": 64, "img_wh": [400, 300], "root_dir": "data/lego"}
    assert fields_of(found["hyper_parameters"]) == {"depth": 8, "extra": 3}
    (key,), (callback,) = found["callbacks"].keys(), found["callbacks"].values()
    assert "Callback" in key
    assert torch.equal(callback.state["best"], torch.tensor([1.5, 2.5]))
    assert callback.state["history"] == [1, 2]
    assert sorted(found["sets"][0]) == [1, 2]
    assert found["sets"][1:] == (["a"], {"x": [1]})
    assert found["numpy"] == 2.5


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_arrays(tmp_path, protocol):
    rows = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1.5, -2.0], dtype=">f8"), np.zeros(0)]
    rows += [np.asfortranarray(np.arange(6).reshape(3, 2)), np.array([True, False]), np.float32(3)]
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps(rows, protocol=protocol))
    found = read_foreign(path)
    for expected, array in zip(rows[:-1], found[:-1], strict=True):
        assert array.shape == expected.shape
        assert np.array_equal(array, expected)
    assert found[-1] == 3.0


def test_arrays_of_objects(tmp_path):
    rows = np.empty(3, dtype=object)
    rows[:] = [np.ones((2, 3), np.float32), np.zeros(3, np.float32), {"name": "x"}]
    np.save(tmp_path / "new.npy", rows, allow_pickle=True)
    # NumPy 1 calls its own module by another name.
    raw = (tmp_path / "new.npy").read_bytes()
    assert b"numpy._core" in raw
    (tmp_path / "old.npy").write_bytes(raw.replace(b"\x16numpy._core", b"\x15numpy.core"))
    old = raw.replace(b"cnumpy._core", b"cnumpy.core")
    (tmp_path / "old.npy").write_bytes(old)
    for name in ("new.npy", "old.npy"):
        found = read_foreign(tmp_path / name)
        assert found.shape == (3,)
        assert np.array_equal(found[0], rows[0])
        assert found[2] == {"name": "x"}


def test_arrays_archives_and_safetensors(tmp_path):
    grid = np.arange(4, dtype=np.int32)
    np.save(tmp_path / "a.npy", grid)
    np.savez(tmp_path / "a.npz", grid=grid)
    save_file({"grid": torch.from_numpy(grid)}, tmp_path / "a.weights")
    assert np.array_equal(read_foreign(tmp_path / "a.npy"), grid)
    assert np.array_equal(read_foreign(tmp_path / "a.npz")["grid"], grid)
    assert torch.equal(read_foreign(tmp_path / "a.weights")["grid"], torch.from_numpy(grid))


def packed(array, code=1, dtype=None):
    payload = msgpack.packb([list(array.shape), dtype or array.dtype.name, array.tobytes()])
    return msgpack.ExtType(code, payload)


def test_flax_trees(tmp_path):
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    brain = torch.tensor([1.5, -2.0]).bfloat16()
    tree = {
        "step": packed(np.array(7, np.int32), 3),
        "params": {"Dense_0": {"kernel": packed(kernel), "scale": 2.5, "none": None}},
        "brain": packed(brain.view(torch.int16).numpy(), dtype="bfloat16"),
        "complex": msgpack.ExtType(2, msgpack.packb([1.0, 2.0])),
    }
    path = tmp_path / "checkpoint_7"
    path.write_bytes(msgpack.packb(tree))
    found = read_foreign(path)
    assert int(found["step"]) == 7
    assert np.array_equal(found["params"]["Dense_0"]["kernel"], kernel)
    assert found["params"]["Dense_0"]["none"] is None
    assert found["brain"].tolist() == [1.5, -2.0]
    assert found["complex"] == 1 + 2j
    for bad in (packed(kernel, dtype="float99"), packed(kernel, code=9)):
        path.write_bytes(msgpack.packb({"a": bad}))
        with pytest.raises(InputError, match="cannot be read"):
            read_foreign(path)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "npy"])
def test_nothing_foreign_is_executed(tmp_path, form):
    place, path = tmp_path / "made", tmp_path / "file"
    content = {"a": Harmful(place), "b": [torch.zeros(2)] if form in ("zip", "legacy") else []}
    if form in ("zip", "legacy"):
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    elif form == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        with open(path, "wb") as file:
            np.save(file, np.array([content, 1], dtype=object), allow_pickle=True)
    found = read_foreign(path)
    found = found[0] if form == "npy" else found
    assert isinstance(found["a"], Foreign)
    assert found["a"].name == f"{os.mkdir.__module__}.mkdir"
    assert found["a"].arguments == [str(place)]
    assert not place.exists()


HOSTILE = {
    "attributes of the reader's own classes": b"\x80\x02cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.",
    "a reference outside": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "an array without content": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R.",
    "a tensor without storage": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))tR.",
    "an unknown opcode": b"\x80\x02\xff.",
    "an extension": b"\x80\x02\x82\x01.",
    "nothing": b"\x80\x02.",
    "endless depth": b"\x80\x02" + b"]" * 30_000 + b"a" * 29_999 + b".",
    "many bytes for a number": b"\x80\x02c_codecs\nencode\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.",
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles_are_refused(tmp_path, raw):
    path = tmp_path / "file.pkl"
    path.write_bytes(raw)
    with pytest.raises(InputError, match="cannot be read"):
        read_foreign(path)
    # The next reading is none the worse for it.
    path.write_bytes(pickle.dumps(np.arange(3)))
    assert read_foreign(path).tolist() == [0, 1, 2]


def test_circles_and_shared_parts(tmp_path):
    ring: list = [1]
    ring.append(ring)
    both = {"x": 1}
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps([ring, both, both]))
    found = read_foreign(path)
    assert found[0][1] is found[0]
    assert found[1] is found[2]


def test_storages_are_checked(tmp_path):
    def rewritten(change) -> None:
        with zipfile.ZipFile(tmp_path / "net.pt") as old, zipfile.ZipFile(path, "w") as new:
            for entry in old.namelist():
                data = change(entry, old.read(entry))
                if data is not None:
                    new.writestr(entry, data)

    torch.save({"a": torch.arange(4.0)}, tmp_path / "net.pt")
    path = tmp_path / "changed.pt"
    rewritten(lambda name, data: data)
    assert torch.equal(read_foreign(path)["a"], torch.arange(4.0))
    for change in (
        lambda name, data: data[:-4] if name.endswith("data/0") else data,
        lambda name, data: data + b"1234" if name.endswith("data/0") else data,
        lambda name, data: None if name.endswith("data/0") else data,
        # A tensor of 9 numbers in a storage of 4; strides beyond it.
        lambda name, data: data.replace(b"K\x04\x85", b"K\x09\x85"),
        lambda name, data: data.replace(b"K\x01\x85", b"K\x09\x85"),
    ):
        rewritten(change)
        with pytest.raises(InputError, match="cannot be read") as caught:
            read_foreign(path)
        assert "changed.pt" in str(caught.value)


@pytest.mark.parametrize("form", ["zip", "legacy", "npy", "msgpack"])
@pytest.mark.parametrize("keep", [0.02, 0.3, 0.97])
def test_cut_short(tmp_path, form, keep):
    path = tmp_path / "file"
    with open(path, "wb") as file:
        if form == "npy":
            np.save(file, np.array([np.zeros(50), "x"], dtype=object), allow_pickle=True)
        elif form == "msgpack":
            file.write(msgpack.packb({"a": packed(np.zeros(50))}))
        else:
            torch.save({"a": torch.rand(50)}, file, _use_new_zipfile_serialization=form == "zip")
    raw = path.read_bytes()
    path.write_bytes(raw[: max(9, int(keep * len(raw)))])
    with pytest.raises(InputError) as caught:
        read_foreign(path)
    assert str(path) in str(caught.value)


def test_other_files(tmp_path):
    path = tmp_path / "file"
    for raw, said in [
        (b"", "no form that holds arrays"),
        (b"hello, world", "no form that holds arrays"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    ]:
        path.write_bytes(raw)
        with pytest.raises(InputError, match=said):
            read_foreign(path)
    with pytest.raises(InputError, match="does not exist"):
        read_foreign(tmp_path / "none")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "x")
    with pytest.raises(InputError, match="cannot be read"):
        read_foreign(path)


def test_names_give_stand_ins_only():
    unpickler = RestrictedUnpickler(io.BytesIO(b""))
    for module, name in [("builtins", "eval"), ("os", "system"), ("torch", "load"), ("numpy", "ndarray")]:
        found = unpickler.find_class(module, name)
        assert found.__mro__[-2].__module__ == "sightline.foundation.unpickling"
        assert found("print('executed')").arguments == ("print('executed')",)


def test_fields_of_anything():
    assert fields_of(None) == {}
    assert fields_of([1]) == {}
    assert fields_of({"a": 1, 2: 3}) == {"a": 1}
    assert fields_of(Foreign("x", [{"a": 1}], {"b": 2}, {"c": 3})) == {"a": 1, "b": 2, "c": 3}
