"""render_params.json of Equivariant Neural Rendering: angles and shifts of views, and the angles' unit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sightline.foundation.errors import InputError, warn
from sightline.foundation.files import read_json

PARAMS = "render_params.json"
SET_FILE = "sightline.json"
AngleUnit = Literal["degrees", "radians"]
ANGLE_UNITS: tuple[AngleUnit, ...] = ("degrees", "radians")
_SPELLINGS: dict[str, AngleUnit] = {
    "deg": "degrees",
    "rad": "radians",
    "degree": "degrees",
    "radian": "radians",
}
_FULL_TURN = 2 * math.pi + 1e-4
_ANGLES, _SHIFTS = ("azimuth", "elevation"), ("x", "y", "z")
NUMBERS = (*_ANGLES, *_SHIFTS)
# Focal length in widths of the picture, where nothing states it: of the published sets in either unit.
_FOCAL = {"degrees": 131.25 / 128, "radians": 35 / 32}
_DISTANCE = 2.0


@dataclass(frozen=True)
class SetFacts:
    """What holds for all objects of a set, as `sightline.json` in its folder states it."""

    angle_unit: AngleUnit | None = None
    distance: float = _DISTANCE
    """of the cameras from the point that they look at"""
    focal: float | None = None
    """focal length in widths of the picture"""
    upright: bool = True
    """whether cameras stay upright beyond the poles"""
    category: str | None = None

    def focal_for(self, unit: AngleUnit) -> float:
        """Give the stated focal length, or that of the published set with this unit."""
        return self.focal or _FOCAL[unit]


def read_set_facts(folder: Path) -> SetFacts:
    """Read `sightline.json` of a set, where it is; InputError for values that make no sense."""
    path = folder / SET_FILE
    if not path.is_file():
        return SetFacts()
    values = read_json(path)
    if not isinstance(values, Mapping):
        raise InputError("The description of the set does not hold names and values", where=path)
    unit = values.get("angle_unit")
    facts: dict[str, Any] = {"angle_unit": None if unit is None else parse_unit(unit, path)}
    for name in ("distance", "focal"):
        value = values.get(name)
        if value is not None:
            if not _is_number(value) or not value > 0:
                raise InputError(f"{name!r} is {value!r}, not a number above 0", where=path)
            facts[name] = float(value)
    upright, category = values.get("upright", True), values.get("category")
    if not isinstance(upright, bool):
        raise InputError(f"'upright' is {upright!r}, not true or false", where=path)
    if category is not None and not isinstance(category, str):
        raise InputError(f"'category' is {category!r}, not a text", where=path)
    return SetFacts(**facts, upright=upright, category=category)


def parse_unit(value: Any, where: object) -> AngleUnit:
    """Understand degrees and radians, also as deg and rad; InputError for anything else."""
    text = str(value).lower()
    found = _SPELLINGS.get(text, text)
    for unit in ANGLE_UNITS:
        if found == unit:
            return unit
    raise InputError(f"{value!r} is no unit of angles", where=where, fix="Give degrees or radians")


@dataclass(frozen=True)
class Params:
    """The content of one render_params.json."""

    path: Path
    views: Mapping[str, Mapping[str, float]]
    """five-digit key → azimuth and elevation as they are in the file, x, y, z (0 where missing)"""
    incomplete: tuple[str, ...]
    """keys of views that lack an angle"""
    unit: AngleUnit | None
    """where the file states it"""

    @property
    def largest_angle(self) -> float:
        """Largest size of all angles, as they are in the file."""
        return max((abs(view[name]) for view in self.views.values() for name in _ANGLES), default=0.0)


def read_params(path: Path) -> Params:
    """Read the angles and shifts of an object's views.

    Entries that are no views (centres of patches and others) and further values of views don't count.

    Raises:
        InputError: no JSON, no object of views, or a value of a view that is not a finite number.
    """
    document = read_json(path)
    if not isinstance(document, Mapping):
        raise InputError(
            "The angles of the views are not where they should be",
            where=path,
            fix='The file should hold {"00000": {"azimuth": 30, "elevation": 10}, …}',
        )
    views, incomplete = {}, []
    for key, entry in document.items():
        if not (len(key) == 5 and key.isdecimal()):
            continue
        if not isinstance(entry, Mapping):
            raise InputError("The entry of a view does not hold names and values", where=f"{path}, {key!r}")
        if any(entry.get(name) is None for name in _ANGLES):
            incomplete.append(key)
            continue
        views[key] = {name: _number(entry.get(name, 0.0), f"{path}, {key!r}, {name}") for name in NUMBERS}
    stated = document.get("unit")
    return Params(path, views, tuple(incomplete), None if stated is None else parse_unit(stated, path))


def settle_unit(wanted: str | None, facts: SetFacts, files: Sequence[Path], where: Path) -> AngleUnit | None:
    """Find the unit of a set's angles: as wanted, else as the set states, else by what they are like.

    Args:
        wanted: by the user.
        files: parameter files of the whole set; read only where the unit is not stated.
        where: the set, for messages.

    Returns:
        None where each file states its own.
    """
    if wanted is not None:
        return parse_unit(wanted, "--angle-unit")
    if facts.angle_unit is not None:
        return facts.angle_unit
    found = [read_params(file) for file in files]
    if all(params.unit is not None for params in found):
        return None
    small = [params for params in found if params.largest_angle <= _FULL_TURN]
    largest = max((params.largest_angle for params in found), default=0.0)
    if largest == 0:
        return "radians"
    unit: AngleUnit = "radians" if len(small) == len(found) else "degrees"
    turning = [params for params in small if len(params.views) > 1 and params.largest_angle > 0]
    if unit == "degrees" and turning:
        raise InputError(
            f"The units of the angles seem mixed: in {len(turning)} of {len(found)} objects no angle is "
            f"above {_FULL_TURN:.2f}, as in radians, and in the others they reach {largest:.0f}",
            where=f"{where}, for example {turning[0].path.parent.name}",
            fix=f"Bring them to one unit, or, if all are degrees, say so with --angle-unit degrees or with "
            f'"angle_unit" in {SET_FILE} beside the objects',
        )
    warn(
        f"The unit of the angles is not stated; they reach {largest:.4g} and are taken as {unit}. "
        f'State it with "angle_unit" in {SET_FILE} in the folder of the set, or with --angle-unit. '
        f"Where: {where}."
    )
    return unit


def check_unit(params: Params, unit: AngleUnit) -> None:
    """Refuse angles that cannot be of the unit they are said to be of, and warn of those that may not be."""
    largest = params.largest_angle
    if unit == "radians" and largest > 4 * math.pi:
        raise InputError(
            f"The angles are said to be radians, but reach {largest:.4g}",
            where=params.path,
            fix=f'Say that they are degrees, with --angle-unit or with "angle_unit" in {SET_FILE}',
        )
    if unit == "degrees" and len(params.views) > 1 and 0 < largest <= _FULL_TURN:
        warn(
            f"The angles are said to be degrees, but none of {len(params.views)} is above {largest:.3g}, "
            f"as if they were radians. Where: {params.path}."
        )


def _number(value: Any, where: str) -> float:
    if not _is_number(value):
        raise InputError(f"{value!r} is not a finite number", where=where, fix="Export the data again")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
