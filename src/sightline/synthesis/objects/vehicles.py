"""Vehicles: saloons, hatchbacks, estates, pickups, vans, buses and lorries; they drive towards +y."""

from dataclasses import dataclass

import numpy as np

from sightline.synthesis import meshes, solids
from sightline.synthesis.description import Material, Part
from sightline.synthesis.meshes import Mesh, rotation, translation
from sightline.synthesis.objects.kit import Draw, Parts, plain

_GLASS = (0.07, 0.09, 0.11)
_RUBBER = (0.05, 0.05, 0.055)


@dataclass(frozen=True)
class _Kind:
    """Proportions of a kind of vehicle; places along its length run from the tail (0) to the nose (1)."""

    length: tuple[float, float]
    width: tuple[float, float]
    belt: tuple[float, float]
    """height of the body below the windows, parts of the whole height"""
    height: tuple[float, float]
    bonnet: tuple[float, float]
    """where the windscreen starts; 1 where there is no bonnet"""
    boot: tuple[float, float]
    """where the rear window ends; 0 where there is no boot"""
    rake: tuple[float, float]
    """how far windscreen and rear window lean, parts of the length"""


_KINDS = {
    "saloon": _Kind(
        (4.2, 4.8), (1.7, 1.9), (0.58, 0.66), (1.35, 1.5), (0.68, 0.74), (0.14, 0.2), (0.08, 0.13)
    ),
    "hatchback": _Kind(
        (3.5, 4.1), (1.6, 1.8), (0.56, 0.64), (1.4, 1.6), (0.7, 0.78), (0.0, 0.03), (0.06, 0.11)
    ),
    "estate": _Kind(
        (4.3, 4.9), (1.7, 1.9), (0.56, 0.64), (1.45, 1.75), (0.68, 0.74), (0.0, 0.02), (0.04, 0.09)
    ),
    "sports": _Kind(
        (4.0, 4.6), (1.75, 1.95), (0.6, 0.7), (1.1, 1.25), (0.6, 0.68), (0.14, 0.26), (0.11, 0.16)
    ),
    "van": _Kind((4.4, 5.4), (1.75, 2.0), (0.48, 0.58), (1.9, 2.4), (0.84, 0.94), (0.0, 0.0), (0.02, 0.07)),
    "bus": _Kind((6.5, 8.5), (2.1, 2.4), (0.42, 0.5), (2.5, 2.9), (0.98, 1.0), (0.0, 0.0), (0.0, 0.02)),
}


def build(draw: Draw) -> tuple[Part, ...]:
    """Make one vehicle."""
    name = draw.one(
        ["saloon", "hatchback", "estate", "sports", "van", "bus", "pickup", "lorry"],
        [3, 2.5, 2, 1.5, 1.5, 1, 1.5, 1.2],
    )
    parts = Parts()
    paint = plain(
        draw.colour(saturation=(0.4, 0.95)) if draw.chance(0.65) else draw.grey(0.05, 0.95),
        draw.between(0.1, 0.25),
    )
    if name in ("pickup", "lorry"):
        _add_truck(draw, parts, paint, heavy=name == "lorry")
    else:
        _add_car(draw, parts, paint, _KINDS[name])
    return parts.finished()


def _section(width: float, low: float, high: float, edge: float) -> np.ndarray:
    """A round-cornered section (n, 2) in x and z."""
    outline = solids.rounded(width, high - low, edge, steps=3)
    return outline + np.array([0, (low + high) / 2])


def _body(stations: list[tuple[float, float, float, float]], edge: float, crease: float = 30.0) -> Mesh:
    """Loft sections along y: each station is (y, width, lowest z, highest z), from the nose to the tail."""
    rings = []
    for y, width, low, high in stations:
        flat = _section(width, low, high, min(edge, 0.45 * (high - low)))
        rings.append(np.stack([flat[:, 0], np.full(len(flat), y), flat[:, 1]], axis=1))
    return solids.loft(np.stack(rings), crease)


def _add_car(draw: Draw, parts: Parts, paint: Material, kind: _Kind) -> None:
    length, width, height = draw.between(*kind.length), draw.between(*kind.width), draw.between(*kind.height)
    belt, wheel = draw.between(*kind.belt) * height, draw.between(0.29, 0.36)
    low = 0.5 * wheel + draw.between(0.0, 0.06)
    belt = max(belt, 2 * wheel + 0.1)  # wheels stay below the body's edge
    height = max(height, belt + 0.36)
    bonnet, boot = draw.between(*kind.bonnet), draw.between(*kind.boot)
    rake = draw.between(*kind.rake)

    def place(part: float) -> float:
        return (part - 0.5) * length

    nose = max(belt * draw.between(0.74, 0.92), 2 * wheel + 0.04) if bonnet < 0.96 else belt
    tail = belt * draw.between(0.88, 1.0) if boot > 0.05 else belt
    stations = [
        (place(1.0), 0.82 * width, low + 0.1, nose - 0.1),
        (place(0.985), 0.93 * width, low + 0.02, nose - 0.02),
        (place(0.93), width, low, nose),
        (place(min(bonnet, 0.92)), width, low, belt),
        (place(max(boot, 0.06) + 0.02), width, low, belt),
        (place(0.03), 0.97 * width, low, tail),
        (place(0.0), 0.9 * width, low + 0.08, tail - 0.06),
    ]
    parts.add("body", paint, _body(stations, 0.12))
    _add_cabin(parts, paint, width, belt, height, (place(boot), place(bonnet)), rake * length)
    _add_wheels(draw, parts, wheel, width, [place(0.19), place(0.81)])
    _add_lights(draw, parts, width, (place(0.0), place(1.0)), (low, min(nose, tail)))
    if draw.chance(0.12):
        rail = draw.metal()
        for side in (-0.3, 0.3):
            ends = (side * width, place(boot) + rake * length, height + 0.03)
            parts.add(
                "rails",
                rail,
                solids.rod(ends, (side * width, place(bonnet) - rake * length, height + 0.03), 0.02),
            )


def _add_cabin(
    parts: Parts,
    paint: Material,
    width: float,
    belt: float,
    height: float,
    ends: tuple[float, float],
    rake: float,
) -> None:
    """Glass between belt and roof, pillars at its corners and between the windows, and the roof."""
    rear, front = ends
    roof = 0.07
    top = height - roof
    foot, head = 0.93 * width, 0.8 * width
    low_ring = np.array([(foot / 2, rear), (foot / 2, front), (-foot / 2, front), (-foot / 2, rear)])
    high_ring = np.array(
        [
            (head / 2, rear + rake),
            (head / 2, front - rake),
            (-head / 2, front - rake),
            (-head / 2, rear + rake),
        ]
    )
    glass = np.stack(
        [
            np.column_stack([ring, np.full(4, z)])
            for ring, z in ((low_ring, belt - 0.03), (high_ring, top + 0.01))
        ]
    )
    parts.add("glass", plain(_GLASS, 0.25), solids.loft(glass))
    lid = np.stack(
        [
            np.column_stack([high_ring * scale, np.full(4, z)])
            for scale, z in (((1.03, 1.02), top), ((1.0, 1.0), top + 0.6 * roof), ((0.88, 0.93), height))
        ]
    )
    parts.add("body", paint, solids.loft(lid))
    corners = list(zip(low_ring, high_ring, strict=True))
    cabin = front - rear - 2 * rake
    between = [0.5] if cabin < 2.6 else list(np.linspace(0, 1, round(cabin / 1.1) + 1)[1:-1])
    for part in between:
        for side in (0, 2):
            first, second = (0, 1) if side == 0 else (3, 2)
            low = low_ring[first] * (1 - part) + low_ring[second] * part
            corners.append((low, high_ring[first] * (1 - part) + high_ring[second] * part))
    for low, high in corners:
        start, end = (*low, belt - 0.02), (*high, top + 0.01)
        parts.add("body", paint, solids.beam(start, end, 0.07, 0.09))


def _add_wheels(draw: Draw, parts: Parts, radius: float, width: float, places: list[float]) -> None:
    rubber, rim = plain(_RUBBER), plain(draw.grey(0.45, 0.85), 0.35)
    thick = draw.between(0.2, 0.26)
    tyre = meshes.cylinder(radius, thick, 24)
    hub = meshes.cylinder(draw.between(0.55, 0.7) * radius, thick + 0.016, 16)
    for y in places:
        for side in (-1, 1):
            turned = translation(side * (0.5 * width - 0.5 * thick + 0.02), y, radius) @ rotation("y", 90)
            for name, material, mesh in (("tyres", rubber, tyre), ("rims", rim, hub)):
                length = float(mesh.bounds[1, 2])
                parts.add(name, material, mesh.transformed(turned @ translation(0, 0, -length / 2)))


def _add_lights(
    draw: Draw, parts: Parts, width: float, ends: tuple[float, float], levels: tuple[float, float]
) -> None:
    tail, nose = ends
    low, high = levels
    level = low + 0.62 * (high - low)
    white, red, dark = (
        plain((0.95, 0.95, 0.85), 0.1),
        plain((0.7, 0.04, 0.04), 0.1),
        plain((0.06, 0.06, 0.06)),
    )
    size = draw.between(0.1, 0.17)
    for side in (-0.29, 0.29):
        lamp = meshes.box(1.5 * size, 0.06, size)
        parts.add(
            "headlamps", white, lamp.transformed(translation(side * width, nose - 0.02, level - size / 2))
        )
        parts.add(
            "tail lamps", red, lamp.transformed(translation(side * width, tail + 0.02, level - size / 2))
        )
    grille = meshes.box(0.34 * width, 0.05, 0.7 * size)
    parts.add("grille", dark, grille.transformed(translation(0, nose - 0.015, level - size / 2)))
    for y in (nose - 0.03, tail + 0.03):
        bumper = meshes.box(0.86 * width, 0.12, 0.12)
        parts.add("grille", dark, bumper.transformed(translation(0, y, low + 0.02)))


def _add_truck(draw: Draw, parts: Parts, paint: Material, *, heavy: bool) -> None:
    width = draw.between(1.95, 2.3) if heavy else draw.between(1.7, 1.95)
    length = draw.between(5.0, 6.8) if heavy else draw.between(4.6, 5.4)
    wheel = draw.between(0.4, 0.48) if heavy else draw.between(0.35, 0.42)
    cab_height = draw.between(2.1, 2.6) if heavy else draw.between(1.6, 1.85)
    low, nose, tail = 0.85 * wheel, length / 2, -length / 2
    belt = draw.between(0.52, 0.6) * cab_height
    cab_end = nose - (draw.between(1.5, 1.9) if heavy else draw.between(2.3, 2.9))
    bonnet = nose - (0.05 if heavy else draw.between(1.0, 1.35))
    belt = max(belt, 2 * wheel + 0.15)
    cab_height = max(cab_height, belt + 0.55)
    front = belt if heavy else max(belt * draw.between(0.82, 0.94), 2 * wheel + 0.06)
    stations = [
        (nose, 0.88 * width, low + 0.06, front - 0.06),
        (nose - 0.06, 0.97 * width, low, front),
        (nose - 0.3, width, low, front if not heavy else belt),
        (bonnet - 0.3, width, low, belt),
        (cab_end, width, low, belt),
    ]
    parts.add("body", paint, _body(stations, 0.08))
    rake = 0.06 if heavy else draw.between(0.3, 0.45)
    _add_cabin(parts, paint, width, belt, cab_height, (cab_end, bonnet), rake)
    dark = plain((0.08, 0.08, 0.09))
    chassis = meshes.box(0.7 * width, length - 0.4, 0.16).transformed(translation(0, -0.1, low - 0.05))
    parts.add("chassis", dark, chassis)
    bed = cab_end - 0.06 - tail
    middle = tail + bed / 2
    ground = 2 * wheel + 0.04
    floor = meshes.box(width, bed + 0.08, ground - low - 0.1).transformed(translation(0, middle, low + 0.1))
    cargo = paint if not heavy else plain(draw.colour() if draw.chance(0.5) else draw.grey(0.5, 0.95))
    parts.add("bed", cargo, floor)
    if heavy and draw.chance(0.6):
        tall = draw.between(1.3, 2.0)
        box = meshes.box(width + 0.06, bed, tall).transformed(translation(0, middle, ground - 0.01))
        parts.add("bed", cargo, box)
    else:
        wall = draw.between(0.3, 0.5)
        for side in (-1, 1):
            panel = meshes.box(0.08, bed, wall)
            parts.add(
                "bed", cargo, panel.transformed(translation(side * (width / 2 - 0.04), middle, ground - 0.01))
            )
        for y in (tail + 0.04, cab_end - 0.1):
            panel = meshes.box(width, 0.08, wall)
            parts.add("bed", cargo, panel.transformed(translation(0, y, ground - 0.01)))
    rear = [tail + 0.22 * length] + (
        [tail + 0.22 * length + 2.2 * wheel] if heavy and draw.chance(0.5) else []
    )
    _add_wheels(draw, parts, wheel, width, [*rear, nose - 0.18 * length])
    _add_lights(draw, parts, width, (tail, nose), (low, front))
