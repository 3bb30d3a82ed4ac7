"""Tables: desks, dining and coffee tables, round ones on a stem, with drawers and lower boards."""

import numpy as np

from sightline.synthesis import meshes, solids
from sightline.synthesis.description import Material, Part
from sightline.synthesis.meshes import translation
from sightline.synthesis.objects.kit import Draw, Parts


def build(draw: Draw) -> tuple[Part, ...]:
    """Make one table."""
    parts = Parts()
    width, depth = draw.between(0.8, 1.8), draw.between(0.55, 0.95)
    height = draw.between(0.36, 0.5) if draw.chance(0.3) else draw.between(0.66, 0.8)
    round_top = draw.chance(0.3)
    if round_top:
        width = draw.between(0.6, 1.2)
        depth = width * draw.one([1.0, draw.between(0.55, 0.85)], [2, 1])
    thickness = draw.between(0.02, 0.07)
    top = draw.one([draw.wood, draw.stone, draw.paint], [4, 1.5, 2])()
    frame = top if draw.chance(0.35) else draw.frame_material()
    corner = draw.one([0.0, draw.between(0.02, 0.15)])
    outline = solids.ellipse(width, depth, 40) if round_top else solids.rounded(width, depth, corner)
    board = solids.slab(outline, thickness, edge=draw.between(0.0, 0.4) * thickness)
    parts.add("top", top, board.transformed(translation(0, 0, height - thickness)))
    under = height - thickness
    base = (
        draw.one(["stem", "legs", "cross"], [4, 2, 1])
        if round_top
        else draw.one(["legs", "panels", "trestle", "drawers", "sled"], [5, 1.5, 1.5, 1.5, 1])
    )
    if round_top:
        across, along = 0.29 * width, 0.29 * depth
    else:
        inset = draw.between(0.05, 0.09) + 0.3 * corner
        across, along = width / 2 - inset, depth / 2 - inset
    if base == "stem":
        _add_stem(draw, parts, frame, min(width, depth), under)
    elif base in ("legs", "cross"):
        _add_legs(draw, parts, frame, across, along, under, crossed=base == "cross")
    elif base == "sled":
        bar = draw.between(0.03, 0.06)
        for x in (-across, across):
            for y in (-along, along):
                parts.add("frame", frame, solids.beam((x, y, 0), (x, y, under + 0.005), bar))
            for z in (bar / 2, under - bar / 2):
                parts.add("frame", frame, solids.beam((x, -along, z), (x, along, z), bar))
    else:
        _add_sides(draw, parts, frame, base, width, depth, under)
    return parts.finished()


def _add_stem(draw: Draw, parts: Parts, frame: Material, size: float, height: float) -> None:
    foot, stem = draw.between(0.26, 0.36) * size, draw.between(0.03, 0.09)
    if draw.chance(0.5):
        profile = [(0, 0), (foot, 0), (foot, 0.02), (stem, draw.between(0.04, 0.14)), (stem, height - 0.08)]
        profile += [(0.3 * size, height), (0, height)]
        parts.add("stem", frame, meshes.lathe(profile, 32, sharp=True))
        return
    parts.add("stem", frame, solids.rod((0, 0, 0.06), (0, 0, height + 0.004), stem))
    count = draw.whole(3, 5)
    for angle in 2 * np.pi * np.arange(count) / count + 0.4:
        end = (1.2 * foot * np.cos(angle), 1.2 * foot * np.sin(angle), 0.025)
        parts.add("stem", frame, solids.beam((0, 0, 0.16), end, 0.05, 0.05, taper=0.8))
        high = (0.9 * foot * np.cos(angle), 0.9 * foot * np.sin(angle), height - 0.01)
        parts.add("stem", frame, solids.beam((0, 0, height - 0.1), high, 0.04, 0.04, taper=0.8))


def _add_legs(
    draw: Draw, parts: Parts, frame: Material, across: float, along: float, height: float, *, crossed: bool
) -> None:
    thick, taper = draw.between(0.035, 0.09), draw.between(0.4, 1.0)
    spread = draw.between(1.0, 1.15) if draw.chance(0.4) else 1.0
    round_legs = draw.chance(0.4)
    turn = -0.8 if crossed else spread
    for x in (-across, across):
        for y in (-along, along):
            top, bottom = (x, y, height + 0.01), (x * turn, y * turn, 0.0)
            leg = (
                solids.rod(top, bottom, thick / 2, taper)
                if round_legs
                else solids.beam(top, bottom, thick, thick, taper)
            )
            parts.add("legs", frame, leg)
    if crossed:
        return
    if draw.chance(0.6):
        apron = draw.between(0.05, 0.12)
        for z in (height - apron / 2,):
            for y in (-along, along):
                parts.add("legs", frame, solids.beam((-across, y, z), (across, y, z), 0.022, apron))
            for x in (-across, across):
                parts.add("legs", frame, solids.beam((x, -along, z), (x, along, z), 0.022, apron))
    if draw.chance(0.3):
        level = draw.between(0.15, 0.4) * height
        lower = solids.slab(solids.rounded(2 * across, 2 * along, 0.0), 0.025)
        parts.add("shelf", frame, lower.transformed(translation(0, 0, level)))


def _add_sides(
    draw: Draw, parts: Parts, frame: Material, base: str, width: float, depth: float, height: float
) -> None:
    inset = draw.between(0.03, 0.1)
    x_side = width / 2 - inset
    if base == "trestle":
        thick = draw.between(0.04, 0.07)
        for x in (-x_side, x_side):
            for y in (-0.42 * depth, 0.42 * depth):
                parts.add("trestle", frame, solids.beam((x, 0.15 * y, height + 0.005), (x, y, 0), thick))
            z = 0.3 * height
            parts.add("trestle", frame, solids.beam((x, -0.33 * depth, z), (x, 0.33 * depth, z), thick * 0.7))
        z = 0.3 * height
        parts.add("trestle", frame, solids.beam((-x_side, 0, z), (x_side, 0, z), 0.03, 0.06))
        return
    thick = draw.between(0.02, 0.06)
    deep = depth * draw.between(0.8, 0.96)
    for x in (-x_side, x_side):
        panel = meshes.box(thick, deep, height + 0.004)
        parts.add("sides", frame, panel.transformed(translation(x, 0, 0)))
    rear = meshes.box(2 * x_side, 0.02, draw.between(0.3, 0.9) * height)
    low = height - float(rear.bounds[1, 2])
    parts.add("sides", frame, rear.transformed(translation(0, -0.3 * deep, low)))
    if base == "drawers":
        _add_drawers(draw, parts, frame, x_side, deep, height)


def _add_drawers(
    draw: Draw, parts: Parts, frame: Material, x_side: float, depth: float, height: float
) -> None:
    fronts = frame if draw.chance(0.4) else draw.paint()
    knobs = draw.metal()
    wide = min(draw.between(0.34, 0.45), 0.85 * x_side)
    sides = (1,) if draw.chance(0.6) else (-1, 1)
    tall = height * draw.between(0.5, 0.95)
    count = draw.whole(2, 4)
    for side in sides:
        x = side * (x_side - wide / 2)
        cabinet = meshes.box(wide, 0.92 * depth, tall)
        parts.add("sides", frame, cabinet.transformed(translation(x, 0, height - tall)))
        for index in range(count):
            low = height - tall + tall * (index + 0.06) / count
            front = meshes.box(0.92 * wide, 0.02, 0.88 * tall / count)
            parts.add("fronts", fronts, front.transformed(translation(x, 0.46 * depth + 0.004, low)))
            knob = meshes.sphere(0.018, 10)
            place = translation(x, 0.46 * depth + 0.026, low + 0.44 * tall / count - 0.018)
            parts.add("knobs", knobs, knob.transformed(place))
