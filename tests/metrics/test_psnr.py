import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.metrics.psnr import mean_squared_error, psnr, psnr_from_mse


def test_by_hand():
    truth = torch.zeros(2, 2, 3)
    prediction = truth.clone()
    prediction[0, 0, 0] = 0.6
    assert mean_squared_error(prediction, truth).item() == pytest.approx(0.36 / 12)
    assert psnr(prediction, truth).item() == pytest.approx(-10 * math.log10(0.03), abs=1e-6)
    assert psnr(truth + 0.1, truth).item() == pytest.approx(20, abs=1e-5)


def test_identical_pictures_are_infinitely_close():
    picture = torch.rand(4, 5, 3)
    assert psnr(picture, picture).item() == math.inf


def test_batches_keep_their_axes_and_are_averaged_apart():
    truth = torch.rand(2, 3, 4, 5, 3)
    prediction = torch.rand(2, 3, 4, 5, 3)
    whole = psnr(prediction, truth)
    assert whole.shape == (2, 3)
    assert whole[1, 2].item() == pytest.approx(psnr(prediction[1, 2], truth[1, 2]).item())


@given(seed=st.integers(0, 1000), left_out=st.integers(0, 3))
def test_pixels_that_do_not_count_change_nothing(seed, left_out):
    generator = torch.Generator().manual_seed(seed)
    truth, prediction = torch.rand(2, 4, 6, 3, generator=generator)
    counted = torch.ones(4, 6, dtype=torch.bool)
    counted[left_out] = False
    spoilt = torch.where(counted[..., None], prediction, torch.tensor(float("nan")))
    rest = [row for row in range(4) if row != left_out]
    assert psnr(spoilt, truth, counted).item() == pytest.approx(psnr(prediction[rest], truth[rest]).item())


def test_no_pixel_that_counts_is_no_number():
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    assert math.isnan(psnr(torch.rand(2, 2, 3), torch.rand(2, 2, 3), nothing).item())


def test_golden_pairs(golden_pair):
    assert psnr(golden_pair.prediction, golden_pair.truth).item() == pytest.approx(
        golden_pair.values["psnr"], abs=1e-4
    )


def test_decibels():
    assert psnr_from_mse(torch.tensor([1.0, 0.1, 0.0])).tolist() == pytest.approx([0, 10, math.inf])
