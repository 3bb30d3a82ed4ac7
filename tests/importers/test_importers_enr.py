"""Saved models of Equivariant Neural Rendering: what is taken, what is refused, and the scores they give."""

import json
from pathlib import Path

import pytest
import torch

from sightline.cli.main import main
from sightline.foundation.errors import InputError
from sightline.kernels.parallel import torch_on_one_thread
from sightline.methods.enr.config import EnrConfig
from sightline.methods.enr.network import EnrNetwork
from sightline.runs.run import Run
from sightline.workflows.importing import import_checkpoint

CONFIG = {
    "img_shape": [3, 16, 16],
    "channels_2d": [8, 12, 12],
    "strides_2d": [1, 2, 1],
    "channels_3d": [8, 12, 12, 8],
    "strides_3d": [1, 2, 1, -2],
    "num_channels_inv_projection": [16, 32],
    "num_channels_projection": [16, 12],
    "mode": "bilinear",
}


def call(*arguments: object) -> int:
    with torch_on_one_thread():
        return main([str(argument) for argument in arguments])


@pytest.fixture
def model(tmp_path: Path):
    """Write a saved model after `edit(content)`."""

    def make(edit=lambda content: None, name: str = "model.pt") -> Path:
        torch.manual_seed(1)
        network = EnrNetwork(
            EnrConfig(
                image_size=16,
                channels_2d=(8, 12, 12),
                strides_2d=(1, 2, 1),
                channels_3d=(8, 12, 12, 8),
                strides_3d=(1, 2, 1, -2),
                channels_inverse_projection=(16, 32),
                channels_projection=(16, 12),
            )
        )
        state = dict(network.state_dict())
        state["spherical_mask.mask"] = network.ball[0].expand(8, -1, -1, -1).clone()
        content = {"config": dict(CONFIG), "state_dict": state}
        edit(content)
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return make


def test_a_saved_model_becomes_a_run(model, tmp_path: Path, capsys) -> None:
    assert call("import", model(), "--out", tmp_path / "run") == 0
    captured = capsys.readouterr()
    assert "Imported model.pt of enr" in captured.err
    run = Run.open(tmp_path / "run")
    config = run.config
    assert (config.image_size, config.channels_2d, config.interpolation) == (16, (8, 12, 12), "trilinear")
    method = run.load_method()
    content = torch.load(tmp_path / "model.pt", weights_only=True)["state_dict"]
    state = method.state_dict()
    assert {f"network.{name}" for name in content} - {"network.spherical_mask.mask"} == set(state)
    assert all(torch.equal(value, content[name.removeprefix("network.")]) for name, value in state.items())


def test_names_of_several_devices(model, tmp_path: Path) -> None:
    def wrap(content):
        content["state_dict"] = {f"module.{name}": value for name, value in content["state_dict"].items()}

    run = import_checkpoint([model(wrap)], tmp_path / "run")
    assert run.method_name == "enr"
    assert run.load_method().config.image_size == 16


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda c: c["state_dict"].pop("projection.forward_layers.0.bias"),
            "missing: projection.forward_layers.0.bias",
        ),
        (lambda c: c["state_dict"].update(extra=torch.zeros(1)), "not known: extra"),
        (lambda c: c["config"].pop("strides_3d"), "lacks strides_3d"),
        (lambda c: c["config"].update(mode="bicubic"), "The mode is 'bicubic'"),
        (lambda c: c["config"].update(img_shape=[3, 16, 32]), "two equal sides"),
        (lambda c: c["config"].update(channels_projection=[16]), "Unknown settings channels_projection"),
        (
            lambda c: c["state_dict"].update({"spherical_mask.mask": torch.ones(8, 8, 8, 8)}),
            "is not the ball",
        ),
        (
            lambda c: c["state_dict"].update(
                {"inv_projection.forward_layers.0.weight": torch.ones(16, 3, 1, 1)}
            ),
            r"of another shape: inv_projection.forward_layers.0.weight \(16, 3, 1, 1\) instead of",
        ),
    ],
)
def test_models_that_do_not_fit(model, tmp_path: Path, edit, message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_checkpoint([model(edit)], tmp_path / "run", source="enr")
    assert not (tmp_path / "run").exists()


def test_a_mask_of_another_resolution_does_not_matter(model, tmp_path: Path) -> None:
    def other(content):
        ball = EnrNetwork(EnrConfig(image_size=64)).ball[0]
        content["state_dict"]["spherical_mask.mask"] = ball.expand(8, -1, -1, -1).clone()

    assert import_checkpoint([model(other)], tmp_path / "run").load_method().network.ball.shape[-1] == 8


def test_other_files_are_not_taken_for_it(tmp_path: Path) -> None:
    torch.save(
        {"config": {"img_shape": [3, 8, 8]}, "state_dict": {"layer": torch.zeros(2)}}, tmp_path / "a.pt"
    )
    with pytest.raises(InputError, match="no checkpoint that is known"):
        import_checkpoint([tmp_path / "a.pt"], tmp_path / "run")


def scores(shared: Path, folder: Path, capsys, data: str, *options: object) -> dict[str, float]:
    """Evaluate by the published protocol; PSNR by object."""
    arguments = ["--data", shared / "data" / "enr_chairs" / data, "--holdout", 0, "--protocol", "enr"]
    arguments += ["--resize-rule", "bilinear", "--device", "cpu", "--json", "-", *options]
    assert call("eval", folder, *arguments) == 0
    metrics = json.loads(capsys.readouterr().out)
    return {entry["object"]: entry["psnr"] for entry in metrics["per_object"]}


def test_published_scores_of_turns(shared, tmp_path: Path, capsys) -> None:
    golden = shared / "golden" / "enr"
    stored = json.loads((golden / "tiny_trained_eval.json").read_text())
    settings = tmp_path / "settings.yaml"
    settings.write_text("network_precision: float32\n")
    run = tmp_path / "run"
    assert call("import", golden / "tiny_trained.pt", "--out", run, "--config", settings) == 0
    capsys.readouterr()
    wanted = stored["original_source64"]
    options = ["--downscale", 4, "--angle-unit", "degrees", "--sources", 64]
    found = scores(shared, run, capsys, "original", *options, "--objects", ",".join(wanted["scenes"]))
    for name, psnr in zip(wanted["scenes"], wanted["psnr_per_scene"], strict=True):
        assert found[name] == pytest.approx(psnr, abs=0.01)


@pytest.mark.parametrize(
    ("data", "motion", "key"),
    [
        ("translation", "rotation", "units_fixed_no_translation"),
        ("translation", "rototranslation", "units_fixed_with_translation"),
        ("rotation", "rototranslation", "as_released_units_with_translation"),
    ],
)
def test_published_scores_of_shifts(shared, tmp_path: Path, capsys, data: str, motion: str, key: str) -> None:
    golden = shared / "golden" / "enr"
    stored = json.loads((golden / "tiny_trained_eval.json").read_text())[data]
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"network_precision: float32\nmotion: {motion}\n")
    run = tmp_path / "run"
    assert call("import", golden / "tiny_trained.pt", "--out", run, "--config", settings) == 0
    capsys.readouterr()
    # As released, radians went where degrees are expected.
    unit = "degrees" if key.startswith("as_released") else "radians"
    options = [
        "--downscale",
        2,
        "--angle-unit",
        unit,
        "--sources",
        0,
        "--objects",
        ",".join(stored["scenes"]),
    ]
    found = scores(shared, run, capsys, data, *options)
    for name, psnr in zip(stored["scenes"], stored[key]["psnr_per_scene"], strict=True):
        assert found[name] == pytest.approx(psnr, abs=0.01)
