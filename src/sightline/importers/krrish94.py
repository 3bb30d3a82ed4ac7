"""krrish94's nerf-pytorch: checkpointNNNNNN.ckpt, a torch file of two small networks.

The config.yml that lies beside published files describes other networks: the shapes tell.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.foundation.errors import InputError
from sightline.importers.contract import Reading, Source, SourceFile
from sightline.importers.perceptrons import (
    NETWORKS,
    Naming,
    Perceptrons,
    Stored,
    as_step,
    numbered,
    place_linears,
)

_DEPTH = 4
_KEYS = {which: f"model_{which}_state_dict" for which in NETWORKS}
_OWN = ("layer1.", "layers_xyz.", "fc_alpha.")


def recognise(content: Any) -> bool:
    """Whether there are the dictionaries of its networks, with its names of layers."""
    return any(str(name).startswith(_OWN) for network in _networks(content).values() for name in network)


def read(files: Sequence[SourceFile]) -> Reading:
    """Read one checkpoint; the fine network may be missing or None."""
    if len(files) > 1:
        raise InputError("A checkpoint of krrish94 is one file", where=files[1].path)
    content: Mapping[str, Any] = files[0].content
    networks = _networks(content)
    found = max(numbered(network, "layers_xyz.") for network in networks.values())
    perceptrons = Perceptrons(
        Naming(_places),
        networks,
        labels={which: f"{key}." for which, key in _KEYS.items()},
        preset="krrish94",
        depths=[_DEPTH, found + 1],
        where=files[0].path,
    )
    psnr = content.get("psnr")
    return perceptrons.reading(
        step=as_step(content.get("iter")),
        facts={"training_psnr": psnr} if isinstance(psnr, float) else {},
        split_rule="bmild",
    )


def _networks(content: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(content, dict):
        return {}
    return {which: content[key] for which, key in _KEYS.items() if isinstance(content.get(key), dict)}


def _places(depth: int, directions: bool) -> dict[str, Stored]:
    layers = {"trunk.0": "layer1"}
    layers |= {f"trunk.{layer + 1}": f"layers_xyz.{layer}" for layer in range(depth - 1)}
    if directions:
        layers |= {"feature": "fc_feat", "view": "layers_dir.0", "density": "fc_alpha", "colour": "fc_rgb"}
    else:
        layers |= dict.fromkeys(("density", "colour"), "fc_out")
    return place_linears(layers, directions=directions)


SOURCE = Source(
    name="krrish94",
    summary="checkpointNNNNNN.ckpt of krrish94's nerf-pytorch",
    looked_for="dictionaries model_coarse_state_dict and model_fine_state_dict with layer1, layers_xyz",
    presets=("krrish94",),
    recognise=recognise,
    read=read,
)
