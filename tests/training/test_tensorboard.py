"""What TensorBoard shows of a training, read back from its event files."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sightline.captures import open_capture
from sightline.media.colour import NEUTRAL, turbo
from sightline.methods.base import Optimisation, Rendering
from sightline.runs.run import Run
from sightline.training.session import TrainOrder, train_run
from sightline.training.settings import TrainSettings
from sightline.training.validation import Validator
from small_method import Wave, WaveConfig

GAP, LINE, SIZE = 6, 18, 8
# Pictures of 8 pixels are shown 14 times as large.
SHOWN, LARGER = 112, 14
HEIGHT = GAP + LINE + 2 * (SHOWN + LINE + GAP)


def train(run: Run) -> EventAccumulator:
    settings = TrainSettings(steps=40, device="cpu", log_every=10, eval_every=20)
    assert train_run(TrainOrder(run.path, settings)).ending == "finished"
    board = EventAccumulator(str(run.path / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    return board.Reload()


def tile(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = GAP + LINE + row * (SHOWN + LINE + GAP), GAP + column * (SHOWN + GAP)
    found = sheet[top : top + SHOWN, left : left + SHOWN]
    pixels = found[::LARGER, ::LARGER]
    assert np.array_equal(pixels.repeat(LARGER, 0).repeat(LARGER, 1), found)
    return pixels


def test_scalars_are_the_lines_of_the_log(make_run) -> None:
    board = train(make_run())
    steps = [10, 20, 30, 40]
    for name in ("loss", "psnr", "learning_rate", "samples_per_ray"):
        assert [event.step for event in board.Scalars(f"train/{name}")] == steps, name
    rates = [event.value for event in board.Scalars("train/learning_rate")]
    assert rates == pytest.approx([0.05 * (1 - 0.9 * (step - 1) / 40) for step in steps], rel=1e-4)
    losses = [event.value for event in board.Scalars("train/loss")]
    assert losses[-1] < losses[0]
    assert [event.step for event in board.Scalars("val/psnr")] == [20, 40]


def test_every_network_has_its_figures(make_run, monkeypatch: pytest.MonkeyPatch) -> None:
    def optimisers(self: Wave) -> list[Optimisation]:
        self.other = torch.nn.Parameter(torch.zeros(1))
        groups = [{"params": [self.colours], "name": "a"}, {"params": [self.other], "lr": 0.3, "name": "b"}]
        third = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=7.0)
        return [
            Optimisation(torch.optim.Adam(groups, lr=0.05), lambda progress: 0.5),
            Optimisation(third, lambda progress: 1.0),
        ]

    real = Wave.forward

    def forward(self: Wave, batch, progress) -> dict:
        losses = real(self, batch, progress)
        return {**losses, "loss_coarse": losses["loss"].detach() * 3, "psnr_coarse": losses["psnr"] - 1}

    monkeypatch.setattr(Wave, "optimisers", optimisers)
    monkeypatch.setattr(Wave, "forward", forward)
    board = train(make_run())
    found = {name: board.Scalars(f"train/{name}")[0].value for name in board_names(board)}
    assert found["learning_rate"] == pytest.approx(0.025)
    assert found["learning_rate_b"] == pytest.approx(0.15)
    assert found["learning_rate_3"] == pytest.approx(7.0)
    assert found["loss_coarse"] == pytest.approx(3 * found["loss"], rel=1e-5)
    assert found["psnr_coarse"] == pytest.approx(found["psnr"] - 1, rel=1e-5)


def board_names(board: EventAccumulator) -> list[str]:
    tags = [tag.partition("/") for tag in board.Tags()["scalars"]]
    return [name for kind, _, name in tags if kind == "train"]


def test_validations_show_truth_picture_depth_and_opacity(make_run, data: Path) -> None:
    run = make_run()
    board = train(run)
    assert board.Tags()["images"] == ["validation"]
    shown = board.Images("validation")
    assert [event.step for event in shown] == [20, 40]
    sheet = np.array(Image.open(io.BytesIO(shown[-1].encoded_image_string)))
    assert (shown[-1].width, shown[-1].height) == (GAP + 4 * (SHOWN + GAP), HEIGHT) == sheet.shape[1::-1]
    assert np.array_equal(sheet, np.array(Image.open(run.path / "eval" / "validation" / "00000040.png")))
    capture, method = open_capture(data), Run.open(run.path).load_method()
    for row, view in enumerate((9, 10)):
        rendering = method.render(method.encode(), capture.cameras[view])
        assert rendering.opacity is not None
        seen = rendering.opacity.numpy() > 0
        assert seen.any()
        assert np.array_equal(tile(sheet, row, 0), capture.images[view])
        expected = (rendering.rgb.detach() * 255).round().byte().numpy()
        assert np.array_equal(tile(sheet, row, 1), expected)
        # All depths are the same, which is the middle of the colours.
        depth = np.where(seen[..., None], turbo(np.array(0.5)), NEUTRAL)
        assert np.array_equal(tile(sheet, row, 2), depth)
        assert np.array_equal(tile(sheet, row, 3), np.repeat(seen[..., None] * 255, 3, -1))


def test_views_share_the_colours_of_depth(data: Path) -> None:
    capture = open_capture(data)

    class Slope(Wave):
        """Depth from 1 to 8 from left to right in the first view, twice that in the second."""

        calls = 0

        def render(self, scene, camera, *, background=None, chunk=None):
            self.calls += 1
            depth = self.calls * torch.arange(1.0, SIZE + 1).expand(SIZE, SIZE)
            return Rendering(torch.zeros(SIZE, SIZE, 3), depth)

    sheet = Validator(capture, every=1).run(Slope(WaveConfig())).picture
    assert sheet.shape == (HEIGHT, GAP + 3 * (SHOWN + GAP), 3)
    first, second = tile(sheet, 0, 2), tile(sheet, 1, 2)
    # 2 and 4 and so on, at half the place.
    assert np.array_equal(first[:, 1::2], second[:, : SIZE // 2])
    assert first[0, 0].argmax() == 0
    assert second[0, -1].argmax() == 2


def test_what_a_method_does_not_give_is_left_out(data: Path) -> None:
    class Plain(Wave):
        def render(self, scene, camera, *, background=None, chunk=None):
            return Rendering(torch.full((SIZE, SIZE, 3), 0.2))

    sheet = Validator(open_capture(data), every=1).run(Plain(WaveConfig())).picture
    assert sheet.shape == (HEIGHT, GAP + 2 * (SHOWN + GAP), 3)
    assert (tile(sheet, 1, 1) == 51).all()
