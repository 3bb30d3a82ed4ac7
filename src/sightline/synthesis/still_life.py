"""A small still life: a vase and a few solids, textured, on a plinth under a soft lamp."""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sightline.synthesis import meshes
from sightline.synthesis.description import Lamp, Material, Part, SceneDescription
from sightline.synthesis.meshes import Mesh
from sightline.synthesis.textures import Colour, bricks, marble, noise, random_texture

PLINTH_HALF = 0.7
"""half the width of the plinth, scene units"""
PLINTH_HEIGHT = 0.3
_VASE_RADIUS = 0.3
_MARGIN = 0.04
_ATTEMPTS = 400

# One lamp and light from all sides: every further lamp costs samples and shows little.
LAMPS = (Lamp(position=(1.8, -1.6, 3.6), target=(0, 0, 0.4), size=1.4, radiance=(17.0, 16.2, 15.0)),)
AMBIENT = (0.48, 0.5, 0.54)


@dataclass(frozen=True, kw_only=True)
class StillLife:
    """The recipe of one still life; the same recipe gives the same scene."""

    seed: int = 0
    """decides shapes, places, patterns and colours"""
    solids: int = 4
    """how many solids stand around the vase; fewer where the plinth has no more room"""

    def build(self) -> SceneDescription:
        """Make the scene: its plinth stands on z = 0 around the z axis, 1.4 wide; it is about 1.2 high."""
        generator = np.random.default_rng(self.seed)
        hue = generator.random()
        parts = [_plinth(generator, hue), _vase(generator, hue)]
        taken = [(0.0, 0.0, _VASE_RADIUS)]
        for index in range(self.solids):
            parts += _solid(generator, f"solid {index}", hue + (index + 1) * 0.618, taken)
        return SceneDescription(
            name=f"still life {self.seed}", parts=tuple(parts), lamps=LAMPS, ambient=AMBIENT
        )


def _plinth(generator: np.random.Generator, hue: float) -> Part:
    stone, vein = _colour(hue + 0.5, 0.12, 0.82), _colour(hue + 0.5, 0.25, 0.45)
    texture = marble(stone, vein, generator, 2) if generator.random() < 0.5 else bricks(stone, vein, 10)
    block = meshes.box(2 * PLINTH_HALF, 2 * PLINTH_HALF, PLINTH_HEIGHT)
    return Part(name="plinth", mesh=block, material=Material(texture=texture))


def _vase(generator: np.random.Generator, hue: float) -> Part:
    foot, neck, lip = (
        generator.uniform(0.11, 0.18),
        generator.uniform(0.06, 0.11),
        generator.uniform(0.1, 0.17),
    )
    height, belly_at = generator.uniform(0.75, 0.95), generator.uniform(0.3, 0.45)
    knots = np.array([0.0, belly_at, 0.78, 1.0])
    radii = np.array([foot, _VASE_RADIUS - 0.02, neck, lip])
    at = np.linspace(0, 1, 33)
    outside = np.stack([smooth(at, knots, radii), at * height], axis=1)
    thickness = 0.02
    inside = outside[::-1] - [thickness, 0]
    inside = inside[inside[:, 1] > 0.1 * height]
    floor = [(0.0, float(inside[-1, 1]) - 0.01)]
    profile = np.concatenate([[(0.0, 0.0)], outside, inside, floor])
    texture = random_texture(generator, _colour(hue, 0.75, 0.85), _colour(hue + 0.45, 0.5, 0.95))
    material = Material(texture=texture, repeat=(1, 2), roughness=0.25)
    mesh = meshes.lathe(profile, 64).transformed(meshes.translation(0, 0, PLINTH_HEIGHT))
    return Part(name="vase", mesh=mesh, material=material)


def _solid(
    generator: np.random.Generator, name: str, hue: float, taken: list[tuple[float, float, float]]
) -> list[Part]:
    makers: list[Callable[[float], Mesh]] = [
        lambda r: meshes.sphere(r),
        lambda r: meshes.box(1.4 * r, 1.4 * r, generator.uniform(1.0, 2.4) * r),
        lambda r: meshes.cylinder(0.8 * r, generator.uniform(1.0, 2.4) * r),
        lambda r: meshes.frustum(r, generator.choice([0.0, 0.5]) * r, generator.uniform(1.6, 2.4) * r),
        lambda r: meshes.torus(0.66 * r, 0.34 * r),
    ]
    radius = generator.uniform(0.16, 0.25)
    place = _free_place(generator, radius, taken)
    if place is None:
        return []
    taken.append((*place, radius))
    shape = makers[int(generator.integers(len(makers)))](radius)
    turned = shape.transformed(meshes.rotation("z", generator.uniform(0, 360)))
    first, second = _colour(hue, 0.8, 0.8), _colour(hue + generator.uniform(0.3, 0.7), 0.35, 0.95)
    if generator.random() < 0.25:
        texture = noise(first, second, generator, 4)
    else:
        texture = random_texture(generator, first, second)
    gloss = float(generator.uniform(0.2, 0.4)) if generator.random() < 0.3 else None
    mesh = turned.transformed(meshes.translation(*place, PLINTH_HEIGHT))
    return [Part(name=name, mesh=mesh, material=Material(texture=texture, roughness=gloss))]


def _free_place(
    generator: np.random.Generator, radius: float, taken: list[tuple[float, float, float]]
) -> tuple[float, float] | None:
    reach = PLINTH_HALF - radius - _MARGIN
    for _ in range(_ATTEMPTS):
        x, y = (float(value) for value in generator.uniform(-reach, reach, 2))
        if all(
            np.hypot(x - other_x, y - other_y) > radius + other + _MARGIN for other_x, other_y, other in taken
        ):
            return x, y
    return None


def smooth(at: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate with level tangents at the knots, so that every knot is a belly, a neck or an end."""
    segment = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    part = (at - knots[segment]) / (knots[segment + 1] - knots[segment])
    part = part * part * (3 - 2 * part)
    return values[segment] * (1 - part) + values[segment + 1] * part


def _colour(hue: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)
