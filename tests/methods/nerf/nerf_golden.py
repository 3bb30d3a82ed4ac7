"""Golden numbers of published programs: their files, the rule their weights follow, and their tolerances."""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightline.methods.nerf.config import INFO, NerfConfig
from sightline.methods.nerf.network import build_networks

SYSTEMS = ("nerf_pl", "bmild", "flax")
# What each program calls the parameters of a network.
_NAMES = {
    "nerf_pl": {
        **{f"trunk.{k}": f"xyz_encoding_{k + 1}.0" for k in range(8)},
        "density": "sigma",
        "feature": "xyz_encoding_final",
        "view": "dir_encoding.0",
        "colour": "rgb.0",
    },
    "bmild": {
        **{f"trunk.{k}": f"pts_linears.{k}" for k in range(8)},
        "density": "alpha_linear",
        "feature": "feature_linear",
        "view": "views_linears.0",
        "colour": "rgb_linear",
    },
    "flax": {
        **{f"trunk.{k}": f"Dense_{k}" for k in range(8)},
        "density": "Dense_8",
        "feature": "Dense_9",
        "view": "Dense_10",
        "colour": "Dense_11",
    },
}
_LISTED = [*(f"trunk.{k}" for k in range(8)), "feature", "view", "colour", "density"]
"""order of the authors' lists, kernel and bias of each"""
_PREFIXES = {
    "nerf_pl": {"coarse": "nerf_coarse.", "fine": "nerf_fine."},
    "bmild": {"coarse": "network_fn_state_dict.", "fine": "network_fine_state_dict."},
    "flax": {"coarse": "coarse/", "fine": "fine/"},
    "list": {"coarse": "model.", "fine": "model_fine."},
}


@dataclass(frozen=True)
class Golden:
    """One file of golden numbers."""

    arrays: dict[str, np.ndarray]
    switches: dict[str, Any]

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def number(self, name: str) -> float:
        return float(self.arrays[name])

    def __contains__(self, name: str) -> bool:
        return name in self.arrays


def load(shared: Path, name: str) -> Golden:
    with np.load(shared / "golden" / "nerf" / f"{name}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    return Golden(arrays, json.loads(str(arrays.pop("switches_json"))))


def config_of(preset: str, **changes: Any) -> NerfConfig:
    return INFO.build_config(preset, **{"fine_samples": 64, "layer_precision": "float32", **changes})


def draw(seed: int, name: str, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """The README's rule for one parameter."""
    rng = np.random.default_rng(zlib.crc32(f"{seed}:{name}".encode()))
    scale = np.sqrt(2 / fan_in) if len(shape) == 2 else 0.05
    return rng.standard_normal(shape).astype(np.float32) * np.float32(scale)


def golden_networks(system: str, golden: Golden, config: NerfConfig) -> nn.ModuleDict:
    """Networks whose weights follow the rule, in float32."""
    networks = build_networks(config)
    for which, network in networks.items():
        prefix = _PREFIXES[system][which]
        biases = {
            name.split(" ")[0]: value
            for name, value in golden.switches["sigma_bias_add"].items()
            if "viewdirs" not in name
        }
        added = biases[prefix.rstrip("./")]
        _fill(network, system, prefix, golden.switches["weight_seed"], added)
    return networks


def _fill(network: nn.Module, system: str, prefix: str, seed: int, added: float) -> None:
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            layer, _, kind = name.rpartition(".")
            shape, fan_in = tuple(parameter.shape), parameter.shape[-1]
            if system == "flax":
                key = f"{_NAMES[system][layer]}/{'kernel' if kind == 'weight' else 'bias'}"
            elif system == "list":
                key = str(2 * _LISTED.index(layer) + (kind == "bias"))
            else:
                key = f"{_NAMES[system][layer]}.{kind}"
            if system in ("flax", "list"):
                value = draw(seed, prefix + key, shape[::-1], fan_in).T
            else:
                value = draw(seed, prefix + key, shape, fan_in)
            if layer == "density":
                value = value * np.float32(4) if kind == "weight" else value + np.float32(added)
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))


def without_directions(system: str, golden: Golden, config: NerfConfig, rows: int) -> nn.ModuleDict:
    """The coarse network without view directions, whose last layer gives colour, density and perhaps more."""
    networks = build_networks(config)
    del networks["fine"]
    network, seed = networks["coarse"], golden.switches["weight_seed"]
    flax = system == "flax"
    prefix = "coarse_noviewdirs/" if flax else _PREFIXES[system]["coarse"]
    _fill_trunk(network, system, prefix, seed)
    if flax:
        weight = draw(seed, f"{prefix}Dense_8/kernel", (256, rows), 256).T
        bias = draw(seed, f"{prefix}Dense_8/bias", (rows,), rows)
    else:
        weight = draw(seed, f"{prefix}output_linear.weight", (rows, 256), 256)
        bias = draw(seed, f"{prefix}output_linear.bias", (rows,), rows)
        weight[3] *= np.float32(4)
        bias[3] += np.float32(golden.switches["sigma_bias_add"]["network_fn_state_dict (no viewdirs)"])
    weight, bias = torch.from_numpy(np.ascontiguousarray(weight)), torch.from_numpy(bias)
    with torch.no_grad():
        network.colour.weight.copy_(weight[:3])
        network.colour.bias.copy_(bias[:3])
        network.density.weight.copy_(weight[3:4])
        network.density.bias.copy_(bias[3:4])
    return networks


def _fill_trunk(network: nn.Module, system: str, prefix: str, seed: int) -> None:
    trunk = nn.ModuleDict({"trunk": network.trunk})
    _fill(trunk, system, prefix, seed, 0.0)


@contextmanager
def doubles() -> Iterator[None]:
    """Compute what is made without a dtype in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def assert_within(found: Tensor, expected: Tensor, tolerance: float, name: str = "") -> None:
    """Largest absolute difference; NaN must stand where NaN stands."""
    torch.testing.assert_close(
        found.to(expected).reshape(expected.shape),
        expected,
        atol=tolerance,
        rtol=0,
        equal_nan=True,
        msg=lambda text: f"{name}: {text}",
    )


def assert_rendered(
    found: Tensor, expected: Tensor, percentile: float, mean: float, scale: float = 1.0, name: str = ""
) -> None:
    """The README's rule for float32 fine renders: 99 % of values, and the mean."""
    error = (found.double().reshape(expected.shape) - expected.double()).abs()
    assert torch.equal(found.isnan().reshape(expected.shape), expected.isnan()), name
    error = error[~error.isnan()].flatten()
    assert float(error.quantile(0.99)) <= scale * max(1e-2, 3 * percentile), f"{name}: 99 % percentile"
    assert float(error.mean()) <= scale * max(1e-3, 3 * mean), f"{name}: mean"


def noise_floor(shared: Path) -> dict[tuple[str, str], tuple[float, float, float]]:
    """The README's table: (file, array) → float32 against float64 of the original: max, 99 %, mean."""
    text = (shared / "golden" / "nerf" / "README.md").read_text(encoding="utf-8")
    table = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[2][:1].isdigit():
            table[cells[0], cells[1]] = tuple(float(cell) for cell in cells[2:])
    return table
