"""Aeroplanes: airliners, propeller planes and jets; they fly towards +y."""

import numpy as np

from sightline.synthesis import meshes, solids
from sightline.synthesis.description import Material, Part
from sightline.synthesis.meshes import Mesh, rotation, translation
from sightline.synthesis.objects.kit import Draw, Parts, plain

_GLASS = (0.08, 0.1, 0.13)


def build(draw: Draw) -> tuple[Part, ...]:
    """Make one aeroplane, 1 long."""
    parts = Parts()
    kind = draw.one(["airliner", "propeller", "jet"], [3, 2.5, 2])
    light = draw.chance(0.6)
    paint = plain(draw.grey(0.7, 0.95) if light else draw.colour(), draw.between(0.3, 0.5))
    trim = plain(draw.colour(saturation=(0.5, 0.95)), 0.35)
    radius = {"airliner": (0.045, 0.065), "propeller": (0.05, 0.075), "jet": (0.035, 0.055)}[kind]
    thick = draw.between(*radius)
    parts.add("body", paint, _fuselage(draw, thick, kind))
    _add_wings(draw, parts, paint, trim, thick, kind)
    _add_tail(draw, parts, paint, trim, thick, kind)
    _add_engines(draw, parts, thick, kind)
    glass = plain(_GLASS, 0.25)
    if kind == "airliner":
        row = np.linspace(-0.28, 0.3, draw.whole(8, 14))
        for side in (-1, 1):
            for y in row:
                pane = meshes.box(0.006, 0.018, 0.016)
                parts.add(
                    "glass", glass, pane.transformed(translation(side * 0.985 * thick, y, 0.15 * thick))
                )
    level = 0.75 * thick if kind != "airliner" else 0.5 * thick
    canopy = meshes.sphere(0.5, 20).transformed(np.diag([1.2 * thick, 0.2, 1.3 * thick, 1.0]))
    at = 0.2 if kind == "propeller" else 0.34 if kind == "jet" else 0.385
    parts.add("glass", glass, canopy.transformed(translation(0, at, level - 0.6 * thick)))
    low = min(float(part.mesh.bounds[0, 2]) for part in parts.finished())
    return tuple(
        Part(name=part.name, mesh=part.mesh.transformed(translation(0, 0, -low)), material=part.material)
        for part in parts.finished()
    )


def _fuselage(draw: Draw, thick: float, kind: str) -> Mesh:
    """A round body along y, from the tail to the nose, whose tail rises."""
    at = np.concatenate([[0, 0.02], np.linspace(0.06, 0.94, 16), [0.97, 0.99, 1.0]])
    sharp = 0.9 if kind == "jet" else 0.55
    nose = np.clip((1 - at) / draw.between(0.12, 0.3), 0, 1) ** sharp
    tail = np.clip((at + 0.02) / draw.between(0.35, 0.55), 0, 1) ** 0.75
    radii = np.maximum(thick * np.minimum(nose, tail), 0.002)
    rise = thick * 0.6 * np.clip(1 - at / 0.4, 0, 1) ** 1.5
    around = solids.ellipse(2, 2, 20)
    rings = [
        np.stack([radius * around[:, 0], np.full(20, y - 0.5), radius * around[:, 1] + up], axis=1)
        for y, radius, up in zip(at[::-1], radii[::-1], rise[::-1], strict=True)
    ]
    return solids.loft(np.stack(rings), crease=50.0)


def _fin(root: tuple[float, float], tip: tuple[float, float], span: float, thick: float) -> Mesh:
    """A wing that goes from x = 0 to `span`; root and tip are (leading edge's y, chord)."""
    section = np.array([(0.0, 0.0), (0.3, 0.5), (0.7, 0.35), (1.0, 0.0), (0.7, -0.3), (0.3, -0.4)])
    rings = []
    for x, (front, chord) in ((0.0, root), (span, tip)):
        flat = section * [chord, thick * chord / root[1]]
        rings.append(np.stack([np.full(6, x), front - flat[:, 0], flat[:, 1]], axis=1))
    return solids.loft(np.stack(rings), crease=25.0)


def _both_sides(mesh: Mesh, matrix: np.ndarray) -> list[Mesh]:
    placed = mesh.transformed(matrix)
    return [placed, placed.transformed(np.diag([-1.0, 1.0, 1.0, 1.0]))]


def _add_wings(draw: Draw, parts: Parts, paint: Material, trim: Material, thick: float, kind: str) -> None:
    span = {"airliner": (0.42, 0.52), "propeller": (0.5, 0.68), "jet": (0.28, 0.4)}[kind]
    half = draw.between(*span)
    chord = draw.between(0.15, 0.22) if kind != "jet" else draw.between(0.3, 0.4)
    front = draw.between(0.1, 0.2)
    sweep = {"airliner": (0.14, 0.26), "propeller": (-0.01, 0.03), "jet": (0.24, 0.36)}[kind]
    taper = draw.between(0.25, 0.5) if kind != "propeller" else draw.between(0.6, 1.0)
    wing = _fin((front, chord), (front - draw.between(*sweep), taper * chord), half, 0.024)
    high = kind == "propeller" and draw.chance(0.5)
    level = 0.92 * thick if high else draw.between(-0.6, -0.1) * thick
    place = translation(0, 0, level) @ rotation("y", -draw.between(0, 6))
    coloured = trim if draw.chance(0.3) else paint
    parts.add("wings", coloured, *_both_sides(wing, place))
    if kind == "propeller" and not high and draw.chance(0.3):
        parts.add("wings", coloured, *_both_sides(wing, translation(0, 0, level + 2.6 * thick)))
        for x in (0.35 * half, 0.8 * half):
            for y in (front - 0.03, front - 0.75 * chord):
                strut = solids.rod((x, y, level), (x, y, level + 2.6 * thick), 0.005, segments=8)
                parts.add("struts", paint, *_both_sides(strut, np.eye(4)))


def _add_tail(draw: Draw, parts: Parts, paint: Material, trim: Material, thick: float, kind: str) -> None:
    chord, tall = draw.between(0.11, 0.16), draw.between(0.12, 0.19)
    lean = draw.between(0.05, 0.12)
    fin = _fin((-0.5 + chord + 0.02, chord), (-0.5 + chord - lean, 0.55 * chord), tall, 0.014)
    upright = rotation("y", -90)
    parts.add("fin", trim, fin.transformed(translation(0, 0, 0.7 * thick) @ upright))
    half = draw.between(0.14, 0.2)
    back = _fin((-0.5 + 0.13, 0.11), (-0.5 + 0.13 - 0.6 * lean, 0.07), half, 0.012)
    tee = kind == "airliner" and draw.chance(0.3)
    level = 0.7 * thick + 0.93 * tall if tee else 0.6 * thick
    shift = -lean * 0.6 if tee else 0.0
    parts.add("wings", paint, *_both_sides(back, translation(0, shift, level)))


def _add_engines(draw: Draw, parts: Parts, thick: float, kind: str) -> None:
    metal = plain(draw.grey(0.3, 0.7), 0.35)
    dark = plain((0.05, 0.05, 0.06))
    if kind == "propeller":
        reach = draw.between(0.1, 0.15)
        spinner = meshes.frustum(0.02, 0.0, 0.05, 16).transformed(
            translation(0, 0.49, 0) @ rotation("x", -90)
        )
        parts.add("engines", metal, spinner)
        blades, first = draw.whole(2, 4), draw.between(0, 180)
        for index in range(blades):
            blade = meshes.box(0.022, 0.006, reach)
            turned = translation(0, 0.508, 0) @ rotation("y", first + 360 * index / blades)
            parts.add("blades", dark, blade.transformed(turned))
        for side in (-1, 1):
            leg = solids.rod(
                (side * 0.4 * thick, 0.2, -0.6 * thick), (side * 0.09, 0.22, -thick - 0.07), 0.006
            )
            wheel = meshes.cylinder(0.026, 0.02, 16).transformed(
                translation(side * 0.09 - 0.01, 0.22, -thick - 0.07) @ rotation("y", 90)
            )
            parts.add("engines", metal, leg)
            parts.add("blades", dark, wheel)
        return
    if kind == "jet":
        nozzle = meshes.cylinder(0.5 * thick, 0.05, 20)
        parts.add("engines", dark, nozzle.transformed(translation(0, -0.47, 0.5 * thick) @ rotation("x", 90)))
        return
    size, length = draw.between(0.022, 0.032), draw.between(0.09, 0.13)
    places = [(0.17, 0.06), (0.3, -0.03)] if draw.chance(0.3) else [(draw.between(0.15, 0.2), 0.06)]
    for x, y in places:
        engine = meshes.frustum(0.8 * size, size, length, 20)
        front = meshes.cylinder(0.85 * size, 0.004, 20).transformed(translation(0, 0, length - 0.001))
        place = translation(x, y - 0.4 * length, -0.45 * thick - size) @ rotation("x", -90)
        parts.add("engines", metal, *_both_sides(engine, place))
        parts.add("blades", dark, *_both_sides(front, place))
        pylon = meshes.box(0.008, 0.6 * length, 1.2 * size)
        parts.add("engines", metal, *_both_sides(pylon, translation(x, y, -0.45 * thick - size)))
