"""Checkpoints of every program, of networks of other shapes, whole and damaged."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from published_checkpoints import (
    SYSTEMS,
    flax_tree,
    make_networks,
    small_config,
    write_checkpoint,
    write_poses_bounds,
    write_views,
)
from sightline.foundation.errors import InputError
from sightline.importers.registry import SOURCE_NAMES, get_source, read_files
from sightline.methods.nerf.config import NerfConfig
from sightline.runs.run import Run
from sightline.workflows.importing import import_checkpoint
from sightline.workflows.options import DataOptions, TrainOptions
from sightline.workflows.train import train_method

BOUNDED = {"scene": "bounded"}
SHAPES = {
    "plain": {},
    "other widths": {"width": 12, "fine_width": 20},
    "fewer frequencies": {"position_frequencies": 6, "direction_frequencies": 2},
    "no encoding": {"position_frequencies": 0, "direction_frequencies": 0},
    "without the input": {"include_input": False},
    "coarse alone": {"fine_samples": 0},
}


def run_of(folder: Path, config: NerfConfig, system: str, **options: Any) -> tuple[Run, nn.ModuleDict]:
    networks = make_networks(config)
    path = write_checkpoint(system, networks, folder / "files")
    settings = {**BOUNDED, **options.pop("settings", {})}
    return import_checkpoint([path], folder / "run", settings=settings, **options), networks


def assert_same(run: Run, networks: nn.ModuleDict) -> None:
    found = load_file(run.weights_path)
    expected = {f"networks.{name}": value for name, value in networks.state_dict().items()}
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("system", SYSTEMS)
def test_weights_arrive_as_they_are(system: str, shape: str, tmp_path: Path) -> None:
    if shape == "other widths" and system in ("bmild", "flax_nerf"):
        changes = {**SHAPES[shape], "feature_width": 256}
    else:
        changes = SHAPES[shape]
    config = small_config(system, **changes)
    run, networks = run_of(tmp_path, config, system)
    assert_same(run, networks)
    for name in ("width", "fine_width", "position_frequencies", "direction_frequencies", "include_input"):
        assert getattr(run.config, name) == getattr(config, name), name
    assert (run.config.fine_samples == 0) == (shape == "coarse alone")
    assert run.record.progress.step == 1200
    assert run.record.source["imported"] == system
    points, directions = torch.rand(5, 3), torch.rand(5, 3)
    method = run.load_method()
    for which, network in networks.items():
        for found, value in zip(
            method.networks[which](points, directions), network(points, directions), strict=True
        ):
            assert torch.equal(found, value)


@pytest.mark.parametrize("system", ["nerf-pytorch", "bmild", "flax_nerf"])
@pytest.mark.parametrize("depth", [8, 3, 10])
def test_networks_without_directions_and_of_other_depths(system: str, depth: int, tmp_path: Path) -> None:
    skips = (6,) if depth >= 6 else ()
    for directions in ("none", "world"):
        config = small_config(system, depth=depth, skip_layers=skips, view_directions=directions)
        run, networks = run_of(tmp_path / directions, config, system)
        assert_same(run, networks)
        assert (run.config.depth, run.config.skip_layers) == (depth, skips)
        assert run.config.view_directions == directions


def trees(networks: nn.ModuleDict) -> dict[str, dict[str, Any]]:
    return {which: flax_tree(network) for which, network in networks.items()}


@pytest.mark.parametrize("fine", [True, False])
def test_all_generations_of_flax_trees(fine: bool, tmp_path: Path) -> None:
    networks = make_networks(small_config("flax_nerf", fine_samples=8 if fine else 0))
    parts = trees(networks)
    state = {"step": np.array(3, np.int32), "param_states": {}}
    first = {f"optimizer_{which}": {"target": tree, "state": state} for which, tree in parts.items()}
    generations = {
        "A": {"step": 7, "optimizer_fine": None, **first},
        "B": {"step": np.array(7, np.int32), "optimizer": {"target": parts, "state": state}},
        "C": {"step": np.array(7, np.int64), "params": parts, "opt_state": {}},
    }
    for name, content in generations.items():
        folder = tmp_path / name
        path = write_checkpoint("flax_nerf", networks, folder, lambda _, content=content: content)
        run = import_checkpoint([path], folder / "run", settings=BOUNDED)
        assert_same(run, networks)
        assert run.record.progress.step == 7


def test_two_files_are_taken_together(tmp_path: Path) -> None:
    networks = make_networks(small_config("bmild"))
    coarse = write_checkpoint("bmild", networks, tmp_path)
    fine = tmp_path / "model_fine_001200.npy"
    for number, files in enumerate([[coarse], [fine], [coarse, fine], [fine, coarse]]):
        run = import_checkpoint(files, tmp_path / f"run{number}", settings=BOUNDED)
        assert_same(run, networks)
        names = [file["name"] for file in run.record.source["files"]]
        assert sorted(names) == ["model_001200.npy", "model_fine_001200.npy"]
    renamed = tmp_path / "elsewhere"
    renamed.mkdir()
    fine.rename(renamed / fine.name)
    with pytest.raises(InputError, match=r"the coarse one, model_001200.npy, is not beside it"):
        import_checkpoint([renamed / fine.name], tmp_path / "alone", settings=BOUNDED)
    run = import_checkpoint([coarse], tmp_path / "coarse", settings=BOUNDED)
    assert run.config.fine_samples == 0


def test_other_forms_of_nerf_pl(tmp_path: Path) -> None:
    config = small_config("nerf_pl")
    networks = make_networks(config)
    bare = write_checkpoint("nerf_pl", networks, tmp_path / "bare", lambda content: content["state_dict"])
    assert_same(import_checkpoint([bare], tmp_path / "a", settings=BOUNDED), networks)
    tensors = torch.load(bare, weights_only=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "net.safetensors")
    assert_same(import_checkpoint([tmp_path / "net.safetensors"], tmp_path / "b", settings=BOUNDED), networks)
    halves = write_checkpoint(
        "nerf_pl",
        networks,
        tmp_path / "halves",
        lambda content: {name: value.double() for name, value in content["state_dict"].items()},
    )
    assert_same(import_checkpoint([halves], tmp_path / "c", settings=BOUNDED), networks)


def damage(system: str, content: Any) -> Any:
    """Take one tensor away, add one, give one another shape, break one: of the fine network."""
    key = {"nerf_pl": "state_dict", "nerf-pytorch": "network_fine_state_dict"}.get(
        system, "model_fine_state_dict"
    )
    before = "nerf_fine." if system == "nerf_pl" else ""
    names = {
        "nerf_pl": ("sigma.bias", "xyz_encoding_5.0.weight", "rgb.0.bias"),
        "nerf-pytorch": ("alpha_linear.bias", "pts_linears.5.weight", "rgb_linear.bias"),
        "krrish94": ("fc_alpha.bias", "layers_xyz.1.weight", "fc_rgb.bias"),
    }[system]
    missing, shaped, broken = (before + name for name in names)
    tensors = content[key]
    del tensors[missing]
    tensors[f"{before}more.weight"] = torch.zeros(2)
    tensors[shaped] = tensors[shaped][:, 1:].clone()
    tensors[broken] = tensors[broken] * torch.nan
    return content


@pytest.mark.parametrize("system", ["nerf_pl", "nerf-pytorch", "krrish94"])
def test_all_tensors_that_do_not_fit_are_listed_at_once(system: str, tmp_path: Path) -> None:
    networks = make_networks(small_config(system))
    path = write_checkpoint(system, networks, tmp_path, lambda content: damage(system, content))
    with pytest.raises(InputError) as caught:
        import_checkpoint([path], tmp_path / "run", settings=BOUNDED)
    told = str(caught.value)
    columns = {"nerf_pl": 79, "nerf-pytorch": 79, "krrish94": 16}[system]
    expected = {
        "nerf_pl": (
            "missing: nerf_fine.sigma.bias; not known: nerf_fine.more.weight; of another shape: "
            "nerf_fine.xyz_encoding_5.0.weight"
        ),
        "nerf-pytorch": (
            "missing: network_fine_state_dict.alpha_linear.bias; not known: "
            "network_fine_state_dict.more.weight; of another shape: "
            "network_fine_state_dict.pts_linears.5.weight"
        ),
        "krrish94": (
            "missing: model_fine_state_dict.fc_alpha.bias; not known: model_fine_state_dict.more.weight; "
            "of another shape: model_fine_state_dict.layers_xyz.1.weight"
        ),
    }[system]
    assert f"{expected} (16, {columns - 1}) instead of (16, {columns}); not finite: " in told
    assert str(path) in told
    assert not (tmp_path / "run").exists()


def test_damaged_lists_and_trees(tmp_path: Path) -> None:
    def shorten(content: dict[str, list]) -> dict[str, list]:
        content["fine"] = content["fine"][:-2]
        content["coarse"][10] = content["coarse"][10][:, 1:]
        return content

    path = write_checkpoint("bmild", make_networks(small_config("bmild")), tmp_path / "keras", shorten)
    with pytest.raises(InputError) as caught:
        import_checkpoint([path], tmp_path / "run", settings=BOUNDED)
    told = str(caught.value)
    assert "missing: model_fine_001200.npy[22], model_fine_001200.npy[23]" in told
    assert "of another shape: model_001200.npy[10] (79, 15) instead of (79, 16)" in told

    def prune(content: dict[str, Any]) -> dict[str, Any]:
        del content["params"]["coarse"]["Dense_9"]
        content["params"]["fine"]["Dense_5"]["kernel"] = content["params"]["fine"]["Dense_5"]["kernel"][1:]
        content["params"]["fine"]["Dense_12"] = {"kernel": np.zeros(2, np.float32)}
        return content

    path = write_checkpoint("flax_nerf", make_networks(small_config("flax_nerf")), tmp_path / "flax", prune)
    with pytest.raises(InputError) as caught:
        import_checkpoint([path], tmp_path / "run", settings=BOUNDED)
    told = str(caught.value)
    assert "missing: coarse/Dense_9/kernel, coarse/Dense_9/bias" in told
    assert "not known: fine/Dense_12/kernel" in told
    assert "fine/Dense_5/kernel (78, 16) instead of (79, 16)" in told
    assert not (tmp_path / "run").exists()


def test_a_whole_network_is_missing(tmp_path: Path) -> None:
    def remove(content: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in content["state_dict"].items() if "coarse" not in name}
        return {"state_dict": kept | {"loss.weight": torch.ones(1)}}

    path = write_checkpoint("nerf_pl", make_networks(small_config("nerf_pl")), tmp_path, remove)
    told = "missing: the whole network nerf_coarse; not known: loss.weight"
    with pytest.raises(InputError, match=told):
        import_checkpoint([path], tmp_path / "run", settings=BOUNDED)


def test_files_of_no_known_program(tmp_path: Path) -> None:
    cases = {
        "other.pt": {"model": {"weight": torch.zeros(2)}, "epoch": 3},
        "list.pt": [1, 2],
        "empty.pt": {},
    }
    for name, content in cases.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(InputError, match="no checkpoint that is known") as caught:
            read_files([tmp_path / name])
        for source in SOURCE_NAMES:
            assert f"{source}: {get_source(source).looked_for}" in str(caught.value)
    torch.save(cases["other.pt"], tmp_path / "other.pt")
    with pytest.raises(InputError, match="it holds a dictionary of model, epoch"):
        read_files([tmp_path / "other.pt"])
    wild = {"nerf_coarse.static_sigma.0.weight": torch.zeros(1), "embedding_a.weight": torch.zeros(1)}
    torch.save({"state_dict": wild}, tmp_path / "wild.ckpt")
    with pytest.raises(InputError, match="NeRF in the Wild"):
        import_checkpoint([tmp_path / "wild.ckpt"], tmp_path / "run")
    with pytest.raises(InputError, match=r"not read.*Choose one of: auto, nerf_pl"):
        read_files([tmp_path / "wild.ckpt"], "tensorflow")


def test_names_that_are_no_texts(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> dict[str, Any]:
        content["model_fine_state_dict"][7] = torch.zeros(2)
        content["model_fine_state_dict"]["layer1.bias"] = "text"
        return content

    path = write_checkpoint("krrish94", make_networks(small_config("krrish94")), tmp_path, change)
    told = r"not known: model_fine_state_dict\.7; .*layer1\.bias is no array of real numbers"
    with pytest.raises(InputError, match=told):
        import_checkpoint([path], tmp_path / "run", settings=BOUNDED)


def test_files_of_two_programs(tmp_path: Path) -> None:
    first = write_checkpoint("nerf_pl", make_networks(small_config("nerf_pl")), tmp_path)
    second = write_checkpoint("krrish94", make_networks(small_config("krrish94")), tmp_path)
    with pytest.raises(InputError, match="no checkpoint of nerf_pl; it looks like one of krrish94"):
        read_files([first, second])
    with pytest.raises(InputError, match="is one file"):
        import_checkpoint([first, first], tmp_path / "run")


def test_what_contradicts_the_weights_is_refused(tmp_path: Path) -> None:
    path = write_checkpoint("nerf_pl", make_networks(small_config("nerf_pl")), tmp_path)
    coarse = make_networks(small_config("nerf_pl", fine_samples=0))
    alone = write_checkpoint("nerf_pl", coarse, tmp_path / "alone", lambda content: content["state_dict"])
    for file, preset, settings, said in [
        (path, "flax_nerf", {}, "'flax_nerf' does not go with checkpoints of nerf_pl"),
        (path, None, {"depth": 6}, "contradict the weights: depth 6, but it is 8"),
        (path, None, {"skip_order": "input_last"}, "skip_order input_last, but it is input_first"),
        (path, None, {"fine_samples": 0}, "has a fine network, which needs samples"),
        (alone, None, {"fine_samples": 8}, "has no fine network for fine samples"),
        (path, None, {"widht": 6}, "did you mean 'width'"),
        (path, None, {"near": 7.0, "far": 6.0}, "--near 7 is not below --far 6"),
        (path, None, {"near": float("nan")}, "finite number, not nan"),
    ]:
        with pytest.raises(InputError, match=said):
            import_checkpoint([file], tmp_path / "run", preset=preset, settings={**BOUNDED, **settings})
        assert not (tmp_path / "run").exists()


def llff(content: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    known = {"dataset_name": "llff", "spheric_poses": False, "N_samples": 8, "N_importance": 8}
    return {**content, "hyper_parameters": argparse.Namespace(**{**known, **arguments})}


def test_cameras_beside_the_checkpoint_are_taken(tmp_path: Path) -> None:
    networks = make_networks(small_config("nerf_pl"))
    for spheric, kind in ((False, "forward"), (True, "surround")):
        folder = tmp_path / kind
        path = write_checkpoint(
            "nerf_pl", networks, folder, lambda content, spheric=spheric: llff(content, spheric_poses=spheric)
        )
        with pytest.raises(InputError, match=r"does not say where its scene is.*--data"):
            import_checkpoint([path], folder / "run")
        poses = write_poses_bounds(folder / "poses_bounds.npy")
        run = import_checkpoint([path], folder / "run")
        frame = run.record.state["frame"]
        assert frame["kind"] == kind
        assert frame["to_model"]["scale"] == pytest.approx(1 / 3)
        assert run.record.data.locate(run.path) == poses.resolve()
        capture = run.capture_info().as_capture()
        assert (len(capture), len(capture.splits["train"])) == (9, 8)
        assert capture.splits["val"] == (4,)
        view = run.load_method()
        rendering = view.render(view.encode(), capture.cameras[0])
        assert bool(rendering.rgb.isfinite().all())


def test_pictures_are_reduced_to_the_size_of_the_training(tmp_path: Path) -> None:
    networks = make_networks(small_config("nerf_pl"))
    data = write_views(tmp_path / "data")
    half = write_checkpoint(
        "nerf_pl",
        networks,
        tmp_path,
        lambda content: llff(content, dataset_name="blender", img_wh=[5, 4]),
    )
    run = import_checkpoint([half], tmp_path / "run", data=data)
    assert (run.record.data.downscale, run.record.data.resize_rule) == (2.0, "lanczos")
    assert run.open_data().images.sizes.tolist() == [[5, 4]] * 4
    other = import_checkpoint(
        [half], tmp_path / "other", data=data, opening=DataOptions(downscale=10 / 8, resize_rule="box")
    )
    assert (other.record.data.downscale, other.record.data.resize_rule) == (10 / 8, "box")


def test_where_everything_comes_from_is_recorded(tmp_path: Path) -> None:
    networks = make_networks(small_config("nerf-pytorch"))
    path = write_checkpoint("nerf-pytorch", networks, tmp_path)
    run = import_checkpoint(
        [path], tmp_path / "run", data=write_views(tmp_path / "data"), settings={"far": 5.5}
    )
    source = Run.open(run.path).record.source
    assert source["files"][0]["name"] == "001200.tar"
    assert len(source["files"][0]["sha256"]) == 64
    assert source["settings"]["given"] == {"far": 5.5}
    assert source["settings"]["file"]["width"] == 16
    assert source["settings"]["preset"] == {"coarse_samples": 64, "fine_samples": 128, "disparity": False}
    assert source["settings"]["data"] == {"scene": "bounded", "near": 2.0, "background": "white"}
    assert run.record.state["frame"]["far"] == 5.5


def test_an_import_can_begin_a_training_but_not_go_on(tmp_path: Path) -> None:
    config = small_config("nerf_pl")
    data = write_views(tmp_path / "data")
    run, _ = run_of(tmp_path, config, "nerf_pl", data=data)
    options = TrainOptions(out=run.path, steps=1300, device="cpu", eval_every=0, resume=True)
    with pytest.raises(InputError, match="were imported, without what their training needs"):
        train_method("nerf", data, run.config, options)
    before = load_file(run.weights_path)
    fresh = replace(options, out=tmp_path / "more", init=run.path, resume=False, steps=1)
    trained = train_method("nerf", data, replace(run.config, rays=16), fresh).run
    after = load_file(trained.weights_path)
    largest = max(float((after[name] - value).abs().max()) for name, value in before.items())
    assert 0 < largest < 2e-3
    assert run.record.progress.step == 1200


def test_without_data_only_views_are_missing(tmp_path: Path) -> None:
    run, _ = run_of(tmp_path, small_config("nerf_pl"), "nerf_pl", settings={"near": 1.0, "far": 4.0})
    assert run.record.state["frame"]["near"] == 1.0
    with pytest.raises(InputError, match=r"was imported without data.*--data"):
        run.open_data()
    with pytest.raises(InputError, match="give the data with --data"):
        run.capture_info()
    moved = run.open_data(write_views(tmp_path / "data"))
    assert len(moved) == 4
