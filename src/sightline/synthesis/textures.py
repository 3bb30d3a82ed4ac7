"""Procedural bitmap textures: checks, stripes, dots, bricks and noise, all of which tile without a seam.

A texture is a uint8 array (size, size, 3) of sRGB values. Colours are sRGB in [0, 1].
"""

from collections.abc import Callable

import numpy as np

Colour = tuple[float, float, float]
"""sRGB in [0, 1]"""


def checker(first: Colour, second: Colour, cells: int = 8, size: int = 256) -> np.ndarray:
    """Squares of two colours in turn, `cells` along each side (even, so that the pattern tiles)."""
    if cells % 2:
        raise ValueError(f"{cells} cells do not tile")
    cell = np.arange(size) * cells // size
    return blend(first, second, ((cell[:, None] + cell) % 2).astype(np.float64))


def stripes(first: Colour, second: Colour, count: int = 8, slant: int = 0, size: int = 256) -> np.ndarray:
    """`count` pairs of stripes around the texture, that climb `slant` turns from its bottom to its top."""
    across = (np.arange(size) + 0.5) / size
    phase = (across * count + across[:, None] * slant) % 1
    return blend(first, second, (phase < 0.5).astype(np.float64))


def dots(first: Colour, second: Colour, count: int = 6, radius: float = 0.3, size: int = 256) -> np.ndarray:
    """Discs of the second colour on the first, `count` along each side; `radius` is 0.5 where they touch."""
    offset = ((np.arange(size) + 0.5) / size * count) % 1 - 0.5
    return blend(first, second, (np.hypot(offset[:, None], offset) < radius).astype(np.float64))


def bricks(brick: Colour, mortar: Colour, rows: int = 8, joint: float = 0.12, size: int = 256) -> np.ndarray:
    """Courses of bricks, every other one shifted by half a brick; `rows` is even, `joint` a part of a row."""
    if rows % 2:
        raise ValueError(f"{rows} rows do not tile")
    place = (np.arange(size) + 0.5) / size
    row = (place * rows).astype(np.int64)
    along = (place * rows / 2 + 0.5 * (row % 2)[:, None]) % 1
    bed = (place * rows) % 1 < joint
    gap = bed[:, None] | (along < joint / 2)
    return blend(brick, mortar, gap.astype(np.float64))


def noise(
    first: Colour,
    second: Colour,
    generator: np.random.Generator,
    cells: int = 4,
    octaves: int = 5,
    size: int = 256,
) -> np.ndarray:
    """Clouds: value noise, each octave at twice the frequency and 0.6 of the amplitude of the last."""
    return blend(first, second, _stretched(value_noise(generator, cells, octaves, size)))


def marble(
    first: Colour, second: Colour, generator: np.random.Generator, veins: int = 3, size: int = 256
) -> np.ndarray:
    """Veins: waves whose phase is bent by noise."""
    place = (np.arange(size) + 0.5) / size
    bent = value_noise(generator, 4, 5, size) * 2.0
    wave = np.abs(np.sin(np.pi * (veins * (place + place[:, None]) + bent * 2)))
    return blend(first, second, 1 - wave**0.5)


def value_noise(generator: np.random.Generator, cells: int, octaves: int, size: int) -> np.ndarray:
    """Noise (size, size) around 0.5 from random lattices that repeat at the border, smoothly interpolated."""
    total, weight = np.zeros((size, size)), 0.0
    for octave in range(octaves):
        amplitude = 0.6**octave
        total += amplitude * _lattice(generator.random((cells << octave, cells << octave)), size)
        weight += amplitude
    return total / weight


def blend(first: Colour, second: Colour, amount: np.ndarray) -> np.ndarray:
    """Mix two colours, `amount` (h, w) in [0, 1] of the second; gives uint8 (h, w, 3)."""
    mixed = np.asarray(first) + amount[..., None] * (np.asarray(second) - np.asarray(first))
    return np.rint(np.clip(mixed, 0, 1) * 255).astype(np.uint8)


def plain(colour: Colour) -> np.ndarray:
    """A texture of one colour, (1, 1, 3)."""
    return blend(colour, colour, np.zeros((1, 1)))


def random_texture(
    generator: np.random.Generator, first: Colour, second: Colour, size: int = 256
) -> np.ndarray:
    """Draw one of the patterns with random proportions."""
    patterns: list[Callable[[], np.ndarray]] = [
        lambda: checker(first, second, 2 * int(generator.integers(2, 6)), size),
        lambda: stripes(first, second, int(generator.integers(4, 10)), int(generator.integers(-3, 4)), size),
        lambda: dots(first, second, int(generator.integers(4, 9)), generator.uniform(0.2, 0.4), size),
        lambda: bricks(first, second, 2 * int(generator.integers(3, 7)), size=size),
        lambda: noise(first, second, generator, int(generator.integers(3, 8)), size=size),
        lambda: marble(first, second, generator, int(generator.integers(1, 4)), size),
    ]
    return patterns[int(generator.integers(len(patterns)))]()


def _lattice(values: np.ndarray, size: int) -> np.ndarray:
    cells = len(values)
    place = (np.arange(size) + 0.5) / size * cells
    low = place.astype(np.int64) % cells
    part = place - place.astype(np.int64)
    part = part * part * (3 - 2 * part)
    high = (low + 1) % cells
    rows = values[low] * (1 - part)[:, None] + values[high] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, high] * part


def _stretched(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, (2, 98))
    return np.clip((values - low) / (high - low), 0, 1)
