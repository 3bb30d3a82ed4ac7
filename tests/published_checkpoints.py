"""Checkpoints as published NeRF programs write them, of networks of ours, and data to import them with."""

import argparse
import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import torch
from PIL import Image
from torch import nn

from sightline.methods.nerf.config import INFO, NerfConfig
from sightline.methods.nerf.network import build_networks

SYSTEMS = ("nerf_pl", "nerf-pytorch", "bmild", "flax_nerf", "krrish94")
PRESETS = {
    "nerf_pl": "nerf_pl",
    "nerf-pytorch": "bmild",
    "bmild": "bmild",
    "flax_nerf": "flax_nerf",
    "krrish94": "krrish94",
}
# Where the golden camera stands: at 4 units, which all of these programs look at from 2 to 6.
POSE = [
    [-0.7986355, -0.30090752, 0.5211871, 2.0847485],
    [0.60181504, -0.39931774, 0.69163865, 2.7665546],
    [0.0, 0.8660254, 0.5, 2.0],
]
FOCAL, SIZE = 11.0, (10, 8)


def small_config(system: str, **changes: Any) -> NerfConfig:
    """The program's own configuration with narrow networks."""
    width = {"depth": 4, "width": 16} if system == "krrish94" else {"width": 16}
    samples = {"coarse_samples": 8, "fine_samples": 8}
    exact = {"layer_precision": "float32"}
    return INFO.build_config(PRESETS[system], **{**exact, **width, **samples, **changes})


def make_networks(config: NerfConfig, seed: int = 3) -> nn.ModuleDict:
    """Networks with random weights."""
    torch.manual_seed(seed)
    return build_networks(config)


def write_checkpoint(
    system: str, networks: nn.ModuleDict, folder: Path, change: Callable[[Any], Any] = lambda content: content
) -> Path:
    """Write networks as the program does; `change` is what happens to the content before it is written."""
    folder.mkdir(parents=True, exist_ok=True)
    return _WRITERS[system](networks, folder, change)


def _torch_names(network: nn.Module, names: dict[str, str]) -> OrderedDict[str, torch.Tensor]:
    """A network's parameters under other names; without directions in one last layer of 5 outputs."""
    found = OrderedDict()
    state = network.state_dict()
    if "view.weight" not in state:
        for kind in ("weight", "bias"):
            spare = torch.zeros_like(state[f"density.{kind}"])
            rows = [state[f"colour.{kind}"], state[f"density.{kind}"], spare]
            found[f"{names['last']}.{kind}"] = torch.cat(rows)
        state = {name: value for name, value in state.items() if name.startswith("trunk")}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        found[f"{names[layer]}.{kind}"] = value.clone()
    return found


def _nerf_pl(networks: nn.ModuleDict, folder: Path, change: Callable[[Any], Any]) -> Path:
    names = {f"trunk.{k}": f"xyz_encoding_{k + 1}.0" for k in range(8)}
    names |= {"density": "sigma", "feature": "xyz_encoding_final", "view": "dir_encoding.0"}
    names["colour"] = "rgb.0"
    tensors = {
        f"nerf_{which}.{name}": value
        for which, network in networks.items()
        for name, value in _torch_names(network, names).items()
    }
    arguments = argparse.Namespace(dataset_name="blender", N_samples=8, N_importance=8, img_wh=[10, 8])
    content = {"epoch": 3, "global_step": 1200, "state_dict": tensors, "hyper_parameters": arguments}
    torch.save(change(content), folder / "epoch=2.ckpt")
    return folder / "epoch=2.ckpt"


def _nerf_pytorch(networks: nn.ModuleDict, folder: Path, change: Callable[[Any], Any]) -> Path:
    names = {f"trunk.{k}": f"pts_linears.{k}" for k in range(16)} | {"last": "output_linear"}
    names |= {"density": "alpha_linear", "feature": "feature_linear", "view": "views_linears.0"}
    names["colour"] = "rgb_linear"
    content: dict[str, Any] = {"global_step": 1200, "network_fine_state_dict": None}
    for which, network in networks.items():
        key = {"coarse": "network_fn_state_dict", "fine": "network_fine_state_dict"}[which]
        content[key] = _torch_names(network, names)
        if "output_linear.weight" in content[key]:
            content[key]["views_linears.0.weight"] = torch.rand(8, 16)
            content[key]["views_linears.0.bias"] = torch.rand(8)
    torch.save(change(content), folder / "001200.tar")
    return folder / "001200.tar"


def _krrish94(networks: nn.ModuleDict, folder: Path, change: Callable[[Any], Any]) -> Path:
    names = {"trunk.0": "layer1", **{f"trunk.{k + 1}": f"layers_xyz.{k}" for k in range(7)}}
    names |= {"density": "fc_alpha", "feature": "fc_feat", "view": "layers_dir.0", "colour": "fc_rgb"}
    content: dict[str, Any] = {"iter": 1200, "loss": torch.tensor(0.1), "psnr": 20.5}
    content |= {f"model_{which}_state_dict": _torch_names(net, names) for which, net in networks.items()}
    path = folder / "checkpoint001200.ckpt"
    torch.save(change(content), path, _use_new_zipfile_serialization=False)
    return path


def keras_list(network: nn.Module) -> list[np.ndarray]:
    """Kernels (in, out) and biases in the order of the authors' own model."""
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    layers = [name.removesuffix(".weight") for name in state if name.startswith("trunk") and "weight" in name]
    found = []
    if "view.weight" in state:
        for layer in [*layers, "feature", "view", "colour", "density"]:
            found += [state[f"{layer}.weight"].T.copy(), state[f"{layer}.bias"]]
        return found
    for layer in layers:
        found += [state[f"{layer}.weight"].T.copy(), state[f"{layer}.bias"]]
    heads = [
        np.concatenate([state[f"colour.{kind}"], state[f"density.{kind}"]]) for kind in ("weight", "bias")
    ]
    return [*found, heads[0].T.copy(), heads[1]]


def _bmild(networks: nn.ModuleDict, folder: Path, change: Callable[[Any], Any]) -> Path:
    content = change({which: keras_list(network) for which, network in networks.items()})
    for which, arrays in content.items():
        rows = np.empty(len(arrays), dtype=object)
        for place, array in enumerate(arrays):
            rows[place] = array
        name = "model_001200.npy" if which == "coarse" else "model_fine_001200.npy"
        np.save(folder / name, rows, allow_pickle=True)
    return folder / "model_001200.npy"


def packed(value: np.ndarray, code: int = 1) -> msgpack.ExtType:
    """An array as flax writes it."""
    return msgpack.ExtType(code, msgpack.packb([list(value.shape), value.dtype.name, value.tobytes()]))


def flax_tree(network: nn.Module) -> dict[str, Any]:
    """A network's parameters as flax names them."""
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    depth = sum(name.startswith("trunk") and "weight" in name for name in state)
    order = [f"trunk.{k}" for k in range(depth)]
    if "view.weight" in state:
        order += ["density", "feature", "view", "colour"]
    else:
        order.append("heads")
        for kind in ("weight", "bias"):
            state[f"heads.{kind}"] = np.concatenate([state[f"colour.{kind}"], state[f"density.{kind}"]])
    return {
        f"Dense_{place}": {
            "kernel": np.ascontiguousarray(state[f"{layer}.weight"].T),
            "bias": state[f"{layer}.bias"],
        }
        for place, layer in enumerate(order)
    }


def _flax(networks: nn.ModuleDict, folder: Path, change: Callable[[Any], Any]) -> Path:
    trees = {which: flax_tree(network) for which, network in networks.items()}
    content = change({"step": np.array(1200, np.int32), "params": trees, "opt_state": {"0": {}}})
    path = folder / "checkpoint_1200"
    path.write_bytes(msgpack.packb(content, default=packed))
    return path


_WRITERS = {
    "nerf_pl": _nerf_pl,
    "nerf-pytorch": _nerf_pytorch,
    "bmild": _bmild,
    "flax_nerf": _flax,
    "krrish94": _krrish94,
}


def write_views(folder: Path, photo: np.ndarray | None = None) -> Path:
    """Write a Blender capture whose test view is the golden camera; RGBA photos, all opaque.

    Args:
        photo: what the test view shows, (8, 10, 3) in [0, 1]; grey where not given.
    """
    width, height = SIZE
    shown = np.full((height, width, 3), 0.5) if photo is None else photo
    pixels = np.concatenate([np.rint(255 * shown.clip(0, 1)), np.full((height, width, 1), 255)], -1)
    for split, angles in (("train", (0.4, 2.5, 4.6)), ("val", ()), ("test", (0.0,))):
        (folder / split).mkdir(parents=True)
        frames = []
        for k, angle in enumerate(angles):
            c, s = np.cos(angle), np.sin(angle)
            turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
            matrix = [*(turn @ np.array(POSE)).tolist(), [0.0, 0.0, 0.0, 1.0]]
            frames.append({"file_path": f"./{split}/r_{k}", "transform_matrix": matrix})
            Image.fromarray(pixels.astype(np.uint8), "RGBA").save(folder / split / f"r_{k}.png")
        document = {"camera_angle_x": 2 * float(np.arctan(0.5 * width / FOCAL)), "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def write_poses_bounds(path: Path, count: int = 9) -> Path:
    """Write poses_bounds.npy of cameras side by side that look along -z at what is 4 to 12 units away."""
    rows = np.empty((count, 17))
    for row, side in zip(rows, np.linspace(-1, 1, count), strict=True):
        # Axes are (down, right, backward).
        matrix = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], float)
        columns = [matrix, np.array([[side], [0.1 * side], [0]]), np.array([[16], [20], [18]])]
        row[:15] = np.concatenate(columns, axis=1).reshape(-1)
        row[15:] = 4, 12
    np.save(path, rows)
    return path
