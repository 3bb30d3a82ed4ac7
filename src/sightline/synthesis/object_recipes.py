"""Recipes of scenes of one or two objects, procedural or from mesh files: of standard size and light."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.synthesis.description import Lamp, Part, SceneDescription
from sightline.synthesis.mesh_files import load_parts
from sightline.synthesis.meshes import rotation, translation
from sightline.synthesis.objects.catalogue import build_object

AMBIENT = (0.62, 0.64, 0.68)
_LAMP = Lamp(position=(1.4, 1.9, 2.6), target=(0, 0, 0), size=1.6, radiance=(7.0, 6.8, 6.4))
PAIR_REACH = 1.95
"""how far scenes of two objects may reach from the point that cameras look at: 4, the near bound of their
published set, is 6 less this"""
_PAIR_SIDE = 2.0
_PAIR_GAP = 0.06


@dataclass(frozen=True, kw_only=True)
class ProceduralObject:
    """An object of the catalogue, its box around the origin; the same recipe gives the same object."""

    category: str
    stream: str
    index: int
    seed: int
    diagonal: float = 1.0
    """of its box"""

    def parts(self) -> tuple[Part, ...]:
        """Make the object in its own size."""
        return build_object(self.category, self.stream, self.index, self.seed)

    def build(self) -> SceneDescription:
        """Make the scene."""
        return _lit(f"{self.category} {self.index}", sized(self.parts(), self.diagonal), self.diagonal)


@dataclass(frozen=True, kw_only=True)
class MeshObject:
    """An object from a mesh file, its box around the origin."""

    path: str
    up: str = "y"
    """the file's axis that points up: "y" or "z" """
    diagonal: float = 1.0

    def parts(self) -> tuple[Part, ...]:
        """Read the file; InputError says what is wrong with it."""
        return load_parts(Path(self.path), self.up)

    def build(self) -> SceneDescription:
        """Make the scene; InputError says what is wrong with the file."""
        return _lit(Path(self.path).name, sized(self.parts(), self.diagonal), self.diagonal)


SingleObject = ProceduralObject | MeshObject


@dataclass(frozen=True, kw_only=True)
class ObjectPair:
    """Two objects on the plane z = 0 in opposite quadrants, each with a random turn.

    The longest side of each one's box is 2, and less where the two would otherwise reach too far.
    """

    first: SingleObject
    second: SingleObject
    seed: int

    def build(self) -> SceneDescription:
        """Make the scene."""
        generator = np.random.default_rng([self.seed, zlib.crc32(b"pair")])
        turns = generator.uniform(0, 360, 2)
        heading = generator.uniform(np.radians(20), np.radians(70)) + np.pi / 2 * generator.integers(2)
        placed = [
            _standing(obj.parts(), float(turn))
            for obj, turn in zip((self.first, self.second), turns, strict=True)
        ]
        parts: list[Part] = []
        for index, (object_parts, radius) in enumerate(placed):
            sign = 1 - 2 * index
            place = sign * (radius + _PAIR_GAP / 2) * np.array([np.cos(heading), np.sin(heading)])
            parts += moved(object_parts, translation(float(place[0]), float(place[1]), 0))
        middle = pair_target(parts)
        points = np.concatenate([part.mesh.vertices for part in parts])
        reach = float(np.linalg.norm(points - middle, axis=1).max())
        if reach > PAIR_REACH:
            shrink = np.diag([PAIR_REACH / reach] * 3 + [1.0])
            parts = list(moved(parts, shrink))
        return _lit("two objects", tuple(parts), 2.5)


def pair_target(parts: "list[Part] | tuple[Part, ...]") -> np.ndarray:
    """Give the point (3,) that cameras of a pair look at: the middle of its box."""
    low, high = bounds(parts)
    return (low + high) / 2


def bounds(parts: "list[Part] | tuple[Part, ...]") -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner (3,) of several parts."""
    boxes = np.stack([part.mesh.bounds for part in parts]).astype(np.float64)
    return boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)


def moved(parts: "list[Part] | tuple[Part, ...]", matrix: np.ndarray) -> tuple[Part, ...]:
    """Map all parts by an affine 4x4 matrix."""
    return tuple(
        Part(name=part.name, mesh=part.mesh.transformed(matrix), material=part.material) for part in parts
    )


def sized(parts: tuple[Part, ...], diagonal: float) -> tuple[Part, ...]:
    """Bring the middle of the box to the origin and its diagonal to a length, as ShapeNet does."""
    low, high = bounds(parts)
    scale = diagonal / float(np.linalg.norm(high - low))
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = -scale * (low + high) / 2
    return moved(parts, matrix)


def _standing(parts: tuple[Part, ...], turn: float) -> tuple[tuple[Part, ...], float]:
    """Bring the longest side to 2, turn, stand on z = 0 around the z axis; the footprint's radius too."""
    low, high = bounds(parts)
    scale = _PAIR_SIDE / float((high - low).max())
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = -scale * np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    placed = moved(parts, rotation("z", turn) @ matrix)
    radius = max(float(np.linalg.norm(part.mesh.vertices[:, :2], axis=1).max()) for part in placed)
    return placed, radius


def _lit(name: str, parts: tuple[Part, ...], size: float) -> SceneDescription:
    """Add light from all sides, and a lamp above the right front whose brightness no size changes."""
    lamp = Lamp(
        position=(_LAMP.position[0] * size, _LAMP.position[1] * size, _LAMP.position[2] * size),
        target=_LAMP.target,
        size=_LAMP.size * size,
        radiance=_LAMP.radiance,
    )
    return SceneDescription(name=name, parts=parts, lamps=(lamp,), ambient=AMBIENT)
