"""Golden numbers of the published programs: files, the rule that weights follow, and their tolerances."""

import json
import zlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.captures import Capture, Collection, open_capture
from sightline.foundation.tensors import read_foreign
from sightline.geometry.turning_volume import camera_turn, relative_motion
from sightline.methods.enr.config import EnrConfig, from_published
from sightline.methods.enr.network import EnrNetwork

ROTATION, FEATURES, RENDERS, LOSSES, PSNR = 3e-5, 1e-4, 1e-3, 1e-3, 0.01
SEEDS = {"model128": 1234, "model64": 1235, "tiny": 1236}


class EnrGolden:
    """The folder of golden numbers and the sets that they are of."""

    def __init__(self, shared: Path):
        self.folder = shared / "golden" / "enr"
        self.data = shared / "data" / "enr_chairs"

    @cached_property
    def numbers(self) -> dict[str, Any]:
        return self.json("golden")

    def json(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self.folder / f"{name}.npz") as file:
            return dict(file)

    def network(self, name: str, config: EnrConfig) -> EnrNetwork:
        """Weights by the rule."""
        network = EnrNetwork(config)
        state = {
            key: rule_weights(SEEDS[name], key, tuple(value.shape))
            for key, value in network.state_dict().items()
        }
        network.load_state_dict(state)
        return network.eval()

    def published(self, name: str) -> dict[str, Any]:
        return read_foreign(self.folder / f"{name}.pt")

    def collection(self, name: str, **options: Any) -> Collection:
        found = open_capture(self.data / name, **options)
        assert isinstance(found, Collection)
        return found


def rule_weights(seed: int, name: str, shape: tuple[int, ...]) -> Tensor:
    draw = np.random.default_rng(zlib.crc32(f"{seed}:{name}".encode()))
    n = draw.standard_normal(shape).astype(np.float32)
    if len(shape) >= 2:
        value = n * np.float32(np.sqrt(2 / (shape[1] * np.prod(shape[2:]))))
    else:
        value = np.float32(1) + np.float32(0.1) * n if name.endswith(".weight") else np.float32(0.05) * n
    return torch.from_numpy(value)


def config_of(values: dict[str, Any], **changes: Any) -> EnrConfig:
    found = from_published(values)
    assert found is not None
    found = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    return EnrConfig(**{"network_precision": "float32", **found, **changes})


def motions_of(source: Tensor, target: Tensor) -> Tensor:
    """Motions (n, 3, 4) from rows of azimuth, elevation in degrees and, perhaps, x, y, z."""
    source, target = source.double(), target.double()
    turns = [camera_turn(*rows[:, :2].deg2rad().T) for rows in (source, target)]
    shifts = [
        rows[:, 2:] if rows.shape[1] == 5 else torch.zeros(len(rows), 3).double() for rows in (source, target)
    ]
    return relative_motion(turns[0], shifts[0], turns[1], shifts[1]).float()


def assert_like(found: Tensor, arrays: dict[str, np.ndarray], name: str, tolerance: float) -> None:
    """Compare with what is stored of a tensor: all of it, positions, and sums."""
    assert list(found.shape) == arrays[f"{name}_shape"].tolist()
    flat = found.detach().reshape(-1)
    if f"{name}_idx" in arrays:
        stored = torch.from_numpy(arrays[f"{name}_val"])
        assert (flat[torch.from_numpy(arrays[f"{name}_idx"])] - stored).abs().max() < tolerance
    else:
        assert (found.detach() - torch.from_numpy(arrays[name])).abs().max() < tolerance
    total, sizes, norm, low, high = arrays[f"{name}_stats"].tolist()
    assert abs(float(flat.double().sum()) - total) < 1e-4 * sizes
    assert abs(float(flat.double().norm()) - norm) < 1e-4 * norm
    assert abs(float(flat.min()) - low) < tolerance
    assert abs(float(flat.max()) - high) < tolerance


def feature_tolerance(arrays: dict[str, np.ndarray], name: str) -> float:
    low, high = arrays[f"{name}_stats"][3:]
    return FEATURES * max(abs(low), abs(high))


def bare(capture: Capture) -> Capture:
    """The views without the splits of their set."""
    return replace(capture, splits={"train": tuple(range(len(capture))), "val": (), "test": ()})


def picture_tensor(capture: Capture, index: int) -> Tensor:
    pixels = np.asarray(capture.images[index])[..., :3]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
