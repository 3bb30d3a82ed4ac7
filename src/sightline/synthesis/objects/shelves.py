"""Shelves: bookcases with and without backs, ladder shelves, sideboards and cube shelves, empty or filled."""

import numpy as np

from sightline.synthesis import meshes, solids
from sightline.synthesis.description import Material, Part
from sightline.synthesis.meshes import translation
from sightline.synthesis.objects.kit import Draw, Parts, plain


def build(draw: Draw) -> tuple[Part, ...]:
    """Make one shelf."""
    parts = Parts()
    kind = draw.one(["bookcase", "cubes", "sideboard", "ladder", "frame"], [4, 2, 2, 1.3, 1.5])
    width = draw.between(0.6, 1.1)
    height = draw.between(0.95, 1.8)
    depth = draw.between(0.26, 0.4)
    wood = draw.wood() if draw.chance(0.65) else draw.paint()
    if kind == "sideboard":
        width, height, depth = draw.between(0.9, 1.6), draw.between(0.5, 0.8), draw.between(0.35, 0.48)
    if kind == "ladder":
        _add_ladder(draw, parts, wood, width, height, depth)
    elif kind == "frame":
        _add_frame(draw, parts, wood, width, height, depth)
    else:
        columns = {"bookcase": 1, "cubes": draw.whole(2, 3), "sideboard": draw.whole(2, 4)}[kind]
        rows = {"bookcase": draw.whole(3, 5), "cubes": draw.whole(2, 4), "sideboard": draw.whole(1, 2)}[kind]
        _add_case(draw, parts, wood, (width, depth, height), columns, rows, doors=kind == "sideboard")
    return parts.finished()


def _add_case(
    draw: Draw,
    parts: Parts,
    wood: Material,
    size: tuple[float, float, float],
    columns: int,
    rows: int,
    *,
    doors: bool,
) -> None:
    width, depth, height = size
    board = draw.between(0.018, 0.035)
    foot = draw.between(0.05, 0.15) if draw.chance(0.5 if doors else 0.3) else 0.0
    tall = height - foot
    for x in np.linspace(-width / 2, width / 2, columns + 1):
        place = translation(float(np.clip(x, -width / 2 + board / 2, width / 2 - board / 2)), 0, foot)
        parts.add("case", wood, meshes.box(board, depth, tall).transformed(place))
    for z in np.linspace(0, tall - board, rows + 1):
        parts.add("case", wood, meshes.box(width, depth, board).transformed(translation(0, 0, foot + z)))
    if doors or draw.chance(0.6):
        back = wood if draw.chance(0.6) else draw.paint()
        panel = meshes.box(width - 0.01, 0.012, tall - 0.01)
        parts.add("back", back, panel.transformed(translation(0, -depth / 2 + 0.01, foot + 0.005)))
    if foot:
        metal = draw.frame_material()
        for x in (-0.44 * width, 0.44 * width):
            for y in (-0.38 * depth, 0.38 * depth):
                parts.add("feet", metal, solids.rod((x, y, foot + 0.004), (x, y, 0), 0.02, 0.7))
    fronts = draw.paint() if draw.chance(0.5) else wood
    knobs = draw.metal()
    filled = draw.between(0.2, 0.9)
    contents = _Contents(draw)
    cell_width, cell_height = width / columns, (tall - board) / rows
    for column in range(columns):
        for row in range(rows):
            x, z = -width / 2 + (column + 0.5) * cell_width, foot + row * cell_height + board
            room = (cell_width - board, depth, cell_height - board)
            if draw.chance(0.75 if doors else 0.08):
                door = meshes.box(room[0] - 0.006, 0.018, room[2] - 0.006)
                parts.add("doors", fronts, door.transformed(translation(x, depth / 2 - 0.006, z + 0.003)))
                knob = meshes.sphere(0.016, 10)
                at = translation(x + 0.36 * room[0], depth / 2 + 0.014, z + 0.5 * room[2])
                parts.add("knobs", knobs, knob.transformed(at))
            elif draw.chance(filled):
                contents.add(parts, x, z, room)


class _Contents:
    """Books, boxes and pots in a few colours."""

    def __init__(self, draw: Draw):
        self._draw = draw
        self._materials = [plain(draw.colour(value=(0.25, 0.95))) for _ in range(5)]

    def add(self, parts: Parts, x: float, z: float, room: tuple[float, float, float]) -> None:
        """Fill a part of a compartment whose floor is at (x, z)."""
        draw = self._draw
        width, depth, height = room
        kind = draw.one(["books", "box", "pot"], [4, 1, 1])
        if kind == "books":
            at, end = -width / 2 + 0.01, -width / 2 + width * draw.between(0.4, 0.95)
            while True:
                thick = draw.between(0.02, 0.05)
                if at + thick > end:
                    return
                book = meshes.box(
                    thick - 0.002, draw.between(0.5, 0.75) * depth, draw.between(0.55, 0.9) * height
                )
                place = translation(x + at + thick / 2, 0, z - 0.001)
                parts.add("books", draw.one(self._materials), book.transformed(place))
                at += thick
        size = min(width, height, depth)
        if kind == "box":
            mesh = meshes.box(0.7 * min(width, 0.5), 0.7 * depth, draw.between(0.4, 0.75) * height)
        else:
            mesh = meshes.frustum(0.2 * size, 0.3 * size, 0.6 * size, 20)
        place = translation(x + draw.between(-0.1, 0.1) * width, 0, z - 0.001)
        parts.add("things", draw.one(self._materials), mesh.transformed(place))


def _add_ladder(draw: Draw, parts: Parts, wood: Material, width: float, height: float, depth: float) -> None:
    frame = draw.frame_material()
    rows = draw.whole(3, 5)
    deep = depth * draw.between(1.1, 1.5)
    for side in (-1, 1):
        x = side * width / 2
        bars = ((0.5, -0.4), (-0.5, -0.5))
        for low, high in bars:
            parts.add("rails", frame, solids.beam((x, low * deep, 0), (x, high * deep, height), 0.03, 0.03))
    contents = _Contents(draw)
    for level in np.linspace(0.12, 0.9, rows):
        front = 0.5 + (-0.4 - 0.5) * level
        reach = (front + 0.5) * deep
        board = meshes.box(width, reach, 0.024)
        parts.add("boards", wood, board.transformed(translation(0, front * deep - reach / 2, level * height)))
        if draw.chance(0.4) and level < 0.75:
            room = (0.8 * width, reach, 0.6 * height / rows)
            z = level * height + 0.024
            before = Parts()
            contents.add(before, 0, z, room)
            for part in before.finished():
                moved = part.mesh.transformed(translation(0, front * deep - reach / 2, 0))
                parts.add(part.name, part.material, moved)


def _add_frame(draw: Draw, parts: Parts, wood: Material, width: float, height: float, depth: float) -> None:
    metal = draw.metal() if draw.chance(0.7) else draw.paint()
    bar, rows = draw.between(0.015, 0.03), draw.whole(3, 5)
    for x in (-width / 2, width / 2):
        for y in (-depth / 2, depth / 2):
            parts.add("frame", metal, solids.beam((x, y, 0), (x, y, height), bar))
    if draw.chance(0.6):
        low, high = draw.between(0.05, 0.2) * height, draw.between(0.8, 0.95) * height
        y = -depth / 2
        for side in (-1, 1):
            ends = (side * width / 2, y, low), (-side * width / 2, y, high)
            parts.add("frame", metal, solids.beam(*ends, 0.6 * bar))
    contents = _Contents(draw)
    levels = np.linspace(0.06, 1.0, rows) * height
    for index, level in enumerate(levels):
        board = meshes.box(width + bar, depth + bar, 0.025)
        parts.add("boards", wood, board.transformed(translation(0, 0, level - 0.025)))
        if index + 1 < rows and draw.chance(0.5):
            contents.add(parts, 0, level, (0.9 * width, depth, 0.8 * (levels[1] - levels[0])))
