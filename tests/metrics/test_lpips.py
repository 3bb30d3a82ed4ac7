import os
import zlib

import numpy as np
import pytest
import torch

from sightline.foundation.cache import UnavailableError, sha256_of
from sightline.foundation.errors import InputError
from sightline.foundation.tensors import read_tensors
from sightline.metrics.backbones import BACKBONES
from sightline.metrics.lpips import BACKBONE_ASSETS, HEAD_ASSETS, Lpips

CHECKPOINT_NAMES = {"vgg": "vgg16", "alex": "alexnet"}


def rule_weights(backbone):
    """Deterministic weights that the reference numbers were computed with."""
    state = {}
    for key, value in BACKBONES[backbone]().state_dict().items():
        name = f"0:{CHECKPOINT_NAMES[backbone]}.{key}"
        random = np.random.default_rng(zlib.crc32(name.encode()))
        n = random.standard_normal(tuple(value.shape)).astype(np.float32)
        factor = np.sqrt(2 / np.prod(value.shape[1:])) if value.ndim >= 2 else 0.05
        state[key] = torch.from_numpy(n * np.float32(factor))
    return state


@pytest.fixture(scope="session")
def heads_folder(shared):
    return shared / "data" / "weights" / "lpips_lin" / "v0.1"


@pytest.fixture(scope="session", params=["vgg", "alex"])
def metric(request, heads_folder):
    heads = read_tensors(heads_folder / f"{request.param}.pth")
    return Lpips(request.param).load(rule_weights(request.param), heads)


def test_golden_pairs(metric, golden_pair):
    values = golden_pair.values
    layers = metric.layer_distances(golden_pair.prediction, golden_pair.truth)
    assert layers.tolist() == pytest.approx(values[f"lpips_{metric.name}_layers"].tolist(), abs=2e-6)
    found = metric(golden_pair.prediction, golden_pair.truth).item()
    assert found == pytest.approx(float(values[f"lpips_{metric.name}"]), abs=5e-6)


def test_distance_of_identical_pictures_is_zero_and_symmetric(metric):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 40, 35, 3, generator=generator)
    assert metric(a, a).item() == 0
    assert metric(a, b).item() == pytest.approx(metric(b, a).item(), rel=1e-5)
    assert metric(a, b).item() > 0


def test_batches_keep_their_axes(metric):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 2, 2, 32, 33, 3, generator=generator)
    together = metric(a, b)
    assert together.shape == (2, 2)
    assert together[1, 0].item() == pytest.approx(metric(a[1, 0], b[1, 0]).item(), rel=1e-4)


@pytest.mark.parametrize("name", ["vgg", "alex"])
def test_smallest_picture(name):
    smallest = Lpips(name).backbone.smallest
    picture = torch.rand(smallest, smallest, 3)
    assert Lpips(name)(picture, picture).item() == 0
    with pytest.raises(ValueError, match=f"{smallest} pixels"):
        Lpips(name)(picture[1:], picture[1:])


@pytest.mark.parametrize("name", ["vgg", "alex"])
def test_checkpoint_names_and_shapes_are_torchvisions(name):
    state = BACKBONES[name]().state_dict()
    expected = {
        "vgg": {
            "features.0.weight": (64, 3, 3, 3),
            "features.28.bias": (512,),
            "features.17.weight": (512, 256, 3, 3),
        },
        "alex": {
            "features.0.weight": (64, 3, 11, 11),
            "features.10.bias": (256,),
            "features.3.weight": (192, 64, 5, 5),
        },
    }[name]
    assert len(state) == {"vgg": 26, "alex": 10}[name]
    assert {key: tuple(state[key].shape) for key in expected} == expected


def test_weights_of_another_network_are_refused(heads_folder):
    heads = read_tensors(heads_folder / "vgg.pth")
    with pytest.raises(InputError, match=r"LPIPS vgg: features\.0\.weight"):
        Lpips("vgg").load(rule_weights("alex"), heads)
    features = rule_weights("alex")
    with pytest.raises(InputError, match=r"lin1\.model\.1\.weight"):
        Lpips("alex").load(features, heads, where="heads.pth")
    del features["features.0.bias"]
    with pytest.raises(InputError, match=r"features\.0\.bias is missing"):
        Lpips("alex").load(features, heads)


@pytest.mark.parametrize("name", ["vgg", "alex"])
def test_checksums_of_the_published_heads(heads_folder, name):
    path = heads_folder / f"{name}.pth"
    assert sha256_of(path) == HEAD_ASSETS[name].sha256
    assert path.stat().st_size == HEAD_ASSETS[name].size


@pytest.mark.parametrize("name", ["vgg", "alex"])
def test_backbones_are_checked_by_the_hash_in_their_published_name(name):
    asset = BACKBONE_ASSETS[name]
    assert asset.name.endswith(f"-{asset.sha256[:8]}.pth")
    assert asset.url.endswith(asset.name)
    assert len(asset.sha256) == 64


def test_local_files_are_used_and_marked(tmp_path, monkeypatch, heads_folder, caplog):
    features = rule_weights("alex") | {"classifier.1.weight": torch.zeros(3, 3)}
    torch.save(features, tmp_path / "alexnet-owt-7be5be79.pth")
    places = (tmp_path / "alexnet-owt-7be5be79.pth", heads_folder)
    monkeypatch.setenv("SIGHTLINE_WEIGHTS", os.pathsep.join(map(str, places)))
    metric = Lpips.from_cache("alex")
    a, b = torch.rand(2, 40, 40, 3)
    expected = Lpips("alex").load(features, read_tensors(heads_folder / "alex.pth"))(a, b)
    assert metric(a, b).item() == expected.item()
    assert metric.provenance.heads_sha256 == HEAD_ASSETS["alex"].sha256
    assert not metric.provenance.published
    assert "not the published alexnet" in caplog.text


def test_without_weights_the_reason_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("SIGHTLINE_OFFLINE", "1")
    monkeypatch.delenv("SIGHTLINE_WEIGHTS", raising=False)
    with pytest.raises(UnavailableError, match=r"lpips_v0\.1_vgg\.pth is not on this machine"):
        Lpips.from_cache("vgg")
