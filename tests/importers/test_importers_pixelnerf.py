"""Checkpoints of pixelNeRF's own program."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from sightline.foundation.errors import InputError
from sightline.importers.contract import SourceFile
from sightline.importers.pixelnerf import SOURCE
from sightline.importers.registry import read_files
from sightline.methods.pixelnerf.config import INFO
from sightline.methods.pixelnerf.network import PixelNerfNetwork
from sightline.workflows.importing import import_checkpoint

# A network of the published shapes in small, so that files are written quickly.
SMALL = {"hidden_width": 24, "backbone": "resnet18", "imagenet": False}


def published(network: PixelNerfNetwork) -> OrderedDict:
    """The tensors as the program saves them: with the constants of the code."""
    config = network.config
    tensors = OrderedDict(network.state_dict())
    if config.use_code:
        octaves = config.code_factor * 2.0 ** torch.arange(config.code_frequencies)
        tensors["code._freqs"] = octaves.repeat_interleave(2).view(1, -1, 1)
        phases = torch.tensor([0.0, torch.pi / 2]).repeat(config.code_frequencies)
        tensors["code._phases"] = phases.view(1, -1, 1)
    return tensors


def save(path: Path, tensors: OrderedDict, step: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, path)
    if step is not None:
        torch.save({"iter": step}, path.with_name("_iter"))
    return path


@pytest.fixture
def network():
    torch.manual_seed(0)
    return PixelNerfNetwork(INFO.build_config("srn_car", **SMALL))


def test_a_checkpoint_becomes_a_run(network, tmp_path):
    file = save(tmp_path / "srn_chair" / "pixel_nerf_latest", published(network), step=1200)
    run = import_checkpoint([file], tmp_path / "run")
    assert (run.method_name, run.record.preset, run.record.progress.step) == ("pixelnerf", "srn_chair", 1200)
    assert (run.config.near, run.config.far, run.config.image_size) == (1.25, 2.75, 128)
    assert (run.config.backbone, run.config.hidden_width) == ("resnet18", 24)
    method = run.load_method("cpu")
    found = method.network.state_dict()
    assert list(found) == list(network.state_dict())
    assert all(torch.equal(value, found[name]) for name, value in network.state_dict().items())
    assert method.frame.near == 1.25
    assert run.record.source["imported"] == "pixelnerf"


@pytest.mark.parametrize(
    ("folder", "preset"),
    [
        ("srn_car", "srn_car"),
        ("sn64_unseen", "sn64_unseen"),
        ("my_sn64_run", "sn64"),
        ("multi_chair", "multi_obj"),
        ("dtu", "dtu"),
        ("elsewhere", "srn_car"),
    ],
)
def test_the_folder_names_the_experiment(network, tmp_path, caplog, folder, preset):
    file = save(tmp_path / folder / "pixel_nerf_latest", published(network))
    source, files = read_files([file])
    assert source is SOURCE
    assert source.read(files).preset == preset
    assert ("called after none" in caplog.text) == (folder == "elsewhere")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"levels": 3, "combine_layer": 2, "blocks": 4},
        {"spade": True, "backbone": "resnet34"},
        {"use_code": False},
        {"code_directions": True, "code_frequencies": 4, "code_factor": 2.0},
        {"use_directions": False, "code_input": False},
        {"use_positions": False},
        {"global_width": 20},
        {"fine_network": "coarse"},
        {"use_encoder": False},
    ],
)
def test_shapes_tell_the_network(tmp_path, changes):
    torch.manual_seed(0)
    network = PixelNerfNetwork(INFO.build_config("srn_car", **{**SMALL, **changes}))
    reading = SOURCE.read([SourceFile(tmp_path / "srn_car" / "pixel_nerf_latest", published(network))])
    config = INFO.build_config("srn_car", **reading.settings)
    for name, value in {**SMALL, **changes}.items():
        if name not in ("imagenet", "combine_layer", "backbone"):
            assert getattr(config, name) == value, name
    weights = reading.weights(config)
    rebuilt = PixelNerfNetwork(config)
    rebuilt.load_state_dict({name.removeprefix("network."): value for name, value in weights.items()})
    assert rebuilt.config.combine_layer == network.config.combine_layer


def test_files_that_do_not_fit(network, tmp_path):
    tensors = published(network)
    del tensors["mlp_fine.blocks.4.fc_1.bias"]
    tensors["encoder.model.fc.weight"] = torch.zeros(2, 2)
    tensors["mlp_coarse.lin_out.bias"] = torch.zeros(5)
    file = save(tmp_path / "srn_car" / "pixel_nerf_latest", tensors)
    with pytest.raises(InputError) as caught:
        import_checkpoint([file], tmp_path / "run")
    for part in ("fc_1.bias is missing", "fc.weight is not known", r"lin_out.bias is (5,), not (4,)"):
        assert part in str(caught.value)
    assert not (tmp_path / "run").exists()
    tensors = published(network)
    tensors["code._freqs"] = torch.arange(1.0, 13.0).view(1, -1, 1)
    with pytest.raises(InputError, match="not octaves"):
        import_checkpoint([save(file, tensors)], tmp_path / "run")
    with pytest.raises(InputError, match="contradict the weights: blocks 3, but it is 5"):
        import_checkpoint([save(file, published(network))], tmp_path / "run", settings={"blocks": 3})


def test_files_that_were_cut_short(network, tmp_path):
    file = save(tmp_path / "srn_car" / "pixel_nerf_latest", published(network))
    whole = file.read_bytes()
    for part in (len(whole) - 1000, len(whole) // 2, 300, 0):
        file.write_bytes(whole[:part])
        with pytest.raises(InputError) as caught:
            import_checkpoint([file], tmp_path / "run")
        assert str(file) in str(caught.value)
        assert not (tmp_path / "run").exists()


def test_other_files_are_not_taken(network):
    assert SOURCE.recognise(published(network))
    assert not SOURCE.recognise({"network_fn_state_dict": {}})
    assert not SOURCE.recognise([1, 2])
