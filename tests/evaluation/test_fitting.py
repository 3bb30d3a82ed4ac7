"""Scores with gains that are fitted to the photo, beside those without."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from memory_captures import HEIGHT, WIDTH, make_capture

from sightline.evaluation.evaluate import evaluate_scene
from sightline.evaluation.fitting import ExposureFit
from sightline.evaluation.views import background_for, truth_picture
from sightline.methods.exposure import fit_gains, transforms

GAINS = torch.tensor([1.2, 0.9, 0.7])


def pictures(channels: int, count: int = 3) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(40, 200, (HEIGHT, WIDTH, channels), dtype=np.uint8) for _ in range(count)]


def darker(capture):
    """A renderer of the truth without its exposure; where there is alpha, before white."""

    def render(camera):
        pixels = torch.from_numpy(capture.images[int(camera.c2w[0, 0, 3])]).float() / 255
        opacity = pixels[..., 3] if pixels.shape[-1] == 4 else torch.ones(HEIGHT, WIDTH)
        matter = pixels[..., :3] * opacity[..., None] / GAINS
        return SimpleNamespace(rgb=matter + (1 - opacity[..., None]), opacity=opacity)

    return render


def test_gains_of_least_squares_by_hand() -> None:
    # One channel: (1·2 + 2·3) / (1 + 4) = 1.6; another is twice as dark; a black one tells nothing.
    seen = torch.tensor([[[1.0, 0.5, 0.0], [2.0, 0.25, 0.0]]])
    truth = torch.tensor([[[2.0, 0.25, 0.3], [3.0, 0.125, 0.1]]])
    torch.testing.assert_close(fit_gains(seen, truth), torch.tensor([1.6, 0.5, 1.0], dtype=torch.float64))
    counted = torch.tensor([[True, False]])
    torch.testing.assert_close(
        fit_gains(seen, truth, counted), torch.tensor([2.0, 0.5, 1.0], dtype=torch.float64)
    )


def test_transforms_have_gains_and_no_offset() -> None:
    expected = torch.tensor([[[1.1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.8, 0]]])
    torch.testing.assert_close(transforms(torch.tensor([[0.1, 0.0, -0.2]])), expected)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("colour", ["white", "black"])
def test_what_shows_behind_is_not_changed(channels: int, colour: str) -> None:
    capture = make_capture(pictures(channels))
    behind = background_for(capture, colour)
    plain = darker(capture)

    def render(camera):
        found = plain(camera)
        shown = (1 - found.opacity[..., None]) * (1 - torch.tensor(behind.colour))
        return SimpleNamespace(rgb=found.rgb - shown, opacity=found.opacity)

    fit = ExposureFit(render, capture, behind)
    truth = truth_picture(capture, 1, behind)
    assert float((fit.predict(1) - truth).abs().max()) > 0.05
    torch.testing.assert_close(fit.refit(1, truth, None), truth, atol=1e-5, rtol=0)
    # Asked about another view than the last one, it renders that.
    other = truth_picture(capture, 2, behind)
    torch.testing.assert_close(fit.refit(2, other, None), other, atol=1e-5, rtol=0)


def test_both_kinds_of_scores_are_given(tmp_path) -> None:
    capture = make_capture(pictures(3), splits={"train": (0,), "test": (1, 2)})
    found = evaluate_scene(darker(capture), capture, tmp_path, method="ngp", fitted=("exposure",)).metrics
    plain = evaluate_scene(darker(capture), capture, None, method="ngp").metrics
    assert found["fitted"] == ["exposure"]
    assert found["psnr"] == plain["psnr"] < 25
    assert found["per_view"][0]["psnr"] == plain["per_view"][0]["psnr"]
    # What is left is rounding: the predictions are identical to the truth.
    assert found["psnr_fitted"] is None or found["psnr_fitted"] > 50
    assert found["ssim_fitted"] > 0.999 > plain["ssim"]
    assert not [key for key in plain if "fitted" in key]
