"""What builders of objects share: random choices, materials, and parts that are joined by material."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from sightline.synthesis import textures
from sightline.synthesis.description import Material, Part
from sightline.synthesis.meshes import Mesh
from sightline.synthesis.solids import merged
from sightline.synthesis.textures import Colour

Choice = TypeVar("Choice")

TEXTURE_SIZE = 64
_WOODS = ((0.58, 0.36, 0.18), (0.78, 0.60, 0.38), (0.36, 0.20, 0.11), (0.86, 0.74, 0.55), (0.48, 0.17, 0.10))


@dataclass(frozen=True)
class Draw:
    """Random choices for one object."""

    generator: np.random.Generator

    def between(self, low: float, high: float) -> float:
        """A number, uniform."""
        return float(self.generator.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(self.generator.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """Whether something happens."""
        return bool(self.generator.random() < probability)

    def one(self, choices: Sequence[Choice], weights: Sequence[float] | None = None) -> Choice:
        """One of several, equally likely or by weights."""
        shares = np.ones(len(choices)) if weights is None else np.asarray(weights, dtype=np.float64)
        steps = np.cumsum(shares / shares.sum())
        return choices[min(int(np.searchsorted(steps, self.generator.random())), len(choices) - 1)]

    def colour(
        self, saturation: tuple[float, float] = (0.25, 0.9), value: tuple[float, float] = (0.3, 0.95)
    ) -> Colour:
        """A colour of any hue."""
        return colorsys.hsv_to_rgb(self.between(0, 1), self.between(*saturation), self.between(*value))

    def grey(self, low: float = 0.08, high: float = 0.9) -> Colour:
        """A grey with a slight tint."""
        return colorsys.hsv_to_rgb(self.between(0, 1), self.between(0, 0.08), self.between(low, high))

    def wood(self) -> Material:
        """Planed wood, grain along v."""
        base = np.array(self.one(_WOODS)) * self.between(0.75, 1.15)
        light = _colour(base)
        dark = _colour(base * self.between(0.55, 0.8))
        amount = _grain(self.generator)
        scale = self.between(1.5, 4.0)
        coat = self.between(0.3, 0.5) if self.chance(0.3) else None
        texture = textures.blend(light, dark, amount)
        return Material(texture=texture, repeat=(scale * 2, scale), roughness=coat, metallic=0.0)

    def paint(self) -> Material:
        """One colour, often bright, sometimes glossy."""
        colour = self.colour() if self.chance(0.7) else self.grey()
        return plain(colour, self.between(0.15, 0.4) if self.chance(0.5) else None)

    def metal(self) -> Material:
        """Grey, black, or brass, with highlights."""
        colour = self.one([self.grey(0.5, 0.8), self.grey(0.06, 0.2), (0.72, 0.55, 0.28)], [3, 2, 1])
        return plain(colour, self.between(0.2, 0.4), metallic=0.6)

    def fabric(self) -> Material:
        """Cloth or leather: plain, mottled, or with a pattern."""
        first = self.colour(value=(0.25, 0.9)) if self.chance(0.75) else self.grey(0.12, 0.9)
        second = shifted(first, self.between(-0.35, 0.35))
        kind = self.one(["noise", "stripes", "checker", "dots", "pattern"], [4, 1.5, 1, 1, 1])
        scale = self.between(1.5, 4.0)
        size = TEXTURE_SIZE
        if kind == "noise":
            texture = textures.noise(first, shifted(first, -0.15), self.generator, 8, 3, size=size)
        elif kind == "stripes":
            texture = textures.stripes(first, second, self.whole(2, 5), size=size)
        elif kind == "checker":
            texture = textures.checker(first, second, 2 * self.whole(1, 3), size=size)
        elif kind == "dots":
            texture = textures.dots(first, second, self.whole(2, 4), self.between(0.2, 0.35), size=size)
        else:
            texture = textures.stripes(first, self.colour(), self.whole(1, 3), 1, size=size)
        return Material(texture=texture, repeat=(scale, scale))

    def stone(self) -> Material:
        """Marble or terrazzo."""
        first, second = self.grey(0.55, 0.95), self.grey(0.1, 0.6)
        if self.chance(0.6):
            texture = textures.marble(first, second, self.generator, self.whole(1, 3), size=TEXTURE_SIZE)
        else:
            texture = textures.noise(first, second, self.generator, 12, 2, size=TEXTURE_SIZE)
        return Material(texture=texture, repeat=(1.5, 1.5), roughness=self.between(0.2, 0.4), metallic=0.0)

    def frame_material(self) -> Material:
        """What legs and frames are made of."""
        return self.one([self.wood, self.metal, self.paint], [5, 2, 3])()


@dataclass
class Parts:
    """Collects the meshes of an object by what they are made of."""

    _meshes: dict[int, list[Mesh]] = field(default_factory=dict)
    _materials: dict[int, tuple[str, Material]] = field(default_factory=dict)

    def add(self, name: str, material: Material, *meshes: Mesh) -> None:
        """Add meshes; all of one material object become one part, named after the first."""
        self._materials.setdefault(id(material), (name, material))
        self._meshes.setdefault(id(material), []).extend(meshes)

    def finished(self) -> tuple[Part, ...]:
        """Give one part for each material."""
        return tuple(
            Part(name=name, mesh=merged(self._meshes[key]), material=material)
            for key, (name, material) in self._materials.items()
        )


def plain(colour: Colour, roughness: float | None = None, metallic: float = 0.0) -> Material:
    """A material of one colour."""
    return Material(texture=textures.plain(colour), roughness=roughness, metallic=metallic)


def shifted(colour: Colour, amount: float) -> Colour:
    """A colour made lighter (above 0) or darker (below 0) by a part of what is left to white or black."""
    towards = 1.0 if amount > 0 else 0.0
    red, green, blue = (value + abs(amount) * (towards - value) for value in colour)
    return red, green, blue


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = (float(value) for value in np.clip(values, 0, 1))
    return red, green, blue


def _grain(generator: np.random.Generator) -> np.ndarray:
    """Stretched noise (size, size) in [0, 1]: it changes quickly across the rows, slowly along them."""
    size = TEXTURE_SIZE
    fine = generator.random((2, size))
    coarse = np.repeat(generator.random((2, size // 8)), 8, axis=1)
    columns = 0.5 * fine + 0.5 * coarse
    along = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)[:, None]
    return columns[0] * (1 - along) + columns[1] * along
