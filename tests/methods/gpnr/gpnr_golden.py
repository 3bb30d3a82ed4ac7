"""Golden numbers of GPNR: the weights that they were made with, and its rays."""

import json
import math
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.importers.gpnr import from_published, published_name, published_shape
from sightline.methods.gpnr.config import PRESETS, GpnrConfig
from sightline.methods.gpnr.epipolar import SourceCameras, TargetRays
from sightline.methods.gpnr.network import GpnrNetwork
from sightline.methods.gpnr.patches import Describe, from_maps

VARIANT: dict[str, Any] = {
    "faithful": True,
    "pixel_centre": 0.5,
    "epipolar_layers": 1,
    "view_layers": 1,
    "width": 32,
    "hidden_width": 48,
    "heads": 4,
    "samples": 15,
    "patch_features": (8, 4),
    "patch_size": 5,
    "imagenet_colours": True,
    "ray_frequencies": 6,
    "point_frequencies": 5,
}
SEEDS = {"readme": 4321, "reduced": 4322, "variant": 4323}


def folder(shared: Path) -> Path:
    return shared / "golden" / "gpnr"


@cache
def arrays(path: Path) -> dict[str, np.ndarray]:
    """Load a file."""
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@cache
def facts(shared: Path) -> dict[str, Any]:
    return json.loads((folder(shared) / "golden.json").read_text())


def config_of(name: str) -> GpnrConfig:
    base = name.removesuffix("_sharp")
    return GpnrConfig(**(VARIANT if base == "variant" else PRESETS[base]))


def rule_value(path: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Give the array of a published path by the rule of the golden files."""
    rng = np.random.default_rng(zlib.crc32(f"{seed}:{path}".encode()))
    n = rng.standard_normal(shape).astype(np.float32)
    if path.endswith("scale"):
        return 1 + np.float32(0.1) * n
    if path.endswith("bias"):
        return np.float32(0.05) * n
    inputs = math.prod(shape[:3] if len(shape) == 4 else shape[:2] if "/out/" in path else shape[:1])
    return n * np.float32(math.sqrt(2 / inputs))


def rule_network(shared: Path, name: str) -> GpnrNetwork:
    """Build one of the golden networks, in evaluation mode."""
    network = GpnrNetwork(config_of(name))
    multipliers = facts(shared)["models"][name].get("multipliers", {})
    weights = {}
    for own, value in network.state_dict().items():
        path = published_name(own)
        shape = published_shape(own, value.shape, network.config.heads)
        found = rule_value(path, shape, SEEDS[name.removesuffix("_sharp")])
        for ending, factor in multipliers.items():
            if path.endswith(ending):
                found = found * np.float32(factor)
        weights[own] = torch.from_numpy(np.ascontiguousarray(from_published(own, found, value.shape)))
    network.load_state_dict(weights)
    return network.eval()


def golden_rays(shared: Path) -> tuple[TargetRays, SourceCameras, tuple[torch.Tensor, ...]]:
    """Rays of the golden files, their source cameras, and the sources' pictures."""
    batch = arrays(folder(shared) / "model_batch.npz")
    pictures = torch.from_numpy(batch["ref_rgb"]).unbind()
    c2w = torch.linalg.inv(torch.from_numpy(batch["target_worldtocam"][0]).double())[:3].float()
    rays = TargetRays(
        torch.from_numpy(batch["origins"]),
        torch.from_numpy(batch["directions"]),
        c2w,
        batch["min_depth"].item(),
        batch["max_depth"].item(),
    )
    intrinsics = torch.from_numpy(batch["intrinsic"][0, :, :3]).expand(len(pictures), 3, 3)
    height, width, _ = pictures[0].shape
    sizes = torch.tensor([[width, height]]).expand(len(pictures), 2)
    return (
        rays,
        SourceCameras(torch.from_numpy(batch["ref_cameratoworld"]), intrinsics, sizes),
        pictures,
    )


def maps_of(network: GpnrNetwork, pictures: Sequence[torch.Tensor]) -> Describe:
    """Describe the pixels of pictures by maps of them."""
    return from_maps([network.patches(picture) for picture in pictures])


def assert_probed(found: torch.Tensor, file: dict[str, np.ndarray], key: str, tolerance: float) -> None:
    """Compare a whole array with the values that are stored of it; what is NaN here is left out."""
    assert tuple(found.shape) == tuple(file[f"{key}_shape"]), key
    mine = found.detach().flatten()[torch.from_numpy(file[f"{key}_idx"])]
    truth = torch.from_numpy(file[f"{key}_val"])
    known = ~mine.isnan()
    assert float(known.float().mean()) > 0.5, key
    torch.testing.assert_close(mine[known], truth[known], rtol=0, atol=tolerance, msg=lambda m: f"{key}: {m}")
