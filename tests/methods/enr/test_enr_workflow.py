"""`enr` through training, resuming, starting from other weights, evaluation and rendering."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from enr_cases import small_config
from PIL import Image
from safetensors.torch import load_file

from sightline.captures import Collection
from sightline.cli.main import main
from sightline.kernels.parallel import torch_on_one_thread
from sightline.runs.run import Run
from sightline.runs.settings import to_plain
from sightline.workflows.options import TrainOptions
from sightline.workflows.train import train_method


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of four objects with six views each."""
    root = tmp_path_factory.mktemp("data") / "blocks"
    draw = np.random.default_rng(0)
    for number in range(4):
        folder = root / f"block{number}"
        folder.mkdir(parents=True)
        colour, entries = draw.integers(0, 256, 3), {}
        for view in range(6):
            image = np.full((16, 16, 3), 255, np.uint8)
            image[4:12, 4:12] = colour
            Image.fromarray(image).save(folder / f"{view:05d}.png")
            entries[f"{view:05d}"] = {"azimuth": view * math.pi / 3, "elevation": 0.1 * view}
        (folder / "render_params.json").write_text(json.dumps(entries))
    (root / "sightline.json").write_text('{"angle_unit": "radians", "category": "block"}')
    return root


def train(data: Path, out: Path, steps: int, config=None, **options) -> Run:
    settings = TrainOptions(out=out, steps=steps, device="cpu", **options)
    with torch_on_one_thread():
        return train_method("enr", data, config or small_config(), settings).run


def call(*arguments: object) -> int:
    with torch_on_one_thread():
        return main([str(argument) for argument in arguments])


def test_training_by_the_command_then_eval_and_render(data, tmp_path, capsys):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(to_plain(small_config())))
    out = tmp_path / "run"
    arguments = ["--config", settings, "--steps", 6, "--eval-every", 3, "--device", "cpu", "--out", out]
    assert call("train", "enr", data, *arguments) == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in lines} == {"train", "val"}
    assert lines[-1]["step"] == 6
    assert (out / "eval" / "validation" / "00000006.png").is_file()
    assert Run.open(out).record.state == {"distance": 2.0, "focal": pytest.approx(35 / 32), "shown": 1.0}
    capsys.readouterr()
    assert call("eval", out, "--sources", 1, "--json", "-", "--device", "cpu") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["method"] == "enr"
    assert len(metrics["per_object"]) == 4
    photo = data / "block0" / "00001.png"
    pictures = ["--format", "png", "--frames", 2, "--device", "cpu", "--out", tmp_path / "pictures"]
    assert call("render", out, "--photo", photo, *pictures) == 0
    shown = sorted((tmp_path / "pictures").glob("*.png"))
    assert len(shown) >= 2
    assert Image.open(shown[0]).size == (16, 16)


@pytest.mark.parametrize(("size", "beside"), [(32, 16), (16, 32)])
def test_runs_see_data_of_another_size(data, tmp_path, capsys, size, beside):
    """Runs of twice and of half the size of the pictures, which `--resize` brings together."""
    changes = {"image_size": 32, "channels_inverse_projection": (16, 32)} if size == 32 else {}
    run = train(data, tmp_path / "run", 1, small_config(**changes, resize=size == 32), eval_every=0)
    run.update(config={**run.record.config, "resize": False})
    other = data if beside == 16 else tmp_path / "other"
    for path in data.rglob("*") if beside == 32 else ():
        target = other / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            Image.open(path).resize((32, 32), Image.Resampling.NEAREST).save(target)
        elif path.is_file():
            target.write_bytes(path.read_bytes())
    arguments = [run.path, "--data", other, "--sources", 1, "--device", "cpu"]
    assert call("eval", *arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert (
        f"{beside}x{beside} pixels, and this network takes {size}x{size}. Where: {other}/block0/00001.png"
        in said
    )
    assert ("Give --resize" in said, "--downscale 2" in said) == (True, beside == 32)
    assert call("eval", *arguments, "--resize", "--json", "-") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["resize"], len(metrics["per_object"])) == (True, 4)
    pictures = sorted((run.path / "eval").rglob("images/block0/*.png"))
    assert {Image.open(path).size for path in pictures} == {(beside, beside)}
    # The score is that of the picture brought to the data's size.
    method = run.load_method()
    method.take_any_size()
    found = run.open_data(other)
    assert isinstance(found, Collection)
    capture = found["block0"].open()
    rgb = method.render(method.encode(capture.view(1)), capture.cameras[0]).rgb.numpy()
    error = np.square(np.rint(rgb * 255) / 255 - capture.images[0] / 255.0).mean()
    (view,) = (one for one in metrics["per_view"] if one["object"] == "block0" and "00000" in one["name"])
    assert view["psnr"] == pytest.approx(-10 * math.log10(error), abs=1e-4)
    shown = ["--object", "block0", "--split", "train", "--sources", 1, "--data", other, "--device", "cpu"]
    out = ["--frames", 2, "--out", tmp_path / "frames"]
    assert call("render", run.path, *shown, *out) == 2
    assert call("render", run.path, *shown, *out, "--resize") == 0
    assert Image.open(tmp_path / "frames" / "0000.png").size == (beside, beside)


def test_resumed_training_is_the_same(data, tmp_path):
    whole = train(data, tmp_path / "whole", 6, eval_every=0)
    train(data, tmp_path / "parts", 3, eval_every=0)
    parts = train(data, tmp_path / "parts", 6, eval_every=0, resume=True)
    first, second = (load_file(run.weights_path) for run in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_starting_from_weights_of_another_size(data, tmp_path, caplog):
    first = train(data, tmp_path / "first", 2, eval_every=0)
    wider = small_config(channels_projection=(16, 16, 12))
    second = train(data, tmp_path / "second", 1, wider, eval_every=0, init=first.path, seed=5)
    assert "of another shape: " in caplog.text
    old, new = load_file(first.weights_path), load_file(second.weights_path)
    name = "network.inv_transform_2d.forward_layers.0.weight"
    # One step of Adam away.
    assert 0 < float((old[name] - new[name]).abs().max()) <= 2.1e-4


def test_two_processes_train_one_network(data, tmp_path):
    settings = TrainOptions(out=tmp_path / "run", steps=2, device="cpu", devices=2, eval_every=0)
    run = train_method("enr", data, small_config(), settings).run
    assert run.record.progress.step == 2


@pytest.mark.parametrize("name", ["rotation", "translation"])
def test_the_published_sets_train(shared, tmp_path, name):
    settings = tmp_path / "settings.yaml"
    settings.write_text("batch_size: 2\nlog_every: 1\n")
    out = tmp_path / "run"
    arguments = ["--preset", "small", "--config", settings, "--steps", 2, "--eval-every", 0, "--out", out]
    data = shared / "data" / "enr_chairs" / name
    assert call("train", "enr", data, *arguments, "--angle-unit", "radians", "--device", "cpu") == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(0.01 < line["loss"] < 0.8 for line in lines)


def test_only_held_out_objects_cannot_train(shared, tmp_path, capsys):
    data = shared / "data" / "enr_chairs" / "rototranslation"
    arguments = ["--steps", 1, "--angle-unit", "radians", "--device", "cpu", "--out", tmp_path / "run"]
    assert call("train", "enr", data, *arguments) == 2
    assert "no objects in the split 'train'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
