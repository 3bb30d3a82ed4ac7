"""Encodings and networks against what the published programs compute with the same weights."""

from pathlib import Path

import pytest
import torch
from nerf_golden import assert_within, config_of, golden_networks, load, without_directions
from torch import Tensor

from sightline.methods.nerf.network import build_networks
from sightline.networks.encodings import FrequencyEncoding

PRESETS = {"nerf_pl": "nerf_pl", "bmild": "bmild", "flax": "flax_nerf"}


def outputs(network: torch.nn.Module, points: Tensor, directions: Tensor, sigmoid: bool) -> Tensor:
    """Colour and density as the programs give them, in that order."""
    with torch.no_grad():
        density, colour = network(points, directions)
    return torch.cat([torch.sigmoid(colour) if sigmoid else colour, density], -1)


@pytest.mark.parametrize("system", list(PRESETS))
def test_encodings(shared: Path, system: str) -> None:
    golden = load(shared, f"{system}_model")
    for count, points, name in ((10, "xyz", "embed_xyz"), (4, "dirs", "embed_dir")):
        encoding = FrequencyEncoding(count)
        assert_within(encoding(golden[points]), golden[name], 1e-5, name)
        if f"{name}_f64" in golden:
            assert_within(encoding(golden[points].double()), golden[f"{name}_f64"], 1e-12, name)


@pytest.mark.parametrize("system", list(PRESETS))
@pytest.mark.parametrize("which", ["coarse", "fine"])
def test_networks(shared: Path, system: str, which: str) -> None:
    golden = load(shared, f"{system}_model")
    network = golden_networks(system, golden, config_of(PRESETS[system]))[which]
    name = f"rgbsigma_{which}" if system == "nerf_pl" else f"raw_{which}"
    points, directions, sigmoid = golden["xyz"], golden["dirs"], system == "nerf_pl"
    assert_within(outputs(network, points, directions, sigmoid), golden[name], 2e-5)
    exact = outputs(network.double(), points.double(), directions.double(), sigmoid)
    # The outputs of flax pass through float32.
    assert_within(exact, golden[f"{name}_f64"], 5e-6 if system == "flax" else 1e-10)


def test_densities_alone(shared: Path) -> None:
    golden = load(shared, "nerf_pl_model")
    networks = golden_networks("nerf_pl", golden, config_of("nerf_pl")).double()
    for which, network in networks.items():
        with torch.no_grad():
            found = network.raw_density(golden["xyz"].double())
        assert_within(found, golden[f"sigma_only_{which}_f64"], 1e-10)


@pytest.mark.parametrize(
    ("system", "preset", "name", "rows"),
    [("bmild", "bmild-noviewdirs", "raw_noviewdirs5_coarse", 5), ("flax", "flax_nerf", "raw_noviewdirs", 4)],
)
def test_networks_without_directions(shared: Path, system: str, preset: str, name: str, rows: int) -> None:
    golden = load(shared, f"{system}_model")
    config = config_of(preset, view_directions="none")
    network = without_directions(system, golden, config, rows)["coarse"]
    # A fifth output, which one program has, is used by nobody.
    found = outputs(network, golden["xyz"], golden["dirs"], sigmoid=False)
    assert_within(found, golden[name][:, :4], 2e-5)
    exact = outputs(network.double(), golden["xyz"].double(), golden["dirs"].double(), sigmoid=False)
    if f"{name}_f64" in golden:
        assert_within(exact, golden[f"{name}_f64"][:, :4], 1e-10)


@pytest.mark.parametrize("preset", ["bmild", "nerf_pl", "nerf_pl_dev", "flax_nerf"])
def test_parameter_counts(preset: str) -> None:
    for network in build_networks(config_of(preset)).values():
        assert sum(parameter.numel() for parameter in network.parameters()) == 595_844


@pytest.mark.parametrize(
    ("preset", "layer", "shape"),
    [
        ("nerf_pl", "trunk.4", (256, 319)),
        ("bmild", "trunk.5", (256, 319)),
        ("flax_nerf", "trunk.5", (256, 319)),
        ("tiny", "trunk.5", (256, 259)),
        ("tiny", "trunk.0", (256, 39)),
        ("krrish94", "trunk.3", (128, 128)),
        ("krrish94", "view", (64, 155)),
    ],
)
def test_shapes_of_layers(preset: str, layer: str, shape: tuple[int, int]) -> None:
    network = build_networks(config_of(preset))["coarse"]
    assert tuple(network.get_submodule(layer).weight.shape) == shape
