import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sightline.evaluation.protocols import (
    SIGHTLINE,
    Protocol,
    get_protocol,
    list_protocols,
    register_protocol,
)
from sightline.foundation.errors import InputError
from sightline.metrics.lpips import Lpips


@pytest.fixture(scope="module")
def lpips():
    torch.manual_seed(0)
    metric = Lpips("alex")
    for head in metric.heads:
        head.data.fill_(1.0)
    return metric


def pair(seed=0, size=(40, 33)):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(*size, 3, generator=generator)
    return (truth + 0.2 * torch.randn(*size, 3, generator=generator)).clamp(0, 1), truth


def rounded(picture):
    return np.rint(picture.double().numpy() * 255).astype(np.uint8)


def test_default_scores_are_those_of_the_8_bit_pictures():
    prediction, truth = pair()
    scores = get_protocol().score(prediction, truth, None, None)
    a, b = rounded(prediction), rounded(truth)
    assert scores["psnr"] == pytest.approx(peak_signal_noise_ratio(b, a), abs=1e-5)
    expected = structural_similarity(
        a,
        b,
        channel_axis=-1,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert scores["ssim"] == pytest.approx(expected, abs=1e-6)
    assert scores["lpips"] is None


def test_rounding_can_be_left_out():
    truth = torch.full((12, 12, 3), 0.5)
    prediction = truth + 0.001
    exact = Protocol(name="exact", summary="", rounded=False)
    assert exact.score(prediction, truth, None, None)["psnr"] == pytest.approx(60, abs=1e-3)
    assert SIGHTLINE.score(prediction, truth, None, None)["psnr"] == math.inf


def test_lpips_sees_the_rounded_pictures(lpips):
    prediction, truth = pair()
    expected = lpips(torch.from_numpy(rounded(prediction)) / 255, torch.from_numpy(rounded(truth)) / 255)
    assert SIGHTLINE.score(prediction, truth, None, lpips)["lpips"] == pytest.approx(
        expected.item(), rel=1e-6
    )


def test_ignored_pixels_change_no_score(lpips):
    prediction, truth = pair()
    counted = torch.ones(40, 33, dtype=torch.bool)
    counted[5:15, 5:20] = False
    spoilt = torch.where(counted[..., None], prediction, 1 - prediction)
    first = SIGHTLINE.score(prediction, truth, counted, lpips)
    assert SIGHTLINE.score(spoilt, truth, counted, lpips) == first
    a, b = rounded(prediction)[counted.numpy()], rounded(truth)[counted.numpy()]
    assert first["psnr"] == pytest.approx(peak_signal_noise_ratio(b, a), abs=1e-5)
    assert first["ssim"] > SIGHTLINE.score(prediction, truth, None, lpips)["ssim"]


def test_what_is_not_defined_is_none(lpips):
    prediction, truth = pair(size=(10, 33))
    assert SIGHTLINE.score(prediction, truth, None, lpips)["ssim"] is None
    assert SIGHTLINE.score(prediction, truth, None, lpips)["lpips"] is None
    nothing = torch.zeros(10, 33, dtype=torch.bool)
    assert SIGHTLINE.score(prediction, truth, nothing, None)["psnr"] is None


def test_broken_values_count_as_black_and_what_is_outside_is_clipped():
    truth = torch.zeros(12, 12, 3)
    prediction = truth.clone()
    prediction[0, 0, 0], prediction[0, 1, 0] = math.nan, -5
    assert SIGHTLINE.score(prediction, truth, None, None)["psnr"] == math.inf
    prediction[0, 2, 0] = 7
    assert SIGHTLINE.score(prediction, truth, None, None)["psnr"] == pytest.approx(10 * math.log10(432))


def test_averages_leave_out_what_is_not_defined():
    views = [
        {"psnr": 20.0, "ssim": 0.5, "lpips": None},
        {"psnr": 30.0, "ssim": None, "lpips": None},
    ]
    assert SIGHTLINE.average(views) == {"psnr": 25.0, "ssim": 0.5, "lpips": None}
    infinite = [{"psnr": math.inf, "ssim": 1.0, "lpips": 0.0}, *views]
    assert SIGHTLINE.average(infinite) == {"psnr": math.inf, "ssim": 0.75, "lpips": 0.0}


def test_golden_means_over_views_then_objects(shared):
    with np.load(shared / "golden" / "pixelnerf" / "metrics.npz") as file:
        golden = dict(file)
    uniform = Protocol(name="uniform", summary="", ssim_window="uniform")
    objects = []
    for o in (0, 1):
        # View 64 is the input view and is left out, as the stored text was made.
        views = []
        for v in (0, 24):
            pictures = (golden[f"obj{o}_view{v}_{key}_u8"] for key in ("pred", "gt"))
            views.append(uniform.score(*(torch.from_numpy(p).float() / 255 for p in pictures), None, None))
        objects.append(uniform.average(views))
        text = dict(line.split() for line in str(golden[f"obj{o}_metrics_txt"]).splitlines())
        assert objects[-1]["psnr"] == pytest.approx(float(text["psnr"]), abs=1e-4)
        assert objects[-1]["ssim"] == pytest.approx(float(text["ssim"]), abs=2e-5)
    words = str(golden["all_metrics_txt_P64"]).split()
    total = uniform.average(objects)
    assert total["psnr"] == pytest.approx(float(words[1]), abs=1e-4)
    assert total["ssim"] == pytest.approx(float(words[3]), abs=2e-5)


def test_registry():
    assert get_protocol("sightline") is SIGHTLINE
    assert list_protocols()[0] is SIGHTLINE
    with pytest.raises(InputError, match=r"no protocol 'paper'.*sightline"):
        get_protocol("paper")
    with pytest.raises(ValueError, match="already"):
        register_protocol(Protocol(name="sightline", summary=""))


def test_reason_for_missing_lpips():
    metric, reason = SIGHTLINE.load_lpips()
    assert metric is None
    assert "is not on this machine" in reason
