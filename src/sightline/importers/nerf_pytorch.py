"""nerf-pytorch (by yenchenlin): NNNNNN.tar, a torch file of both networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.foundation.errors import InputError
from sightline.importers.contract import Reading, Source, SourceFile
from sightline.importers.perceptrons import (
    Naming,
    Perceptrons,
    Stored,
    as_step,
    numbered,
    place_linears,
)

_DEPTH = 8
_KEYS = {"coarse": "network_fn_state_dict", "fine": "network_fine_state_dict"}


def recognise(content: Any) -> bool:
    """Whether there are the dictionaries of its networks."""
    return isinstance(content, dict) and any(isinstance(content.get(key), dict) for key in _KEYS.values())


def read(files: Sequence[SourceFile]) -> Reading:
    """Read one checkpoint; the fine network may be missing or None."""
    if len(files) > 1:
        raise InputError("A checkpoint of nerf-pytorch is one file", where=files[1].path)
    content: Mapping[str, Any] = files[0].content
    networks = {which: content[key] for which, key in _KEYS.items() if isinstance(content.get(key), dict)}
    found = max(numbered(network, "pts_linears.") for network in networks.values())
    perceptrons = Perceptrons(
        Naming(_places, _unused),
        networks,
        labels={which: f"{key}." for which, key in _KEYS.items()},
        preset="bmild",
        depths=[_DEPTH, found],
        where=files[0].path,
    )
    return perceptrons.reading(step=as_step(content.get("global_step")), split_rule="bmild")


def _places(depth: int, directions: bool) -> dict[str, Stored]:
    layers = {f"trunk.{layer}": f"pts_linears.{layer}" for layer in range(depth)}
    if directions:
        layers |= {"feature": "feature_linear", "view": "views_linears.0"}
        layers |= {"density": "alpha_linear", "colour": "rgb_linear"}
    else:
        layers |= dict.fromkeys(("density", "colour"), "output_linear")
    return place_linears(layers, directions=directions, heights=(4, 5))


def _unused(name: str, directions: bool) -> bool:
    # It makes this layer even where it does not use directions.
    return not directions and name.startswith("views_linears.0.")


SOURCE = Source(
    name="nerf-pytorch",
    summary="NNNNNN.tar of yenchenlin's nerf-pytorch",
    looked_for="dictionaries network_fn_state_dict and network_fine_state_dict",
    presets=("bmild", "bmild-noviewdirs"),
    recognise=recognise,
    read=read,
)
