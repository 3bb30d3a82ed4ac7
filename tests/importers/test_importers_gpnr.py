"""Checkpoints of the published GPNR: the file of the golden numbers, and files that do not serve."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.cli.main import main
from sightline.foundation.errors import InputError
from sightline.foundation.msgpack_trees import read_msgpack
from sightline.importers import gpnr
from sightline.importers.contract import SourceFile
from sightline.methods.gpnr.config import INFO
from sightline.methods.gpnr.epipolar import SourceCameras, TargetRays
from sightline.runs.run import Run


@pytest.fixture
def checkpoint(shared: Path) -> Path:
    return shared / "golden" / "gpnr" / "checkpoint_7"


def test_a_published_file_becomes_a_run_that_sees_the_same(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["import", str(checkpoint), "--from", "auto", "--out", str(out)]) == 0
    run = Run.open(out)
    assert (run.method_name, run.record.progress.step) == ("gpnr", 7)
    method = run.load_method("cpu")
    expected = INFO.build_config("reduced", layer_precision="float32")
    assert method.config == expected
    folder = checkpoint.parent
    batch, truth = (np.load(folder / f"{name}.npz") for name in ("model_batch", "model_reduced"))
    c2w = torch.linalg.inv(torch.from_numpy(batch["target_worldtocam"][0]))[:3]
    limits = batch["min_depth"].item(), batch["max_depth"].item()
    rays = TargetRays(torch.from_numpy(batch["origins"]), torch.from_numpy(batch["directions"]), c2w, *limits)
    pictures = torch.from_numpy(batch["ref_rgb"]).unbind()
    intrinsics = torch.from_numpy(batch["intrinsic"][0, :, :3]).expand(10, 3, 3)
    sizes = torch.tensor([[252, 189]]).expand(10, 2)
    cameras = SourceCameras(torch.from_numpy(batch["ref_cameratoworld"]), intrinsics, sizes)
    network = method.network
    with torch.no_grad():
        rgb = network(network.look(rays, cameras, network.patches.cut(pictures))).rgb
    torch.testing.assert_close(rgb, torch.from_numpy(truth["rgb"]), rtol=0, atol=5e-5)


def content(checkpoint: Path) -> dict:
    return read_msgpack(checkpoint.read_bytes())


def test_the_configuration_follows_from_the_shapes(checkpoint: Path) -> None:
    reading = gpnr.read([SourceFile(checkpoint, content(checkpoint))])
    assert reading.settings == {
        "patch_features": (16,),
        "patch_size": 11,
        "ray_frequencies": 4,
        "point_frequencies": 10,
        "width": 64,
        "heads": 1,
        "hidden_width": 64,
        "epipolar_layers": 2,
        "view_layers": 2,
    }
    assert reading.preset == "reduced"


def test_files_that_do_not_serve(checkpoint: Path, tmp_path: Path, capsys) -> None:
    tree = content(checkpoint)
    assert gpnr.recognise(tree)
    assert not gpnr.recognise({"params": {"Dense_0": {}}})
    config = INFO.build_config("reduced")
    short = {**tree, "params": {**tree["params"]}}
    del short["params"]["rgb_dense"]
    short["params"]["extra"] = {"kernel": np.zeros(2, np.float32)}
    with pytest.raises(InputError, match=r"missing: rgb_dense/.*not known: extra/kernel"):
        gpnr.read([SourceFile(checkpoint, short)]).weights(config)
    layer = {"kernel": np.zeros((5, 1)), "bias": np.zeros(1)}
    other = {**tree, "params": {**tree["params"], "view_correspondence": layer}}
    with pytest.raises(InputError, match=r"view_correspondence/kernel \(5, 1\) instead of \(128, 1\)"):
        gpnr.read([SourceFile(checkpoint, other)]).weights(config)
    wrong = {**tree, "params": {**tree["params"], "query_transform": {"kernel": np.zeros((7, 64))}}}
    with pytest.raises(InputError, match="not the layers of gpnr"):
        gpnr.read([SourceFile(checkpoint, wrong)])
    with pytest.raises(InputError, match="one file"):
        gpnr.read([SourceFile(checkpoint, tree), SourceFile(checkpoint, tree)])
    cut = tmp_path / "checkpoint_8"
    cut.write_bytes(checkpoint.read_bytes()[:100_000])
    assert main(["import", str(cut), "--from", "gpnr", "--out", str(tmp_path / "run")]) == 2
    assert "checkpoint_8" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
