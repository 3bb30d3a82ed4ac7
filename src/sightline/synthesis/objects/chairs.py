"""Chairs: seats on legs, pedestals, sleds or boxes, with backs of six kinds, and armchairs."""

import numpy as np

from sightline.synthesis import meshes, solids
from sightline.synthesis.description import Material, Part
from sightline.synthesis.meshes import Mesh, rotation, translation
from sightline.synthesis.objects.kit import Draw, Parts

_BACKS = ("panel", "slats", "ladder", "spindles", "cushion", "frame", "none")
_BASES = ("legs", "splayed", "pedestal", "star", "sled", "box")


def build(draw: Draw) -> tuple[Part, ...]:
    """Make one chair."""
    if draw.chance(0.16):
        return _armchair(draw)
    parts = Parts()
    frame, seat_material = draw.frame_material(), draw.one([draw.fabric, draw.wood, draw.paint])()
    if draw.chance(0.25):
        seat_material = frame
    width, depth = draw.between(0.38, 0.58), draw.between(0.38, 0.54)
    stool = draw.chance(0.14)
    height = draw.between(0.6, 0.8) if stool else draw.between(0.38, 0.5)
    thickness = draw.between(0.025, 0.09)
    shape = draw.one(["square", "tapered", "round"], [3, 2, 1])
    narrow = draw.between(0.7, 0.95) if shape == "tapered" else 1.0
    if shape == "round":
        outline, inside = solids.ellipse(width, depth), 0.68
    else:
        outline, inside = solids.rounded(width, depth, draw.between(0, 0.12), narrow=narrow), narrow
    seat = solids.slab(outline, thickness, edge=draw.between(0.003, 0.5 * thickness))
    parts.add("seat", seat_material, seat.transformed(translation(0, 0, height - thickness)))
    if draw.chance(0.3):
        cushion = solids.slab(0.94 * outline, draw.between(0.03, 0.08), edge=0.03)
        parts.add("cushion", draw.fabric(), cushion.transformed(translation(0, 0, height - 0.004)))
    _add_base(draw, parts, frame, width * inside, depth * inside / narrow, height - thickness)
    back = draw.one(_BACKS, [3, 2, 2, 2, 2, 1.5, 0.3 if not stool else 4])
    if back != "none":
        tall = draw.between(0.3, 0.62) * (0.6 if stool else 1)
        lean = draw.between(2, 16)
        wide = width * inside * draw.between(0.85, 1.0)
        behind = (-0.36 if shape == "round" else -0.5) * depth + 0.03
        made = _back(draw, back, frame, seat_material, wide, tall)
        placed = translation(0, behind, height - 0.02) @ rotation("x", lean)
        for name, material, mesh in made:
            parts.add(name, material, mesh.transformed(placed))
        if not stool and draw.chance(0.38):
            _add_arms(draw, parts, frame, wide, behind, height, lean)
    return parts.finished()


def _add_base(draw: Draw, parts: Parts, frame: Material, width: float, depth: float, height: float) -> None:
    base = draw.one(_BASES, [5, 3, 1.2, 1.5, 1.5, 0.5])
    across, along = 0.42 * width, 0.42 * depth
    if base in ("legs", "splayed"):
        _add_legs(draw, parts, frame, base, across, along, height)
    elif base == "pedestal":
        foot = draw.between(0.16, 0.24)
        stem = draw.between(0.025, 0.05)
        profile = [(0, 0), (foot, 0), (foot, 0.015), (stem * 1.6, 0.05), (stem, 0.12)]
        profile += [(stem, height - 0.04), (2 * stem, height), (0, height)]
        parts.add("pedestal", frame, meshes.lathe(profile, 24, sharp=True))
    elif base == "star":
        metal = draw.metal()
        parts.add("post", metal, solids.rod((0, 0, 0.08), (0, 0, height), draw.between(0.02, 0.035)))
        arms, reach = draw.whole(4, 5), draw.between(0.22, 0.3)
        for angle in 2 * np.pi * np.arange(arms) / arms:
            end = (reach * np.cos(angle), reach * np.sin(angle))
            parts.add("post", metal, solids.beam((0, 0, 0.1), (*end, 0.055), 0.04, 0.03, taper=0.7))
            parts.add("post", metal, meshes.sphere(0.03, 12).transformed(translation(*end, 0)))
    elif base == "sled":
        radius = draw.between(0.009, 0.018)
        open_back = draw.chance(0.5)
        for side in (-1, 1):
            x = side * across
            corners = [(x, -along, height), (x, along, height), (x, along, radius), (x, -along, radius)]
            corners += [] if open_back else [(x, -along, height)]
            parts.add("sled", frame, solids.tube(solids.bend(corners, 0.06), radius, 8))
        ends = (-along,) if open_back else (-along, along)
        for y in ends:
            parts.add("sled", frame, solids.rod((-across, y, radius), (across, y, radius), radius))
    else:
        inset = draw.between(0.75, 0.98)
        outline = solids.rounded(inset * width, inset * depth, 0.02)
        parts.add("plinth", frame, solids.slab(outline, height + 0.005, edge=0.005))


def _add_legs(
    draw: Draw, parts: Parts, frame: Material, base: str, across: float, along: float, height: float
) -> None:
    spread = draw.between(1.15, 1.45) if base == "splayed" else 1.0
    thick = draw.between(0.022, 0.055)
    taper = draw.between(0.45, 1.0)
    round_legs = draw.chance(0.5)
    for x in (-across, across):
        for y in (-along, along):
            top, bottom = (x, y, height + 0.008), (x * spread, y * spread, 0.0)
            leg = (
                solids.rod(top, bottom, thick / 2, taper)
                if round_legs
                else solids.beam(top, bottom, thick, thick, taper)
            )
            parts.add("legs", frame, leg)
    if draw.chance(0.45):
        level = draw.between(0.3, 0.6)
        wide = across * (spread + (1 - spread) * level)
        deep = along * (spread + (1 - spread) * level)
        z, bar = level * height, thick * 0.6
        for side in (-1, 1):
            parts.add("legs", frame, solids.beam((side * wide, -deep, z), (side * wide, deep, z), bar))
        middle = draw.between(-0.9, 0.9) * deep
        parts.add("legs", frame, solids.beam((-wide, middle, z), (wide, middle, z), bar))
    if draw.chance(0.5):
        apron = draw.between(0.03, 0.07)
        for y in (-along, along):
            bar = solids.beam((-across, y, height - apron / 2), (across, y, height - apron / 2), 0.02, apron)
            parts.add("legs", frame, bar)
        for x in (-across, across):
            bar = solids.beam((x, -along, height - apron / 2), (x, along, height - apron / 2), 0.02, apron)
            parts.add("legs", frame, bar)


def _back(
    draw: Draw, kind: str, frame: Material, seat: Material, width: float, tall: float
) -> list[tuple[str, Material, Mesh]]:
    """Parts of a back that stands on z = 0 in the plane y = 0."""
    if kind == "panel":
        rise = draw.one([0.0, draw.between(0.03, 0.2)])
        outline = solids.arch(width, tall, rise) if rise else _upright(solids.rounded(width, tall, 0.03))
        panel = solids.standing(solids.slab(outline, draw.between(0.02, 0.05), edge=0.008))
        gap = draw.between(0.04, 0.14) if draw.chance(0.4) else 0.0
        found = [("back", seat, panel.transformed(translation(0, 0.01, gap)))]
        if gap:
            for side in (-0.36, 0.36):
                bar = solids.beam((side * width, 0, 0), (side * width, 0, gap + 0.5 * tall), 0.03, 0.018)
                found.append(("posts", frame, bar.transformed(translation(0, -0.02, 0))))
        return found
    if kind == "cushion":
        thick = draw.between(0.06, 0.12)
        outline = _upright(solids.rounded(width, tall, draw.between(0.02, 0.1)))
        padded = solids.standing(solids.slab(outline, thick, edge=0.45 * thick))
        return [("back", seat, padded.transformed(translation(0, thick / 2, 0)))]
    if kind == "frame":
        radius = draw.between(0.01, 0.02)
        half = width / 2 - radius
        corners = [(-half, 0, 0), (-half, 0, tall), (half, 0, tall), (half, 0, 0)]
        hoop = solids.tube(solids.bend(corners, draw.between(0.04, 0.2)), radius, 8)
        low = draw.between(0.2, 0.5) * tall
        pad = solids.slab(_upright(solids.rounded(2 * half, 0.92 * tall - low, 0.03)), 0.03, edge=0.012)
        raised = solids.standing(pad).transformed(translation(0, 0.015, low))
        return [("hoop", frame, hoop), ("back", seat, raised)]
    return _barred_back(draw, kind, frame, width, tall)


def _barred_back(
    draw: Draw, kind: str, frame: Material, width: float, tall: float
) -> list[tuple[str, Material, Mesh]]:
    post = draw.between(0.024, 0.045)
    half = width / 2 - post / 2
    found = [
        ("posts", frame, solids.beam((side * half, 0, 0), (side * half, 0, tall), post)) for side in (-1, 1)
    ]
    rail = draw.between(0.04, 0.1)
    top = solids.standing(
        solids.slab(solids.rounded(width * draw.between(1.0, 1.08), rail, 0.015), post, 0.004)
    )
    found.append(("rail", frame, top.transformed(translation(0, post / 2, tall - rail / 2))))
    if kind == "ladder":
        count = draw.whole(2, 4)
        bar = draw.between(0.5, 1.0) * min(0.08, 0.3 * tall / count)
        for level in np.linspace(0.25, 0.95, count + 1)[:-1] * (tall - rail):
            rung = solids.standing(solids.slab(solids.rounded(2 * half, bar, 0.0), 0.018))
            found.append(("rungs", frame, rung.transformed(translation(0, 0.009, level))))
        return found
    low = draw.between(0.08, 0.2) * tall if draw.chance(0.5) else 0.0
    if low:
        found.append(("rungs", frame, solids.beam((-half, 0, low), (half, 0, low), 0.03, 0.02)))
    count = draw.whole(3, 7)
    for x in np.linspace(-half, half, count + 2)[1:-1]:
        if kind == "spindles":
            bar = solids.rod((x, 0, low), (x, 0, tall - rail / 2), draw.between(0.006, 0.012), segments=8)
        else:
            bar = solids.beam((x, 0, low), (x, 0, tall - rail / 2), min(0.05, 1.1 * half / count), 0.014)
        found.append(("bars", frame, bar))
    return found


def _add_arms(
    draw: Draw, parts: Parts, frame: Material, width: float, behind: float, height: float, lean: float
) -> None:
    level = height + draw.between(0.16, 0.24)
    front = draw.between(-0.25, 0.75) * -behind
    behind -= np.tan(np.radians(lean)) * (level - height)
    rounded_arm = draw.chance(0.4)
    for side in (-1, 1):
        x = side * (width / 2 - 0.012)
        if rounded_arm:
            path = [(x, behind, level), (x, front, level), (x, front, height - 0.02)]
            parts.add("arms", frame, solids.tube(solids.bend(path, 0.06), 0.014, 8))
            continue
        parts.add("arms", frame, solids.beam((x, behind, level), (x, front + 0.03, level), 0.045, 0.024))
        post = solids.beam((x, front, height - 0.02), (x, front, level), 0.03, 0.03)
        parts.add("arms", frame, post)


def _armchair(draw: Draw) -> tuple[Part, ...]:
    parts = Parts()
    cover = draw.fabric()
    width, depth = draw.between(0.65, 0.95), draw.between(0.62, 0.85)
    side, arm = draw.between(0.1, 0.17), draw.between(0.5, 0.64)
    seat, foot = draw.between(0.3, 0.42), draw.between(0.03, 0.14)
    back = draw.between(0.7, 1.0)
    edge = draw.between(0.02, 0.06)
    inner = width - 2 * side
    base = solids.slab(solids.rounded(inner + 0.02, depth, 0.02), 0.6 * seat - foot, edge=0.01)
    parts.add("seat", cover, base.transformed(translation(0, 0, foot)))
    pillow = solids.slab(solids.rounded(inner, depth - 0.02, 0.05), 0.45 * seat, edge=0.06)
    cushions = cover if draw.chance(0.6) else draw.fabric()
    parts.add("cushion", cushions, pillow.transformed(translation(0, 0.02, 0.58 * seat)))
    for sign in (-1, 1):
        block = solids.slab(solids.rounded(side, depth, edge), arm - foot, edge=edge)
        parts.add("seat", cover, block.transformed(translation(sign * (width - side) / 2, 0, foot)))
    thick = draw.between(0.14, 0.22)
    rise = draw.one([0.0, draw.between(0.05, 0.15)])
    outline = (
        solids.arch(width, back - foot, rise) if rise else _upright(solids.rounded(width, back - foot, 0.06))
    )
    rest = solids.standing(solids.slab(outline, thick, edge=0.05))
    leaning = translation(0, -depth / 2 + thick, foot) @ rotation("x", draw.between(0, 8))
    parts.add("seat", cover, rest.transformed(leaning))
    feet = draw.frame_material()
    for x in (-0.42 * width, 0.42 * width):
        for y in (-0.4 * depth, 0.4 * depth):
            parts.add("feet", feet, solids.rod((x, y, foot + 0.01), (x * 1.02, y * 1.02, 0), 0.025, 0.7))
    return parts.finished()


def _upright(outline: np.ndarray) -> np.ndarray:
    """Move an outline up, so that it stands on y = 0."""
    return outline - [0, outline[:, 1].min()]
