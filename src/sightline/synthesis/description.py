"""What a scene consists of, for any renderer: textured meshes and lights. z points up."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sightline.synthesis.meshes import Mesh


@dataclass(frozen=True, kw_only=True)
class Material:
    """How a surface looks."""

    texture: np.ndarray
    """uint8 (h, w, 3), sRGB reflectance; row 0 is at v = 1 (the top)"""
    repeat: tuple[float, float] = (1.0, 1.0)
    """how often the texture repeats over the texture coordinates' u and v"""
    roughness: float | None = None
    """None: matt; else a clear coat with highlights, from 0 (polished) to 1"""
    metallic: float | None = None
    """how much of the gloss is a metal's, from 0 to 1; None: none, by a model of a coat that is more exact
    than the other and takes 50 ms longer to set up"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One mesh with one material."""

    name: str
    mesh: Mesh
    """in the scene's frame"""
    material: Material


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """A square lamp that shines to one side; cameras do not see it."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    size: float
    """length of a side, scene units: the larger, the softer the shadows"""
    radiance: tuple[float, float, float]
    """linear RGB"""


@dataclass(frozen=True, kw_only=True)
class SceneDescription:
    """Everything that is in a scene; what is around it is transparent in pictures."""

    name: str
    parts: tuple[Part, ...]
    lamps: tuple[Lamp, ...] = ()
    ambient: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """linear RGB radiance that comes from everywhere"""

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError(f"the scene {self.name!r} is empty")

    @property
    def bounds(self) -> np.ndarray:
        """Lowest and highest corner of all parts, float32 (2, 3)."""
        boxes = np.stack([part.mesh.bounds for part in self.parts])
        return np.stack([boxes[:, 0].min(0), boxes[:, 1].max(0)])

    @property
    def vertices(self) -> np.ndarray:
        """All vertices of all parts, float64 (n, 3)."""
        return np.concatenate([part.mesh.vertices for part in self.parts]).astype(np.float64)


class SceneRecipe(Protocol):
    """What a scene is made from: a small frozen dataclass of plain values.

    Worker processes get recipes, not scenes: recipes are pickled, compared, and saved beside the pictures.
    """

    def build(self) -> SceneDescription:
        """Make the scene; the same recipe gives the same scene."""
        ...
