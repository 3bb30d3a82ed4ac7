import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from sightline.metrics.ssim import ssim, ssim_map

OPTIONS = {
    "uniform": {},
    "gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}


def oracle(prediction, truth, window, data_range=1.0):
    return structural_similarity(prediction, truth, data_range=data_range, channel_axis=-1, **OPTIONS[window])


@pytest.mark.parametrize("window", OPTIONS)
@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(11, 40), st.integers(11, 40)),
    noise=st.floats(0, 1),
    data_range=st.sampled_from([1.0, 2.0]),
)
@settings(max_examples=40, deadline=None)
def test_agrees_with_scikit_image(window, seed, size, noise, data_range):
    random = np.random.default_rng(seed)
    truth = np.clip(random.random((*size, 3)).cumsum(0) / 10 % 1, 0, 1)
    prediction = np.clip(truth + noise * random.normal(size=truth.shape), 0, 1)
    found = ssim(torch.from_numpy(prediction), torch.from_numpy(truth), window, data_range).item()
    assert found == pytest.approx(oracle(prediction, truth, window, data_range), abs=1e-9)


@pytest.mark.parametrize("window", OPTIONS)
def test_map_agrees_with_scikit_image_inside_its_border(window):
    prediction, truth = np.random.default_rng(1).random((2, 20, 30, 3))
    _, full = structural_similarity(
        prediction, truth, data_range=1.0, channel_axis=-1, full=True, **OPTIONS[window]
    )
    border = 5 if window == "gaussian" else 3
    found = ssim_map(torch.from_numpy(prediction), torch.from_numpy(truth), window)
    assert np.allclose(found, full[border:-border, border:-border], atol=1e-9)


def test_golden_pairs(golden_pair):
    pair = golden_pair
    found = ssim(pair.prediction, pair.truth, "uniform").item()
    assert found == pytest.approx(float(pair.values["ssim_f64"]), abs=1e-6)
    assert found == pytest.approx(float(pair.values["ssim"]), abs=2e-5)
    for window in OPTIONS:
        expected = oracle(pair.prediction.numpy(), pair.truth.numpy(), window)
        assert ssim(pair.prediction, pair.truth, window).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["blur", "noise", "other"])
def test_golden_gaussian_window_with_sample_covariance(shared, name):
    folder = shared / "golden" / "gpnr"
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))["metrics"]
    values = golden["other_view" if name == "other" else f"{name}_fp16"]
    with np.load(folder / "metric_inputs.npz") as file:
        truth, picture = file["gt"] / 255.0, file[name].astype(np.float64)
    picture = torch.from_numpy(picture / 255 if name == "other" else picture)
    for key, data_range in (("ssim_range1", 1.0), ("ssim_range2", 2.0)):
        found = ssim(picture, torch.from_numpy(truth), "gaussian", data_range, sample_covariance=True)
        assert found.item() == pytest.approx(values[key], abs=1e-6)


def test_identical_pictures_and_batches():
    pictures = torch.rand(2, 3, 12, 13, 3)
    assert torch.allclose(ssim(pictures, pictures), torch.ones(2, 3, dtype=torch.float64))
    others = torch.rand(2, 3, 12, 13, 3)
    apart = ssim(others, pictures)
    assert apart.shape == (2, 3)
    assert apart[1, 0].item() == pytest.approx(ssim(others[1, 0], pictures[1, 0]).item())


def test_constant_pictures_by_hand():
    # Without any structure only the luminance term is left: (2 · 0.25 · 0.75 + c) / (0.25² + 0.75² + c), c =
    # 0.0001.
    found = ssim(torch.full((11, 11, 1), 0.25), torch.full((11, 11, 1), 0.75))
    assert found.item() == pytest.approx((0.375 + 1e-4) / (0.625 + 1e-4), abs=1e-7)


@pytest.mark.parametrize(("window", "smallest"), [("gaussian", 11), ("uniform", 7)])
def test_pictures_smaller_than_the_window(window, smallest):
    picture = torch.rand(smallest, smallest, 3)
    assert ssim(picture, picture, window).item() == pytest.approx(1)
    with pytest.raises(ValueError, match=f"{smallest}x{smallest} pixels"):
        ssim(picture[1:], picture[1:], window)


@pytest.mark.parametrize("window", OPTIONS)
def test_gradients(window):
    generator = torch.Generator().manual_seed(0)
    prediction = torch.rand(12, 12, 1, generator=generator, dtype=torch.float64, requires_grad=True)
    truth = torch.rand(12, 12, 1, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: ssim(x, truth, window), (prediction,))
