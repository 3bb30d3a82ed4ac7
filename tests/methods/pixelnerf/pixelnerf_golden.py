"""Golden numbers of pixelNeRF: the weights that they were made with, and their arrays as tensors."""

import math
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.methods.pixelnerf.config import INFO, PixelNerfConfig
from sightline.methods.pixelnerf.network import PixelNerfNetwork, SourceViews
from sightline.methods.pixelnerf.tracing import Chance, ObjectRays

SHIFTS = {
    "mlp_coarse": (3.6, -5.1, 8.4, -44.4),
    "mlp_fine": (-5.3, 0.0, 3.8, 7.7),
}


def golden(shared: Path, name: str) -> dict[str, np.ndarray]:
    """Load a golden file."""
    with np.load(shared / "golden" / "pixelnerf" / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def rule_value(name: str, shape: tuple[int, ...], shifts: dict[str, Any], seed: int = 0) -> Tensor:
    """Give the tensor of a published name by the rule of the golden files."""
    rng = np.random.default_rng(zlib.crc32(f"{seed}:{name}".encode()))
    n = rng.standard_normal(shape).astype(np.float32)
    part, _, kind = name.rpartition(".")
    norm = ".bn" in name or "downsample.1" in name
    if kind == "num_batches_tracked":
        return torch.zeros((), dtype=torch.long)
    if kind == "running_mean":
        value = np.float32(0.1) * n
    elif kind == "running_var":
        value = 1 + np.float32(0.2) * np.abs(n)
    elif kind == "bias":
        value = np.float32(0.05) * n
    elif norm:
        value = 1 + np.float32(0.1) * n
        if part.endswith(".bn2"):
            value = value * np.float32(0.25)
    else:
        value = n * np.float32(math.sqrt(2 / np.prod(shape[1:])))
        if part.endswith("fc_1"):
            value = value * np.float32(0.5)
        if part.endswith("lin_out"):
            value[3] *= 4
    if name.endswith("lin_out.bias"):
        value = value + np.asarray(shifts[name.split(".")[0]], np.float32)
    return torch.from_numpy(np.asarray(value, np.float32))


def rule_weights(network: PixelNerfNetwork, shifts: dict[str, Any] | None = None) -> dict[str, Tensor]:
    """Give every tensor of a network by the rule."""
    return {
        name: rule_value(name, tuple(value.shape), shifts or SHIFTS)
        for name, value in network.state_dict().items()
    }


@cache
def usual_network() -> PixelNerfNetwork:
    """The network that most golden files were made with; not to be changed."""
    return rule_network()


def rule_network(
    preset: str = "srn_car", shifts: dict[str, Any] | None = None, **changes: Any
) -> PixelNerfNetwork:
    """Build a network of a preset with the weights of the rule, in evaluation mode."""
    network = PixelNerfNetwork(
        INFO.build_config(preset, imagenet=False, layer_precision="float32", **changes)
    )
    network.load_state_dict(rule_weights(network, shifts))
    return network.eval()


def to_images(pictures: np.ndarray) -> Tensor:
    """Turn uint8 (…, h, w, 3) into [-1, 1] (…, 3, h, w)."""
    return torch.from_numpy(np.moveaxis(pictures.astype(np.float32) / 255 * 2 - 1, -1, -3).copy())


def to_views(
    pictures: np.ndarray, poses: np.ndarray, focal: np.ndarray, centre: np.ndarray | None = None
) -> SourceViews:
    """Make source views of (groups, views, …) arrays; lenses are for each group."""
    images = to_images(pictures)
    groups, views = images.shape[:2]
    height, width = images.shape[-2:]
    focal = np.broadcast_to(np.asarray(focal, np.float32).reshape(groups, -1), (groups, 2))
    if centre is None:
        centre = np.broadcast_to(np.array([width / 2, height / 2], np.float32), (groups, 2))

    def per_view(values: np.ndarray) -> Tensor:
        rows = torch.from_numpy(np.array(values, np.float32))
        return rows[:, None].expand(groups, views, 2).contiguous()

    return SourceViews(images, torch.from_numpy(poses[..., :3, :]), per_view(focal), per_view(centre))


def to_rays(rows: np.ndarray) -> ObjectRays:
    """Make rays of (groups, rays, 8) arrays: origin, direction, near, far."""
    found = torch.from_numpy(rows)
    return ObjectRays(found[..., :3], found[..., 3:6], found[..., 6], found[..., 7])


def to_chance(file: dict[str, np.ndarray], before: str = "") -> Chance:
    """Take the random numbers of a golden file; empty ones where it has none."""
    rays = len(file[f"{before}u_coarse"])

    def row(name: str) -> Tensor:
        return torch.from_numpy(file.get(f"{before}{name}", np.zeros((rays, 0), np.float32)))

    return Chance(row("u_coarse"), row("u_fine"), row("v_fine"), row("n_depth"))


def config_of(file: dict[str, np.ndarray]) -> PixelNerfConfig:
    """Make the configuration of a golden render."""
    return PixelNerfConfig(
        layer_precision="float32",
        coarse_samples=int(file["cfg_n_coarse"]),
        fine_samples=int(file["cfg_n_fine"]),
        depth_samples=int(file["cfg_n_fine_depth"]),
        depth_spread=float(file["cfg_depth_std"]),
        disparity=bool(file["cfg_lindisp"]),
        background="white" if file["cfg_white_bkgd"] else "none",
        imagenet=False,
    )


def close(found: Tensor, expected: np.ndarray, atol: float, rtol: float = 0.0) -> None:
    """Compare with an array of the same number of elements."""
    np.testing.assert_allclose(
        found.detach().numpy().reshape(np.shape(expected)), expected, atol=atol, rtol=rtol
    )
