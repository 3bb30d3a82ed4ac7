"""flax_nerf: checkpoint_NNNNNN, flax's msgpack, in the three trees that its versions wrote."""

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
    place_layers,
)

_DEPTH = 8
_LAYER = "Dense_"


def recognise(content: Any) -> bool:
    """Whether one of its trees has networks of dense layers."""
    return any(str(name).startswith(_LAYER) for network in _networks(content).values() for name in network)


def read(files: Sequence[SourceFile]) -> Reading:
    """Read one checkpoint; the fine network may be missing or nil."""
    if len(files) > 1:
        raise InputError("A checkpoint of flax_nerf is one file", where=files[1].path)
    file = files[0]
    networks = {which: _flatten(network) for which, network in _networks(file.content).items()}
    count = max(numbered(network, _LAYER) for network in networks.values())
    perceptrons = Perceptrons(
        Naming(_places),
        networks,
        labels={which: f"{which}/" for which in NETWORKS},
        preset="flax_nerf",
        depths=[_DEPTH, count - 4, count - 1],
        where=file.path,
    )
    return perceptrons.reading(step=as_step(file.content.get("step")), split_rule="flax_nerf")


def _networks(content: Any) -> dict[str, dict[str, Any]]:
    """Find the networks: under `params`, in the target of one optimiser, or of one for each network."""
    if not isinstance(content, dict):
        return {}
    trees = content.get("params", _inner(content, "optimizer", "target"))
    if not isinstance(trees, dict):
        trees = {which: _inner(content, f"optimizer_{which}", "target") for which in NETWORKS}
    return {which: trees[which] for which in NETWORKS if isinstance(trees.get(which), dict)}


def _inner(tree: Mapping[str, Any], *names: str) -> Any:
    found: Any = tree
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _flatten(tree: Mapping[Any, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= (
            _flatten(value, f"{before}{name}/") if isinstance(value, dict) else {f"{before}{name}": value}
        )
    return found


def _places(depth: int, directions: bool) -> dict[str, Stored]:
    order = [f"trunk.{layer}" for layer in range(depth)]
    order += ["density", "feature", "view", "colour"] if directions else ["colour"]
    names = {layer: (f"{_LAYER}{place}/kernel", f"{_LAYER}{place}/bias") for place, layer in enumerate(order)}
    names.setdefault("density", names["colour"])
    return place_layers(names, directions=directions, transposed=True)


SOURCE = Source(
    name="flax_nerf",
    summary="checkpoint_NNNNNN (msgpack), in the trees of all its versions",
    looked_for="networks of Dense_… under params, optimizer or optimizer_coarse",
    presets=("flax_nerf",),
    recognise=recognise,
    read=read,
)
