"""Recipes of textured scenes: rooms with furniture, and table tops with things on them."""

import zlib
from dataclasses import dataclass, field

import numpy as np

from sightline.synthesis import meshes, textures
from sightline.synthesis.description import Lamp, Material, Part, SceneDescription
from sightline.synthesis.meshes import rotation, translation
from sightline.synthesis.object_recipes import bounds, moved
from sightline.synthesis.objects.catalogue import build_object
from sightline.synthesis.objects.kit import Draw, Parts, plain, shifted

AMBIENT = (0.5, 0.51, 0.54)
TABLE_HEIGHT = 0.75
_BOARD = 0.06
_HIGH_WALLS = 4.2
"""metres: cameras inside do not see their upper edge, so that light may come in there"""
_ATTEMPTS = 60


@dataclass(frozen=True, kw_only=True)
class Room:
    """A room: floor, back wall (at -y) and left wall (at -x), furniture; about 4 x 3.2 x 2.5 metres."""

    seed: int
    closed: bool = False
    """with a right wall, higher walls and more floor in front, for cameras inside; else seen from around"""
    diagonal: float | None = None
    """of the scene's box, whose middle comes to the origin; metres, on z = 0, where not given"""

    def build(self) -> SceneDescription:
        """Make the scene."""
        draw = Draw(np.random.default_rng([self.seed, zlib.crc32(b"room")]))
        width, depth, height = draw.between(3.4, 4.4), draw.between(2.8, 3.6), draw.between(2.3, 2.8)
        parts = Parts()
        _add_shell(draw, parts, width, depth, height, closed=self.closed)
        placed = [*parts.finished(), *_furniture(draw, self.seed, width, depth, height)]
        if self.closed:
            place, size, strength = (0.2, 0.5 * depth, _HIGH_WALLS + 0.2), 2.4, 9.5
        else:
            place, size, strength = (0.3 * width, 0.3 * depth, height + 0.8), 1.6, 7.0
        light = (strength, 0.96 * strength, 0.9 * strength)
        lamp = Lamp(position=place, target=(0.0, 0.0, 0.0), size=size, radiance=light)
        return _framed(f"room {self.seed}", placed, lamp, self.diagonal)


@dataclass(frozen=True, kw_only=True)
class TableTop:
    """A table with vases, a lamp, small models and solids on it; with a wall behind it or standing free."""

    seed: int
    wall: bool = False
    """with a wall and a floor behind it, for cameras before it"""
    diagonal: float | None = None
    """of the scene's box, whose middle comes to the origin; metres, the top on z = 0, where not given"""

    def build(self) -> SceneDescription:
        """Make the scene."""
        draw = Draw(np.random.default_rng([self.seed, zlib.crc32(b"table top")]))
        width, depth = draw.between(1.1, 1.4), draw.between(0.8, 1.0)
        parts = Parts()
        board = meshes.box(width, depth, _BOARD).transformed(translation(0, 0, -_BOARD))
        parts.add("table", draw.one([draw.wood, lambda: _pattern(draw)])(), board)
        if draw.chance(0.7):
            cloth = meshes.box(width * draw.between(0.4, 0.8), depth * draw.between(0.5, 0.8), 0.006)
            parts.add("cloth", _pattern(draw), cloth)
        if self.wall:
            back = -depth / 2 - draw.between(0.25, 0.5)
            wall = meshes.box(5.0, 0.05, 3.0).transformed(translation(0, back - 0.025, -TABLE_HEIGHT))
            parts.add("wall", _wallpaper(draw), wall)
            floor = meshes.box(5.0, 4.0, 0.05).transformed(translation(0, back + 2.0, -TABLE_HEIGHT - 0.05))
            parts.add("floor", _floor(draw), floor)
            legs = draw.wood()
            for x in (-0.45 * width, 0.45 * width):
                for y in (-0.42 * depth, 0.42 * depth):
                    leg = meshes.box(0.06, 0.06, TABLE_HEIGHT - 0.05)
                    parts.add("legs", legs, leg.transformed(translation(x, y, -TABLE_HEIGHT)))
            _add_pictures(draw, parts, 0.8, back + 0.015, 0.65)
        placed = [*parts.finished(), *_things(draw, self.seed, width, depth)]
        lamp = Lamp(position=(1.3, 1.6, 2.6), target=(0, 0, 0.2), size=1.3, radiance=(10.0, 9.6, 9.0))
        return _framed(f"table top {self.seed}", placed, lamp, self.diagonal)


def _framed(name: str, parts: list[Part], lamp: Lamp, diagonal: float | None) -> SceneDescription:
    """Bring a scene with its lamp to its size and place."""
    if diagonal is None:
        return SceneDescription(name=name, parts=tuple(parts), lamps=(lamp,), ambient=AMBIENT)
    low, high = bounds(parts)
    middle = (low + high) / 2
    scale = diagonal / float(np.linalg.norm(high - low))
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = -scale * middle
    position, target = (scale * (np.asarray(point) - middle) for point in (lamp.position, lamp.target))
    placed = Lamp(
        position=(float(position[0]), float(position[1]), float(position[2])),
        target=(float(target[0]), float(target[1]), float(target[2])),
        size=scale * lamp.size,
        radiance=lamp.radiance,
    )
    return SceneDescription(name=name, parts=moved(parts, matrix), lamps=(placed,), ambient=AMBIENT)


def _add_shell(draw: Draw, parts: Parts, width: float, depth: float, height: float, *, closed: bool) -> None:
    thick = 0.08
    height = _HIGH_WALLS if closed else height
    front = 2.6 if closed else 0.0
    floor = meshes.box(width + 2 * thick, depth + 2 * thick + front, thick)
    parts.add("floor", _floor(draw), floor.transformed(translation(0, front / 2, -thick)))
    paper = _wallpaper(draw)
    back = meshes.box(width + 2 * thick, thick, height)
    parts.add("walls", paper, back.transformed(translation(0, -depth / 2 - thick / 2, 0)))
    side = meshes.box(thick, depth + front, height)
    other = paper if draw.chance(0.5) else plain(draw.colour(saturation=(0.05, 0.4), value=(0.6, 0.95)))
    parts.add("side", other, side.transformed(translation(-width / 2 - thick / 2, front / 2, 0)))
    if closed:
        parts.add("side", other, side.transformed(translation(width / 2 + thick / 2, front / 2, 0)))
    skirting = plain(draw.grey(0.6, 0.95))
    board = meshes.box(width, 0.02, 0.09).transformed(translation(0, -depth / 2 + 0.01, 0))
    parts.add("skirting", skirting, board)
    board = meshes.box(0.02, depth, 0.09).transformed(translation(-width / 2 + 0.01, 0, 0))
    parts.add("skirting", skirting, board)
    rug = meshes.box(draw.between(1.2, 2.0), draw.between(0.9, 1.5), 0.012)
    parts.add("rug", _pattern(draw), rug.transformed(translation(0.1, 0.1, 0)))
    _add_pictures(draw, parts, width / 2 - 0.4, -depth / 2 + 0.015, 1.55)


def _add_pictures(draw: Draw, parts: Parts, reach: float, y: float, level: float) -> None:
    """Framed pictures on the back wall."""
    frame = draw.frame_material()
    for x in np.linspace(-reach, reach, draw.whole(2, 3)):
        wide, tall = draw.between(0.3, 0.55), draw.between(0.3, 0.5)
        place = translation(float(x), y, level - tall / 2)
        parts.add("frames", frame, meshes.box(wide + 0.06, 0.03, tall + 0.06).transformed(place))
        canvas = meshes.box(wide, 0.012, tall).transformed(place @ translation(0, 0.02, 0.03))
        parts.add("canvas", _picture(draw), canvas)


@dataclass
class _Floor:
    """Furniture that stands in a room, none of which meet."""

    seed: int
    height: float
    parts: list[Part] = field(default_factory=list)
    taken: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def put(self, category: str, stream: str, scale: float, turn: float, place: tuple[float, float]) -> bool:
        """Make an object and stand it with its middle at a place, unless something is there."""
        made = self.made(category, stream, scale, turn, self.height - 0.1)
        low, high = bounds(made)
        offset = np.array([*place, 0.0]) - [*(low + high)[:2] / 2, 0.0]
        box = low + offset, high + offset
        if any((box[0] < other[1]).all() and (other[0] < box[1]).all() for other in self.taken):
            return False
        self.taken.append(box)
        self.parts += moved(made, translation(float(offset[0]), float(offset[1]), float(offset[2])))
        return True

    def made(self, category: str, stream: str, scale: float, turn: float, highest: float) -> tuple[Part, ...]:
        """Make an object that is at most so high."""
        parts = build_object(category, stream, self.seed, self.seed)
        scale = min(scale, highest / float(bounds(parts)[1][2]))
        return moved(parts, _turned(scale, turn))


def _furniture(draw: Draw, seed: int, width: float, depth: float, height: float) -> list[Part]:
    """A shelf at the back wall, a table with a vase on it, chairs around it, a lamp in a corner."""
    floor = _Floor(seed, height)
    left = draw.between(-0.28, -0.12) * width
    floor.put("shelves", "room", 1.0, 0.0, (left, -depth / 2 + 0.29))
    middle = draw.between(0.02, 0.12) * width, draw.between(0.0, 0.12) * depth
    if floor.put("tables", "room", 0.85, draw.between(-6, 6), middle):
        low, high = floor.taken[-1]
        vase = floor.made("vases", "room", 0.8, draw.between(0, 360), 0.6)
        floor.parts += moved(vase, translation(middle[0] + 0.1, middle[1], float(high[2]) - 1e-3))
        reach = (high - low)[:2] / 2
        for index, angle in enumerate((90, 0, 180, 270)):
            if draw.chance(0.75):
                turned = np.radians(angle)
                away = float(reach[0 if angle % 180 == 0 else 1]) + draw.between(0.34, 0.45)
                place = middle[0] + away * float(np.cos(turned)), middle[1] + away * float(np.sin(turned))
                if abs(place[0]) < width / 2 - 0.32 and abs(place[1]) < depth / 2 - 0.32:
                    floor.put("chairs", f"room {index}", 0.9, angle + 90 + draw.between(-14, 14), place)
    for corner in (width / 2 - 0.35, -width / 2 + 0.35):
        if floor.put("lamps", "room", 1.0, draw.between(0, 360), (corner, -depth / 2 + 0.4)):
            break
    return floor.parts


def _things(draw: Draw, seed: int, width: float, depth: float) -> list[Part]:
    """Objects and solids on the plane z = 0, none of which touch."""
    placed: list[Part] = []
    taken: list[tuple[float, float, float]] = []
    wanted = [("vases", draw.between(0.26, 0.42)), ("lamps", draw.between(0.34, 0.46))]
    wanted += [("vehicles", draw.between(0.26, 0.36)), ("vases", draw.between(0.2, 0.3))]
    wanted += [("chairs", draw.between(0.2, 0.3)), ("aeroplanes", draw.between(0.26, 0.38))]
    wanted += [("solid", draw.between(0.1, 0.2)) for _ in range(4)]
    for index, (category, size) in enumerate(wanted):
        if category == "solid":
            parts = _solid(draw, index)
        else:
            parts = build_object(category, f"table {index}", seed, seed)
        low, high = bounds(parts)
        scale = size / float((high - low).max())
        parts = moved(parts, _turned(scale, draw.between(0, 360)))
        low, high = bounds(parts)
        middle = (low + high) / 2
        parts = moved(parts, translation(-float(middle[0]), -float(middle[1]), 0.006 - float(low[2])))
        radius = max(float(np.linalg.norm(part.mesh.vertices[:, :2], axis=1).max()) for part in parts)
        place = _free(draw, radius, width / 2 - 0.02, depth / 2 - 0.02, taken)
        if place is not None:
            taken.append((*place, radius))
            placed.extend(moved(parts, translation(*place, 0)))
    return placed


def _solid(draw: Draw, index: int) -> tuple[Part, ...]:
    shape = draw.one(
        [
            meshes.sphere(0.5),
            meshes.box(1, draw.between(0.5, 1), draw.between(0.3, 1)),
            meshes.cylinder(0.4, draw.between(0.5, 1.2)),
            meshes.frustum(0.5, draw.one([0.0, 0.25]), 0.9),
            meshes.torus(0.35, 0.15),
        ]
    )
    texture = textures.random_texture(draw.generator, draw.colour(), draw.colour())
    return (Part(name=f"solid {index}", mesh=shape, material=Material(texture=texture)),)


def _free(
    draw: Draw, radius: float, half_width: float, half_depth: float, taken: list[tuple[float, float, float]]
) -> tuple[float, float] | None:
    for _ in range(_ATTEMPTS):
        x = draw.between(-1, 1) * max(half_width - radius, 0)
        y = draw.between(-1, 1) * max(half_depth - radius, 0)
        if all(np.hypot(x - other[0], y - other[1]) > radius + other[2] + 0.01 for other in taken):
            return x, y
    return None


def _turned(scale: float, turn: float) -> np.ndarray:
    return rotation("z", turn) @ np.diag([scale, scale, scale, 1.0])


def _pattern(draw: Draw) -> Material:
    first = draw.colour(saturation=(0.2, 0.8), value=(0.3, 0.9))
    texture = textures.random_texture(draw.generator, first, draw.colour(saturation=(0.05, 0.6)))
    repeat = draw.between(1.0, 2.5)
    return Material(texture=texture, repeat=(repeat, repeat))


def _floor(draw: Draw) -> Material:
    if draw.chance(0.6):
        board = draw.wood()
        return Material(texture=board.texture, repeat=(3, 3))
    tile = draw.grey(0.4, 0.9)
    texture = textures.checker(tile, shifted(tile, draw.one([-0.5, -0.2])), 8)
    return Material(texture=texture, repeat=(1.5, 1.5))


def _wallpaper(draw: Draw) -> Material:
    first = draw.colour(saturation=(0.05, 0.45), value=(0.65, 0.95))
    second = shifted(first, draw.between(-0.35, 0.3))
    texture = draw.one(
        [
            lambda: textures.stripes(first, second, draw.whole(8, 16)),
            lambda: textures.dots(first, second, draw.whole(6, 12), 0.25),
            lambda: textures.noise(first, second, draw.generator, 6),
            lambda: textures.bricks(first, second, 16, 0.1),
        ]
    )()
    return Material(texture=texture, repeat=(1, 1))


def _picture(draw: Draw) -> Material:
    texture = textures.random_texture(draw.generator, draw.colour(), draw.colour())
    return Material(texture=texture, repeat=(1, 1))
