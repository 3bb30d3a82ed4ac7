"""The networks of `nerf`, built from its configuration alone.

Importers fill what `build_networks` gives: `coarse` and, where there are fine samples, `fine`. The names,
shapes and meaning of their parameters are in the docstring of `RadianceMlp`.
"""

from typing import cast

from torch import nn

from sightline.methods.nerf.config import NerfConfig
from sightline.networks.encodings import FrequencyEncoding
from sightline.networks.radiance_mlp import RadianceMlp


def build_networks(config: NerfConfig) -> nn.ModuleDict:
    """Make the network `coarse`, and `fine` where the configuration has fine samples."""
    networks = {"coarse": _build(config, config.depth, config.width)}
    if config.fine_samples:
        depth, width = config.fine_depth or config.depth, config.fine_width or config.width
        networks["fine"] = _build(config, depth, width)
    return nn.ModuleDict(networks)


def _build(config: NerfConfig, depth: int, width: int) -> RadianceMlp:
    def encoding(frequencies: int) -> FrequencyEncoding:
        return FrequencyEncoding(frequencies, config.log_spaced, config.include_input)

    return RadianceMlp(
        position=encoding(config.position_frequencies),
        direction=None if config.view_directions == "none" else encoding(config.direction_frequencies),
        depth=depth,
        width=width,
        skip_layers=config.skip_layers,
        skip_order=config.skip_order,
        skip_input=config.skip_input,
        feature_width=config.feature_width,
        first_activation=config.first_activation,
        feature_activation=config.feature_activation,
        initialisation=config.initialisation,
        layer_precision=config.layer_precision,
        rematerialise=config.rematerialise,
        chunk=config.point_chunk,
    )


def network_of(networks: nn.ModuleDict, name: str) -> RadianceMlp:
    """Give one of the networks, or whatever was put in its place with the same methods."""
    return cast(RadianceMlp, networks[name])


def name_shown(networks: nn.ModuleDict) -> str:
    """Name of the network that is shown: the fine one, where there is one."""
    return "fine" if "fine" in networks else "coarse"
