"""Lamps: shades on turned feet, on poles and on three legs, and jointed desk lamps."""

import numpy as np

from sightline.synthesis import meshes, solids, textures
from sightline.synthesis.description import Material, Part
from sightline.synthesis.meshes import Mesh, rotation, translation
from sightline.synthesis.objects.kit import TEXTURE_SIZE, Draw, Parts, plain, shifted
from sightline.synthesis.still_life import smooth

_BULB = (1.0, 0.97, 0.86)


def build(draw: Draw) -> tuple[Part, ...]:
    """Make one lamp."""
    kind = draw.one(["turned", "pole", "tripod", "desk", "arc"], [4, 2.5, 1.5, 2.5, 1])
    parts = Parts()
    if kind == "desk":
        _add_desk_lamp(draw, parts)
        return parts.finished()
    if kind == "turned":
        height = draw.between(0.28, 0.5)
        top = _add_turned_foot(draw, parts, height)
        radius, tall = draw.between(0.13, 0.22), draw.between(0.16, 0.3)
    else:
        height = draw.between(0.9, 1.35)
        radius, tall = draw.between(0.17, 0.3), draw.between(0.2, 0.36)
        top = _add_stand(draw, parts, kind, height)
    _add_shade(draw, parts, top, radius, tall)
    return parts.finished()


def _shade_material(draw: Draw) -> Material:
    light = draw.colour(saturation=(0.03, 0.6), value=(0.8, 1.0))
    if draw.chance(0.6):
        return plain(light)
    pattern = draw.one(
        [
            lambda: textures.stripes(light, shifted(light, -0.4), draw.whole(4, 8), size=TEXTURE_SIZE),
            lambda: textures.dots(light, draw.colour(), draw.whole(4, 6), 0.25, size=TEXTURE_SIZE),
            lambda: textures.checker(light, shifted(light, -0.3), 2 * draw.whole(2, 4), size=TEXTURE_SIZE),
        ]
    )()
    return Material(texture=pattern, repeat=(2, 1))


def _add_shade(draw: Draw, parts: Parts, top: np.ndarray, radius: float, tall: float) -> None:
    """A thin open shell around the bulb, carried by three spokes."""
    kind = draw.one(["cone", "drum", "dome", "empire"])
    rise = 0.42 * tall
    at = np.linspace(0, 1, 9)
    if kind == "cone":
        radii = radius * (1 - draw.between(0.35, 0.6) * at)
    elif kind == "drum":
        radii = np.full(9, radius)
    elif kind == "dome":
        radii = radius * np.sqrt(1 - (0.92 * at) ** 2)
    else:
        radii = radius * (1 - 0.6 * at**0.5)
    thin = 0.006
    outside = np.stack([radii, at * tall], axis=1)
    shell = meshes.lathe(np.concatenate([outside, outside[::-1] - [thin, 0], outside[:1] - [0, 1e-4]]), 32)
    low = top - [0, 0, rise]
    parts.add("shade", _shade_material(draw), shell.transformed(translation(*low)))
    metal = draw.metal()
    inner = float(radii[4]) - thin / 2
    middle = low + np.array([0, 0, tall / 2])
    parts.add("socket", metal, solids.rod(low + np.array([0, 0, 0.3 * rise]), middle, 0.014))
    for angle in 2 * np.pi * np.arange(3) / 3:
        end = middle + inner * np.array([np.cos(angle), np.sin(angle), 0])
        parts.add("socket", metal, solids.rod(middle, end, 0.004, segments=6))
    bulb = meshes.sphere(0.03, 16).transformed(translation(*(middle - [0, 0, 0.002])))
    parts.add("bulb", plain(_BULB), bulb)


def _add_turned_foot(draw: Draw, parts: Parts, height: float) -> np.ndarray:
    """A turned or stacked foot; gives the point where the shade sits."""
    body = draw.one([draw.paint, draw.stone, draw.wood, draw.metal], [3, 2, 2, 1])()
    foot = draw.between(0.07, 0.12)
    if draw.chance(0.65):
        belly, neck = draw.between(0.06, 0.13), draw.between(0.015, 0.03)
        knots = np.array([0.0, draw.between(0.12, 0.2), draw.between(0.4, 0.6), 1.0])
        radii = np.array([foot, draw.between(0.03, 0.06), belly, neck])
        at = np.linspace(0, 1, 25)
        profile = np.stack([smooth(at, knots, radii), at * height], axis=1)
        closed = np.concatenate([[(0.0, 0.0)], profile, [(0.0, height + 1e-3)]])
        parts.add("foot", body, meshes.lathe(closed, 32))
    else:
        parts.add("foot", body, meshes.cylinder(foot, 0.03, 32))
        level, count = 0.028, draw.whole(2, 4)
        each = (height - level) / count
        for _ in range(count):
            size = draw.between(0.03, 0.07)
            ball = meshes.sphere(0.5, 24).transformed(np.diag([2 * size, 2 * size, 1.04 * each, 1]))
            parts.add("foot", body, ball.transformed(translation(0, 0, level)))
            level += each
    metal = draw.metal()
    end = height + draw.between(0.05, 0.1)
    parts.add("stem", metal, solids.rod((0, 0, height - 0.03), (0, 0, end), 0.01))
    return np.array([0, 0, end])


def _add_stand(draw: Draw, parts: Parts, kind: str, height: float) -> np.ndarray:
    metal = draw.frame_material()
    if kind == "tripod":
        reach = draw.between(0.2, 0.34)
        for angle in 2 * np.pi * np.arange(3) / 3 + 0.5:
            foot = (reach * np.cos(angle), reach * np.sin(angle), 0.0)
            parts.add("stand", metal, solids.rod((0, 0, height - 0.02), foot, draw.between(0.012, 0.02), 0.8))
        parts.add("stand", metal, solids.rod((0, 0, height - 0.06), (0, 0, height + 0.04), 0.022))
        return np.array([0, 0, height + 0.04])
    foot = draw.between(0.12, 0.19)
    radius = draw.between(0.01, 0.022)
    parts.add("stand", metal, meshes.cylinder(foot, draw.between(0.015, 0.04), 32))
    if kind == "pole":
        parts.add("stand", metal, solids.rod((0, 0, 0.01), (0, 0, height), radius))
        return np.array([0, 0, height])
    reach = draw.between(0.35, 0.6)
    turns = np.linspace(0, np.pi * 0.92, 14)
    bow = np.stack(
        [np.zeros(14), reach / 2 * (1 - np.cos(turns)), 0.8 * height + 0.25 * height * np.sin(turns)], axis=1
    )
    path = np.concatenate([[[0.0, 0.0, 0.01], [0.0, 0.0, 0.4 * height]], bow])
    parts.add("stand", metal, solids.tube(path, radius, 10))
    return bow[-1] - [0, 0, 0.02]


def _add_desk_lamp(draw: Draw, parts: Parts) -> None:
    metal = draw.paint() if draw.chance(0.6) else draw.metal()
    foot = draw.between(0.08, 0.12)
    base: Mesh = (
        meshes.cylinder(foot, 0.025, 32)
        if draw.chance(0.7)
        else solids.slab(solids.rounded(2 * foot, 1.6 * foot, 0.02), 0.025, edge=0.006)
    )
    parts.add("base", metal, base)
    radius = draw.between(0.008, 0.014)
    lower, upper = draw.between(0.22, 0.36), draw.between(0.2, 0.34)
    back, forward = np.radians(draw.between(5, 35)), np.radians(draw.between(35, 65))
    elbow = np.array([0, -lower * np.sin(back), 0.02 + lower * np.cos(back)])
    wrist = elbow + np.array([0, upper * np.sin(forward), upper * np.cos(forward)])
    start = np.array([0, 0, 0.02])
    offsets = (-0.015, 0.015) if draw.chance(0.4) else (0.0,)
    for offset in offsets:
        aside = np.array([offset, 0, 0])
        parts.add("arm", metal, solids.rod(start + aside, elbow + aside, radius))
        parts.add("arm", metal, solids.rod(elbow + aside, wrist + aside, radius))
    joints = draw.metal()
    for point in (start, elbow, wrist):
        ball = meshes.sphere(0.022 + max(offsets), 16)
        parts.add("joints", joints, ball.transformed(translation(*(point - [0, 0, 0.022]))))
    wide, tall = draw.between(0.07, 0.11), draw.between(0.12, 0.17)
    narrow = draw.between(0.25, 0.45) * wide
    outside = np.array([(wide, 0.0), (0.9 * wide, 0.3 * tall), (narrow, 0.85 * tall), (narrow * 0.9, tall)])
    inside = outside[2::-1] - [0.006, 0]
    profile = np.concatenate([[(0, 0.8 * tall)], inside, outside, [(0, tall)]])
    head = meshes.lathe(profile, 28, sharp=True)
    # The head hangs from the wrist by its upper end, its opening forward and down.
    tilt = rotation("x", draw.between(15, 60)) @ translation(0, 0, -tall)
    parts.add("head", metal, head.transformed(translation(*wrist) @ tilt))
    socket = solids.rod((0, 0, 0.4 * tall), (0, 0, 0.83 * tall), 0.6 * narrow)
    parts.add("joints", joints, socket.transformed(translation(*wrist) @ tilt))
    bulb = meshes.sphere(0.55 * narrow + 0.012, 16).transformed(translation(0, 0, 0.3 * tall))
    parts.add("bulb", plain(_BULB), bulb.transformed(translation(*wrist) @ tilt))
