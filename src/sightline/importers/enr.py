"""Saved models of Equivariant Neural Rendering and of its extension to shifts: model.pt, best_model.pt.

A dictionary of `config` and `state_dict`. Names of weights are ours; the mask follows from the configuration.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.foundation.errors import InputError
from sightline.importers.contract import Reading, Source, SourceFile
from sightline.methods.enr.config import EnrConfig, from_published

if TYPE_CHECKING:
    from torch import Tensor

_MASK = "spherical_mask.mask"
_BLOCKS = ("inv_transform_2d.", "inv_projection.", "inv_transform_3d.", "transform_3d.", "transform_2d.")
# DataParallel puts this before the names.
_WRAPPED = "module."
_LISTED = 8


def recognise(content: Any) -> bool:
    """Whether there is a configuration of volumes and weights with the names of its blocks."""
    if not isinstance(content, dict):
        return False
    config, weights = content.get("config"), content.get("state_dict")
    if not isinstance(config, dict) or not isinstance(weights, dict):
        return False
    names = [str(name).removeprefix(_WRAPPED) for name in weights]
    return "img_shape" in config and all(any(name.startswith(block) for name in names) for block in _BLOCKS)


def read(files: Sequence[SourceFile]) -> Reading:
    """Read one saved model.

    Raises:
        InputError: several files, a configuration without all of its lists, or tensors that do not fit.
    """
    if len(files) > 1:
        raise InputError("A saved model of enr is one file", where=files[1].path)
    path, content = files[0].path, files[0].content
    config: Mapping[str, Any] = content["config"]
    lists = ("channels_2d", "strides_2d", "channels_3d", "strides_3d")
    missing = [
        name
        for name in ("img_shape", *lists, "num_channels_inv_projection", "num_channels_projection")
        if name not in config
    ]
    if missing:
        raise InputError(f"The configuration in the file lacks {', '.join(missing)}", where=path)
    settings = from_published(config, path)
    assert settings is not None
    return Reading(
        method="enr",
        # Without shifts in the data this is the same as turning alone.
        preset="repro64-rototranslation" if settings["image_size"] == 64 else "apple128",
        weights=partial(_weights, dict(content["state_dict"]), path),
        settings=settings,
        fixed=frozenset(set(settings) - {"interpolation", "crop"}),
        told=("image_size", "motion"),
        image_width=None,
        state_without_data=lambda config: {"distance": config.distance or 2.0, "focal": 131.25 / 128},
    )


def _weights(stored: Mapping[str, Any], path: Path, config: EnrConfig) -> "dict[str, Tensor]":
    """Give the weights their names behind `network.`; InputError lists every tensor that does not fit."""
    import torch

    from sightline.methods.enr.network import EnrNetwork

    tensors = {str(name).removeprefix(_WRAPPED): value for name, value in stored.items()}
    mask = tensors.pop(_MASK, None)
    wanted = {name: tuple(value.shape) for name, value in EnrNetwork(config).state_dict().items()}
    problems = [f"missing: {name}" for name in wanted if name not in tensors]
    problems += [f"not known: {name}" for name in tensors if name not in wanted]
    for name, value in tensors.items():
        if name not in wanted:
            continue
        if not isinstance(value, torch.Tensor):
            problems.append(f"no tensor: {name}")
        elif tuple(value.shape) != wanted[name]:
            problems.append(f"of another shape: {name} {tuple(value.shape)} instead of {wanted[name]}")
    if problems:
        more = f" and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise InputError(
            f"The weights do not fit the configuration in their file: {'; '.join(problems[:_LISTED])}{more}",
            where=path,
            fix="Save the model again with the program that made it",
        )
    _check_mask(mask, config, path)
    return {f"network.{name}": value.float().contiguous() for name, value in tensors.items()}


def _check_mask(mask: Any, config: EnrConfig, path: Path) -> None:
    """Refuse a mask that is no ball; one of another resolution is of no account."""
    import torch

    from sightline.methods.enr.network import ball

    if not isinstance(mask, torch.Tensor) or mask.dim() != 4 or len(set(mask.shape[1:])) != 1:
        return
    if not torch.equal(mask.bool(), ball(mask.shape[-1]).expand_as(mask)):
        raise InputError(
            "The mask in the file is not the ball that the published program cuts volumes to",
            where=path,
            fix="Only masks of radius fraction 1 are read",
        )


SOURCE = Source(
    name="enr",
    summary="model.pt and best_model.pt of Equivariant Neural Rendering, original and with shifts",
    looked_for="a dictionary of config (with img_shape) and state_dict (with inv_transform_3d, transform_3d)",
    presets=("apple128", "repro64-rotation", "repro64-translation", "repro64-rototranslation"),
    recognise=recognise,
    read=read,
)
