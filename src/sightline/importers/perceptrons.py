"""Coarse and fine perceptrons of published NeRF programs → the networks of `nerf`.

Every program stores the same layers under its own names. A `Naming` says where each of our parameters is;
the numbers that no file states (depth, widths, frequencies) follow from the shapes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.geometry import Similarity
from sightline.importers.contract import Reading
from sightline.methods.nerf.config import INFO, NerfConfig
from sightline.methods.nerf.frame import Frame, check_range
from sightline.methods.nerf.network import build_networks

NETWORKS = ("coarse", "fine")
TOLD = ("scene", "near", "far", "background", "coarse_samples", "fine_samples", "disparity")
# Where objects of the synthetic scenes are, in all programs.
_CLASSIC_RANGE = (2.0, 6.0)
# Rules of a program that change what its weights mean, and that no shape shows.
_RULES = ("skip_order", "skip_input", "first_activation", "feature_activation")
# Densities and colours of a network without directions are rows of one layer.
_COLOUR_ROWS, _DENSITY_ROWS = slice(0, 3), slice(3, 4)


@dataclass(frozen=True)
class Stored:
    """Where one of our parameters is in a file."""

    name: str
    transposed: bool = False
    rows: slice | None = None
    """the part of a layer that holds it; None for all"""
    heights: tuple[int, ...] = ()
    """rows that such a layer may have"""

    def shape(self, ours: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Shapes that the stored tensor may have, from the shape of our parameter."""
        shapes = [(height, *ours[1:]) for height in self.heights] if self.rows else [ours]
        return [shape[::-1] for shape in shapes] if self.transposed else shapes

    def take(self, stored: Tensor) -> Tensor:
        """Make our parameter of the stored tensor; shapes are those of `shape`."""
        tensor = stored.T if self.transposed else stored
        tensor = tensor if self.rows is None else tensor[self.rows]
        return tensor.to(torch.float32, copy=True).contiguous()


@dataclass(frozen=True)
class Naming:
    """How a program stores a network."""

    places: Callable[[int, bool], dict[str, Stored]]
    """from the depth, and whether colours depend on directions, to where every parameter is"""
    unused: Callable[[str, bool], bool] = lambda name, directions: False
    """whether a tensor may be there without being used"""


def place_layers(
    names: Mapping[str, tuple[str, str]],
    *,
    directions: bool,
    transposed: bool = False,
    heights: tuple[int, ...] = (4,),
) -> dict[str, Stored]:
    """Say where parameters are, layer by layer.

    Args:
        names: our layer (`trunk.0`, `density`, `feature`, `view`, `colour`) → names of its weight and bias.
        directions: whether colours depend on directions; without, `density` and `colour` are one layer.
        transposed: weights are (in, out).
        heights: outputs that such a last layer may have.
    """
    found = {}
    for layer, (weight, bias) in names.items():
        rows = None
        if not directions and layer in ("density", "colour"):
            rows = _DENSITY_ROWS if layer == "density" else _COLOUR_ROWS
        possible = heights if rows else ()
        found[f"{layer}.weight"] = Stored(weight, transposed, rows, possible)
        found[f"{layer}.bias"] = Stored(bias, False, rows, possible)
    return found


def place_linears(names: Mapping[str, str], *, directions: bool, **how: Any) -> dict[str, Stored]:
    """Say where the parameters of PyTorch's linear layers are; see `place_layers`."""
    pairs = {layer: (f"{name}.weight", f"{name}.bias") for layer, name in names.items()}
    return place_layers(pairs, directions=directions, **how)


class Perceptrons:
    """The networks of one checkpoint.

    Args:
        naming: how they are stored.
        networks: `coarse` and perhaps `fine` → name → array of numbers.
        labels: network → what stands before its names in messages.
        preset: preset of `nerf` that holds the program's rules.
        depths: depths that the networks may have, the likeliest first.
        where: the files, for messages.
        others: names in the files that belong to no network.
    """

    def __init__(
        self,
        naming: Naming,
        networks: Mapping[str, Mapping[str, Any]],
        *,
        labels: Mapping[str, str],
        preset: str,
        depths: Iterable[int],
        where: object,
        others: Iterable[str] = (),
    ):
        self.naming, self.labels, self.where, self.others = naming, labels, where, list(others)
        self.networks = {
            which: {str(name): as_tensor(value) for name, value in network.items()}
            for which, network in networks.items()
        }
        self.preset, self._rules = preset, cast(NerfConfig, INFO.build_config(preset))
        candidates = [
            self._infer(depth, directions)
            for directions in (True, False)
            for depth in dict.fromkeys(depth for depth in depths if depth > 0)
        ]
        self.settings: dict[str, Any] = min(
            candidates, key=lambda values: sum(map(len, self._problems(values).values()))
        )

    @property
    def fixed(self) -> frozenset[str]:
        """The settings that no other value than the file's would fit."""
        return frozenset(self.settings) - {"fine_samples"}

    @property
    def has_fine(self) -> bool:
        """Whether there is a fine network."""
        return "fine" in self.networks

    def reading(self, *, settings: Mapping[str, Any] | None = None, **facts: Any) -> Reading:
        """What the checkpoint says: of its networks, and `facts` that `Reading` holds besides.

        Args:
            settings: what the file says of the method's settings; those of the networks come from the shapes.
        """
        return Reading(
            method="nerf",
            preset=self.preset,
            settings={**(settings or {}), **self.settings},
            exact={"layer_precision": "float32"},
            fixed=self.fixed,
            weights=self.weights,
            told=TOLD,
            state_without_data=state_without_data,
            found_in_data=found_in_data,
            **facts,
        )

    def weights(self, config: NerfConfig) -> dict[str, Tensor]:
        """Give the parameters of `Nerf` by name.

        Raises:
            InputError: lists every tensor that is missing, not known, of another shape, or not finite.
        """
        if self.has_fine and not config.fine_samples:
            raise InputError(
                "The checkpoint has a fine network, which needs samples",
                where="--fine-samples",
                fix="Give a number above 0, or leave it away",
            )
        if config.fine_samples and not self.has_fine:
            raise InputError(
                "The checkpoint has no fine network for fine samples",
                where="--fine-samples",
                fix="Leave it away, or give the file of the fine network too",
            )
        values = {name: getattr(config, name) for name in self.settings} | {"fine_depth": config.fine_depth}
        problems = {what: names for what, names in self._problems(values).items() if names}
        if problems:
            listing = "; ".join(f"{what}: {', '.join(names)}" for what, names in problems.items())
            raise InputError(
                f"The tensors of the checkpoint do not fit together: {listing}",
                where=self.where,
                fix="Nothing was imported. The file may be damaged, or of a variant of the program",
            )
        found = {}
        for which in self.networks:
            for ours, stored in self._places(which, values).items():
                tensor = self.networks[which][stored.name]
                assert tensor is not None
                found[f"networks.{which}.{ours}"] = stored.take(tensor)
        return found

    def _places(self, which: str, values: Mapping[str, Any]) -> dict[str, Stored]:
        depth = (values.get("fine_depth") if which == "fine" else None) or values["depth"]
        return self.naming.places(depth, values["view_directions"] != "none")

    def _problems(self, values: Mapping[str, Any]) -> dict[str, list[str]]:
        """Compare all tensors with the networks of a configuration."""
        missing, extra, shapes, broken = [], list(self.others), [], []
        config = replace(self._rules, **{**values, "fine_samples": int(self.has_fine)})
        directions = config.view_directions != "none"
        with torch.device("meta"):
            wanted = build_networks(config)
        for which, network in wanted.items():
            label, stored = self.labels[which], self.networks.get(which, {})
            if not stored:
                missing.append(f"the whole network {label.rstrip('./')}")
                continue
            places = self._places(which, values)
            for ours, parameter in network.named_parameters():
                place = places[ours]
                name = label + place.name
                if place.name not in stored:
                    missing.append(name)
                    continue
                fitting, found = place.shape(tuple(parameter.shape)), stored[place.name]
                if found is None:
                    shapes.append(f"{name} is no array of real numbers")
                elif tuple(found.shape) not in fitting:
                    expected = " or ".join(map(str, fitting))
                    shapes.append(f"{name} {tuple(found.shape)} instead of {expected}")
                elif not bool(found.isfinite().all()):
                    broken.append(name)
            known = {place.name for place in places.values()}
            extra += [
                label + name
                for name in stored
                if name not in known and not self.naming.unused(name, directions)
            ]
        listed = {"missing": missing, "not known": extra, "of another shape": shapes, "not finite": broken}
        return {what: list(dict.fromkeys(names)) for what, names in listed.items()}

    def _infer(self, depth: int, directions: bool) -> dict[str, Any]:
        """Settings for which most of the shapes fit."""
        rules = self._rules
        skips = tuple(layer for layer in rules.skip_layers if layer <= depth)
        places = self.naming.places(depth, directions)
        widths, features, position, direction = {}, {}, [], []
        for which in self.networks:
            trunk = [self._shape(which, places[f"trunk.{layer}.weight"]) for layer in range(depth)]
            width = widths[which] = _most(shape[0] for shape in trunk if shape) or rules.width
            position += [trunk[0][1]] if trunk[0] else []
            for layer in skips:
                shape = trunk[layer - 1]
                position += [shape[1] - width] if shape else []
            if directions:
                feature = self._shape(which, places["feature.weight"])
                view = self._shape(which, places["view.weight"])
                features[which] = feature[0] if feature else rules.feature_width or width
                direction += [view[1] - features[which]] if view else []
        found: dict[str, Any] = {"depth": depth, "width": widths.get("coarse", rules.width)}
        found["fine_width"] = widths["fine"] if widths.get("fine", found["width"]) != found["width"] else None
        found["skip_layers"] = skips
        own = all(features[which] == widths[which] for which in features)
        found["feature_width"] = None if own else features.get("coarse", rules.feature_width)
        found |= _encodings(rules, _most(position), _most(direction) if directions else None)
        world = "world" if rules.view_directions == "none" else rules.view_directions
        found["view_directions"] = world if directions else "none"
        if not self.has_fine:
            found["fine_samples"] = 0
        return found | {name: getattr(rules, name) for name in _RULES}

    def _shape(self, which: str, place: Stored) -> tuple[int, int] | None:
        """Outputs and inputs of a stored layer; None where it is none."""
        stored = self.networks[which].get(place.name)
        if stored is None or stored.ndim != 2:
            return None
        shape = stored.shape[::-1] if place.transposed else stored.shape
        return int(shape[0]), int(shape[1])


def _encodings(rules: NerfConfig, position: int | None, direction: int | None) -> dict[str, Any]:
    """Frequencies, and whether the input is kept, from the numbers of encoded coordinates."""
    columns = [number for number in (position, direction) if number is not None and number > 0]
    kept = any(number % 6 == 3 for number in columns) or not columns
    found: dict[str, Any] = {"include_input": kept}
    for name, number in (("position_frequencies", position), ("direction_frequencies", direction)):
        rest = None if number is None else number - (3 if kept else 0)
        fits = rest is not None and rest >= 0 and rest % 6 == 0
        found[name] = rest // 6 if fits and rest is not None else getattr(rules, name)
    return found


def _most(values: Iterable[int]) -> int | None:
    common = Counter(values).most_common(1)
    return common[0][0] if common else None


def as_tensor(value: Any) -> Tensor | None:
    """Give an array of real numbers as a tensor, whatever its shape; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return torch.from_numpy(np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")))
    return value if isinstance(value, Tensor) and value.is_floating_point() else None


def numbered(names: Iterable[str], before: str) -> int:
    """Count layers by the highest number right after `before` in their names."""
    rests = [str(name)[len(before) :] for name in names if str(name).startswith(before)]
    found = [rest.split(".")[0].split("/")[0] for rest in rests]
    return max((int(number) + 1 for number in found if number.isdigit()), default=0)


def as_step(value: Any) -> int:
    """Give a number of steps, which may be an array of one; 0 for anything else."""
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        return 0


def state_without_data(config: NerfConfig) -> dict[str, Any]:
    """State of `Nerf` for an object in the frame of its data, of which nothing else is known.

    Raises:
        InputError: the frame of the scene depends on its cameras, or its rays cannot be sampled.
    """
    if config.scene != "bounded":
        raise InputError(
            "The checkpoint does not say where its scene is",
            where="--data",
            fix="Give the data that it was trained on (poses_bounds.npy alone is enough). For an object at "
            "near 2 to far 6, as the synthetic scenes have it, --scene bounded is enough",
        )
    near = _CLASSIC_RANGE[0] if config.near is None else config.near
    far = _CLASSIC_RANGE[1] if config.far is None else config.far
    half = (far - near) / 2
    bounds = ((-half, -half, -half), (half, half, half))
    frame = Frame("bounded", Similarity.identity(), near, far, None, bounds)
    check_range(frame, config, "--near, --far")
    background = "white" if config.background == "auto" else config.background
    return {"frame": frame.to_json(), "background": background}


def found_in_data(state: Mapping[str, Any]) -> dict[str, Any]:
    """What the method found in the data, of its state."""
    frame = state["frame"]
    return {"scene": frame["kind"], "near": frame["near"], "far": frame["far"]} | {
        "background": state["background"]
    }
