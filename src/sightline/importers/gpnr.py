"""Generalizable Patch-Based Neural Rendering: checkpoint_NNNNNN, flax's msgpack, read without JAX.

The files hold no configuration: numbers of layers, widths, heads, patches and the degrees of the codes follow
from the shapes; the number of samples and what the preset says besides do not.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.foundation.errors import InputError
from sightline.importers.contract import Reading, Source, SourceFile
from sightline.importers.perceptrons import as_step
from sightline.methods.gpnr.config import GpnrConfig

if TYPE_CHECKING:
    from torch import Tensor

_TOP = {
    "query": "query_transform",
    "view_query": "query_transform2",
    "key": "key_transform",
    "view_key": "key_transform2",
    "sample_logit": "epipolar_correspondence",
    "view_logit": "view_correspondence",
    "colour": "rgb_dense",
}
# The first is misspelt in the files.
_STACKS = {
    "visual_layers": "vision_transfromer",
    "epipolar_layers": "epipolar_transformer",
    "view_layers": "view_transformer",
}
_LAYER = "SelfAttentionTransformerLayer_"
_PARTS = {
    "query": "SelfAttention_0/query",
    "key": "SelfAttention_0/key",
    "value": "SelfAttention_0/value",
    "out": "SelfAttention_0/out",
    "attended_norm": "LayerNorm_0",
    "norm": "LayerNorm_1",
    "widen": "Mlp_0/Dense_0",
    "narrow": "Mlp_0/Dense_1",
}
_LISTED = 8


def published_name(name: str) -> str:
    """Give the path in the published tree of a parameter of `GpnrNetwork`."""
    *path, kind = name.split(".")
    if path[0] == "patches":
        return f"conv_layer/Conv_{path[2]}/{'kernel' if kind == 'weight' else kind}"
    if path[0] in _TOP:
        return f"{_TOP[path[0]]}/{'kernel' if kind == 'weight' else kind}"
    stack, number, part = path
    if part.endswith("norm"):
        kind = "scale" if kind == "weight" else kind
    else:
        kind = "kernel" if kind == "weight" else kind
    return f"{_STACKS[stack]}/{_LAYER}{number}/{_PARTS[part]}/{kind}"


def published_shape(name: str, shape: Sequence[int], heads: int) -> tuple[int, ...]:
    """Give the shape in the published tree of a parameter of `GpnrNetwork`."""
    path = published_name(name)
    if path.startswith("conv_layer") and len(shape) == 4:
        return shape[2], shape[3], shape[1], shape[0]
    if "SelfAttention_0/out/kernel" in path:
        return heads, shape[1] // heads, shape[0]
    if "SelfAttention_0" in path and "/out/" not in path:
        own = (heads, shape[0] // heads)
        return (shape[1], *own) if len(shape) == 2 else own
    return tuple(reversed(shape))


def from_published(name: str, value: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Bring an array of the published tree to the shape of a parameter of `GpnrNetwork`."""
    if name.startswith("patches") and value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    if len(shape) == 2:
        return value.reshape(shape[1], shape[0]).T
    return value.reshape(tuple(shape))


def recognise(content: Any) -> bool:
    """Whether there are parameters with the names of its networks."""
    tree = content.get("params") if isinstance(content, dict) else None
    return isinstance(tree, dict) and {"vision_transfromer", "epipolar_correspondence"} <= tree.keys()


def read(files: Sequence[SourceFile]) -> Reading:
    """Read one checkpoint.

    Raises:
        InputError: several files, or shapes of which no configuration can be told.
    """
    if len(files) > 1:
        raise InputError("A checkpoint of gpnr is one file", where=files[1].path)
    file = files[0]
    tensors = _flatten(file.content["params"])
    try:
        settings = _settings(tensors)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"Its networks have not the layers of gpnr ({error})",
            where=file.path,
            fix="Only checkpoints of the published program are read",
        ) from error
    return Reading(
        method="gpnr",
        preset="reduced" if settings["width"] == 64 else "readme",
        weights=partial(_weights, tensors, file.path),
        settings=settings,
        exact={"layer_precision": "float32"},
        fixed=frozenset(settings),
        told=("samples", "sources"),
        step=as_step(file.content.get("step")),
    )


def _flatten(tree: Mapping[Any, Any], before: str = "") -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, value in tree.items():
        path = f"{before}{name}"
        found |= _flatten(value, f"{path}/") if isinstance(value, Mapping) else {path: np.asarray(value)}
    return found


def _settings(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Tell the configuration from shapes; KeyError or ValueError where it is none."""
    convolutions = sorted(
        name for name in tensors if name.startswith("conv_layer/") and name.endswith("kernel")
    )
    features = tuple(int(tensors[name].shape[-1]) for name in convolutions)
    ray, width = tensors["query_transform/kernel"].shape
    point = tensors["key_transform/kernel"].shape[0] - ray - sum(features) - 3 - 12
    first = f"{_STACKS['visual_layers']}/{_LAYER}0/"
    frequencies = [(size // own - 1) / 2 for size, own in ((ray, 6), (point, 3))]
    if any(value != int(value) or value < 0 for value in frequencies):
        raise ValueError(f"codes of {ray} and {point} numbers")
    return {
        "patch_features": features,
        "patch_size": int(tensors[convolutions[0]].shape[0]),
        "ray_frequencies": int(frequencies[0]),
        "point_frequencies": int(frequencies[1]),
        "width": int(width),
        "heads": int(tensors[f"{first}SelfAttention_0/query/kernel"].shape[1]),
        "hidden_width": int(tensors[f"{first}Mlp_0/Dense_0/kernel"].shape[1]),
        "epipolar_layers": _count(tensors, _STACKS["epipolar_layers"]),
        "view_layers": _count(tensors, _STACKS["view_layers"]),
    }


def _count(tensors: Mapping[str, np.ndarray], stack: str) -> int:
    before = f"{stack}/{_LAYER}"
    return len({name.removeprefix(before).split("/")[0] for name in tensors if name.startswith(before)})


def _weights(stored: Mapping[str, np.ndarray], path: Path, config: GpnrConfig) -> "dict[str, Tensor]":
    """Give the weights their names behind `network.`; InputError lists every tensor that does not fit."""
    import torch

    from sightline.methods.gpnr.network import GpnrNetwork

    wanted = {name: tuple(value.shape) for name, value in GpnrNetwork(config).state_dict().items()}
    names = {name: published_name(name) for name in wanted}
    problems = [f"missing: {names[name]}" for name in wanted if names[name] not in stored]
    problems += [f"not known: {name}" for name in stored if name not in set(names.values())]
    for name, shape in wanted.items():
        expected = published_shape(name, shape, config.heads)
        value = stored.get(names[name])
        if value is not None and value.shape != expected:
            problems.append(f"of another shape: {names[name]} {value.shape} instead of {expected}")
    if problems:
        more = f" and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise InputError(
            f"The file is cut short, or not of gpnr: {'; '.join(problems[:_LISTED])}{more}", where=path
        )
    found = {name: from_published(name, stored[names[name]], shape) for name, shape in wanted.items()}
    return {
        f"network.{name}": torch.from_numpy(np.ascontiguousarray(value, np.float32))
        for name, value in found.items()
    }


SOURCE = Source(
    name="gpnr",
    summary="checkpoint_NNNNNN (msgpack) of Generalizable Patch-Based Neural Rendering",
    looked_for="vision_transfromer and epipolar_correspondence under params",
    presets=("readme", "reduced"),
    recognise=recognise,
    read=read,
)
