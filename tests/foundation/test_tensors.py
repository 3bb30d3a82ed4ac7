import pickle

import pytest
import torch
from safetensors.torch import save_file

from sightline.foundation.errors import InputError
from sightline.foundation.tensors import read_tensors


@pytest.fixture
def tensors():
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_files(tmp_path, tensors, legacy):
    path = tmp_path / "net.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
    found = read_tensors(path)
    assert list(found) == ["a.weight", "b"]
    assert all(torch.equal(found[key], tensors[key]) for key in tensors)


def test_safetensors_files(tmp_path, tensors):
    save_file(tensors, tmp_path / "net.safetensors")
    found = read_tensors(tmp_path / "net.safetensors")
    assert all(torch.equal(found[key], tensors[key]) for key in tensors)


class Harmful:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("kind", ["zip", "pickle"])
def test_nothing_foreign_is_executed(tmp_path, capsys, kind):
    path = tmp_path / "net.pth"
    if kind == "zip":
        torch.save({"a": Harmful()}, path)
    else:
        path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(InputError, match="Cannot read tensors"):
        read_tensors(path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 10, 200])
def test_cut_short(tmp_path, tensors, suffix, keep):
    path = tmp_path / f"net{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[:keep] if keep < 200 else path.read_bytes()[:-8])
    with pytest.raises(InputError, match="Cannot read tensors") as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)


def test_missing_and_not_flat(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_tensors(tmp_path / "none.pth")
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "nested.pth")
    with pytest.raises(InputError, match="flat dictionary"):
        read_tensors(tmp_path / "nested.pth")
