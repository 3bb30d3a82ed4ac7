"""Vases: turned bodies of many outlines with patterns, some with handles, lids, or stems in them."""

import numpy as np

from sightline.synthesis import meshes, solids, textures
from sightline.synthesis.description import Material, Part
from sightline.synthesis.meshes import translation
from sightline.synthesis.objects.kit import TEXTURE_SIZE, Draw, Parts, plain, shifted
from sightline.synthesis.still_life import smooth


def build(draw: Draw) -> tuple[Part, ...]:
    """Make one vase."""
    parts = Parts()
    height = draw.between(0.22, 0.5)
    slim = draw.between(0.55, 1.3)
    count = draw.whole(3, 5)
    inner = np.sort([draw.between(0.12, 0.88) for _ in range(count - 2)])
    knots = np.concatenate([[0.0], inner, [1.0]])
    while (np.diff(knots) < 0.1).any():
        knots = np.linspace(0, 1, count)
    radii = np.array([draw.between(0.05, 0.12) * slim for _ in range(count)])
    radii[draw.whole(1, count - 2) if count > 3 else 1] = draw.between(0.11, 0.18) * slim
    at = np.linspace(0, 1, 41)
    outline = np.stack([smooth(at, knots, radii), at * height], axis=1)
    material = _glaze(draw)
    _add_body(parts, material, outline, height)
    opening = float(outline[-1, 0])
    finish = draw.one(["open", "handles", "lid", "twigs"], [3, 2, 1, 1.5])
    if finish == "handles":
        _add_handles(draw, parts, material, outline, height)
    elif finish == "lid":
        rim = opening + 0.006
        lid = [(0, 0), (rim, 0), (rim, 0.012), (0.6 * rim, 0.3 * rim), (0.12 * rim, 0.5 * rim)]
        lid += [(0.2 * rim, 0.65 * rim), (0.0, 0.8 * rim)]
        parts.add("body", material, meshes.lathe(lid, 32, sharp=True).transformed(translation(0, 0, height)))
    elif finish == "twigs":
        _add_twigs(draw, parts, opening, height)
    return parts.finished()


def _glaze(draw: Draw) -> Material:
    first, second = draw.colour(value=(0.35, 0.95)), draw.colour(value=(0.3, 0.95))
    if draw.chance(0.4):
        second = shifted(first, draw.one([-0.5, 0.6]))
    size = 2 * TEXTURE_SIZE
    kind = draw.one(["random", "bands", "plain"], [5, 2, 1.5])
    if kind == "plain":
        texture = textures.plain(first)
    elif kind == "bands":
        levels = np.linspace(0, 1, size)
        edges = np.sort([draw.between(0.05, 0.95) for _ in range(2 * draw.whole(1, 3))])
        inside = (np.searchsorted(edges, levels) % 2).astype(np.float64)
        texture = textures.blend(first, second, np.repeat(inside[:, None], 8, axis=1))
    else:
        texture = textures.random_texture(draw.generator, first, second, size=size)
    gloss = draw.between(0.1, 0.35) if draw.chance(0.6) else None
    return Material(texture=texture, repeat=(draw.whole(1, 2), 1), roughness=gloss, metallic=0.0)


def _add_body(parts: Parts, material: Material, outline: np.ndarray, height: float) -> None:
    wall = 0.008
    inside = outline[::-1] - [wall, 0]
    inside = inside[inside[:, 1] > 0.12 * height]
    profile = np.concatenate([[(0.0, 0.0)], outline, inside, [(0.0, float(inside[-1, 1]) - 0.004)]])
    parts.add("body", material, meshes.lathe(profile, 40))


def _add_handles(draw: Draw, parts: Parts, material: Material, outline: np.ndarray, height: float) -> None:
    low, high = draw.between(0.3, 0.5), draw.between(0.78, 0.95)
    rows = [outline[round(level * 40)] for level in (low, high)]
    bulge = max(float(rows[0][0]), float(rows[1][0])) + draw.between(0.03, 0.07)
    handle = material if draw.chance(0.6) else plain(draw.colour())
    sides = (1,) if draw.chance(0.35) else (-1, 1)
    for side in sides:
        corners = [
            (side * (rows[0][0] - 0.004), 0, rows[0][1]),
            (side * bulge, 0, rows[0][1] + 0.02 * height),
            (side * bulge, 0, rows[1][1]),
            (side * (rows[1][0] - 0.004), 0, rows[1][1]),
        ]
        parts.add(
            "handles", handle, solids.tube(solids.bend(corners, 0.06, 7), draw.between(0.008, 0.014), 10)
        )


def _add_twigs(draw: Draw, parts: Parts, opening: float, height: float) -> None:
    stem, bloom = plain(draw.one([(0.25, 0.4, 0.15), (0.4, 0.28, 0.16)])), plain(draw.colour())
    for _ in range(draw.whole(3, 7)):
        angle, reach = draw.between(0, 2 * np.pi), draw.between(0.02, 0.14)
        heading = np.array([np.cos(angle), np.sin(angle), 0])
        rise = height * draw.between(0.35, 0.75)
        start = np.array([0, 0, 0.12 * height])
        rim = 0.6 * (opening - 0.01) * heading + [0, 0, height]
        end = rim + reach * heading + [0, 0, rise]
        parts.add(
            "twigs", stem, solids.tube(np.stack([start, rim, (rim + end) / 2 + [0, 0, 0.01], end]), 0.004, 6)
        )
        size = draw.between(0.018, 0.035)
        flower = meshes.sphere(size, 10).transformed(translation(*(end - [0, 0, size])))
        parts.add("flowers", bloom, flower)
