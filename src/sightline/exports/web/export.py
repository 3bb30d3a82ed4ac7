"""The web export: a field baked into sparse voxels, refined, packed, and put into one page."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sightline.exports.grids import content_box
from sightline.exports.source import Exported, Field, Source
from sightline.exports.web.config import WebOptions
from sightline.exports.web.packing import Packed, pack, quantised
from sightline.exports.web.page import Views, choose_views, page_bytes, scene_facts, still_picture
from sightline.exports.web.pictures import choose_pictures, field_pictures, is_everywhere, photos
from sightline.exports.web.refine import Batches, refine
from sightline.exports.web.space import Space, find_space, whole_blocks
from sightline.exports.web.survey import Survey, TrainingRays
from sightline.exports.web.tracing import March, picture, score
from sightline.exports.web.voxels import Voxels, build, key_places
from sightline.foundation.errors import InputError, inform, warn
from sightline.foundation.files import write_atomic
from sightline.media.images import parse_colour

_TERMS = {0: 0, 1: 3, 2: 8}
_LEAST_CELLS, _MOST_CELLS = 32, 768
_SEEN = 0.004
"""weight on some training ray from which a point is kept"""
_SURVEY_RAYS, _SCORE_RAYS = 1 << 20, 3 << 19
_STEP_RAYS = 1 << 15
_SECONDS = 60.0
"""that the field may be asked for densities, on this machine"""
_ASKED_PER_SQUARE = 40.0
"""densities that a survey asks for, in squares of a side's cells"""
_BYTES_OF_POINT = {0: 5.2, 3: 7.2, 8: 12.0}
"""of the page, before anything is packed"""
_FRAME_BYTES = 9e4
"""of the page without its points, about"""
_BYTES_OF_MEMORY = 400
"""for each point that is seen"""


@dataclass(frozen=True)
class _Baked:
    space: Space
    voxels: Voxels
    scores: np.ndarray
    """(points,) largest weight on a training ray"""
    packed: Packed
    views: Views
    page: bytes


def export_web(source: Source, options: WebOptions, out: Path | None = None) -> Exported:
    """Make a page of a run with a field; see `WebOptions`.

    Raises:
        InputError: the scene has no field, is empty, or does not fit into the size.
    """
    started = time.perf_counter()
    source.require("field", "web page")
    _check(options, out)
    path = out or source.run.path / "exports" / "scene.html"
    baked = _bake(source, options)
    write_atomic(path, baked.page)
    size, cells, count = len(baked.page), baked.voxels.cells, len(baked.voxels.keys)
    degree = {terms: degree for degree, terms in _TERMS.items()}[len(baked.packed.ranges)]
    seconds = time.perf_counter() - started
    inform(
        f"Page of {size / 1e6:.1f} MB: {cells} cells a side, {count} points in {len(baked.voxels.blocks)} "
        f"blocks, colours of degree {degree}, {seconds:.0f} s"
    )
    facts = {
        "bytes": size,
        "resolution": cells,
        "points": count,
        "blocks": len(baked.voxels.blocks),
        "degree": degree,
        "contracted": baked.space.contracted,
        "bake_seconds": round(seconds, 1),
    }
    return Exported((path,), facts)


def _check(options: WebOptions, out: Path | None) -> None:
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise InputError("The page is HTML", where=f"--out {out}", fix="Use a name in .html")
    if options.resolution is not None and not _LEAST_CELLS <= options.resolution <= 2 * _MOST_CELLS:
        raise InputError(
            f"A grid of {options.resolution} cells a side is not possible",
            where="--resolution",
            fix=f"Give {_LEAST_CELLS} to {2 * _MOST_CELLS}",
        )
    if options.steps < 0:
        raise InputError("There cannot be less than no steps", where="--steps", fix="Give 0 or more")
    if not options.size_mb > 0:
        raise InputError("A page takes some space", where="--size-mb", fix="Give a number above 0")
    parse_colour(options.background)


def _bake(source: Source, options: WebOptions) -> _Baked:
    field, generator = source.field, torch.Generator().manual_seed(options.seed)
    cameras = source.cameras.to("cpu")
    everywhere = is_everywhere(source)
    bounds = source.scene.bounds.detach().cpu().double().numpy()
    box = torch.from_numpy(bounds if everywhere else content_box(field, bounds))
    space = find_space(field, cameras, everywhere, box, source.scene.near)
    limit = None if source.scene.unbounded else box
    rays = TrainingRays(cameras, space, generator)
    survey = Survey(field, space, rays, limit)
    terms = _TERMS[1 if options.degree is None else options.degree]
    voxels, scores, which, directions = _find_points(source, options, survey, field, terms)
    chosen = scores > _threshold(scores, options, terms)
    voxels = _coloured(voxels, chosen, which, directions, field, space, terms)
    scores = scores[chosen]
    march = March(space)
    voxels = _refined(source, options, voxels, march, generator)
    return _fitted(source, options, voxels, scores, space)


def _find_points(
    source: Source, options: WebOptions, survey: Survey, field: Field, terms: int
) -> tuple[Voxels, np.ndarray, np.ndarray, np.ndarray]:
    """Survey the field at a resolution at which what is seen fits: points, scores, and who sees them how."""
    cells = _first_resolution(options, survey, field)
    budget = max(1e6 * options.size_mb - _FRAME_BYTES, 1.0)
    while True:
        need = _BYTES_OF_MEMORY * 60 * cells**2
        source.refuse_beyond_memory(need, f"A grid of {cells} cells a side", "--resolution")
        with source.counting("densities", 8) as on_level:
            voxels = survey.run(cells, _SURVEY_RAYS, on_level)
        if not len(voxels.keys):
            raise InputError(
                "The page would be empty: the training cameras see nothing in the scene",
                where=source.run.path,
                fix="Train for longer, or look at the run with sightline render",
            )
        origins, directions = survey.rays.draw(_SCORE_RAYS)
        scores, which = score(voxels, March(survey.space), origins, directions)
        wanted = _BYTES_OF_POINT[terms] * int((scores > _SEEN).sum())
        part = budget / max(wanted, 1.0)
        if options.resolution is not None or part > 0.7:
            return voxels, scores, which, directions
        # What is seen are surfaces: their points grow with the square.
        cells = whole_blocks(cells * min(part**0.5, 0.8))
        if cells < _LEAST_CELLS:
            raise _too_small(options, _FRAME_BYTES + wanted * (_LEAST_CELLS / voxels.cells) ** 2)


def _first_resolution(options: WebOptions, survey: Survey, field: Field) -> int:
    if options.resolution is not None:
        return whole_blocks(options.resolution)
    points = torch.rand(1 << 14, 3) * 2 - 1
    points = survey.space.to_model.inverse().apply(points.double()).float()
    field.density(points)
    started = time.perf_counter()
    field.density(points)
    speed = len(points) / max(time.perf_counter() - started, 1e-6)
    affordable = (max(speed * _SECONDS, 1e5) / _ASKED_PER_SQUARE) ** 0.5
    useful = survey.space.finest_useful(survey.rays.cameras)
    return whole_blocks(max(_LEAST_CELLS, min(useful, affordable, _MOST_CELLS)))


def _too_small(options: WebOptions, need: float) -> InputError:
    least = 1.02 * need / 1e6
    where = "" if options.resolution is None else " at this resolution"
    return InputError(
        f"Nothing of this scene fits into {options.size_mb:g} MB: it takes {least:.2g} MB at least{where}",
        where="--size-mb",
        fix=f"Give {least:.2g} or more",
    )


def _threshold(scores: np.ndarray, options: WebOptions, terms: int) -> float:
    """Weight from which points are kept: what is seen, or less of it where that does not fit."""
    most = max(1, int(1e6 * options.size_mb / (0.8 * _BYTES_OF_POINT[terms])))
    if int((scores > _SEEN).sum()) <= most:
        return _SEEN
    return float(np.partition(scores, len(scores) - most)[len(scores) - most])


def _coloured(
    voxels: Voxels,
    chosen: np.ndarray,
    which: np.ndarray,
    directions: np.ndarray,
    field: Field,
    space: Space,
    terms: int,
) -> Voxels:
    """Points with the colours in which the ray that sees most of each sees them."""
    keys, values = voxels.keys[chosen], voxels.values[chosen].copy()
    points, _ = space.points(torch.from_numpy(key_places(keys, voxels.cells)).double(), voxels.cells)
    ways = torch.from_numpy(directions[which[chosen]]).double()
    ways = space.to_model.inverse().apply_directions(ways)
    values[:, 1:] = field.radiance(points.float(), ways.float()).numpy()
    return build(voxels.cells, keys, values, terms).filled()


def _refined(
    source: Source, options: WebOptions, voxels: Voxels, march: March, generator: torch.Generator
) -> Voxels:
    wanted = choose_pictures(source, options.refine)
    if wanted == "none" or options.steps == 0:
        return voxels
    try:
        pictures = photos(source) if wanted == "photos" else None
    except InputError as error:
        if options.refine == "photos":
            raise
        warn(f"The page is refined against the field's own pictures: {error}")
        pictures = None
    if pictures is None:
        with source.counting("pictures", len(source.cameras)) as on_view:
            pictures = field_pictures(source, on_view)
    batches = Batches(pictures, march.space, generator)
    # Not more than a quarter of what there is, or every step is the same.
    rays = min(_STEP_RAYS, max(1, len(batches.colours) // 4))
    with source.counting("refining", options.steps) as on_step:
        return refine(voxels, march, batches, options.steps, rays, lambda done, _: on_step(done))


def _fitted(source: Source, options: WebOptions, voxels: Voxels, scores: np.ndarray, space: Space) -> _Baked:
    """Pack, and leave out what is seen least until the page is within its size."""
    has_background = getattr(source.scene, "has_background", True)
    behind = parse_colour(options.background) if has_background else (0.0, 0.0, 0.0)
    name = source.run.path.resolve().name
    while True:
        shown, _ = quantised(voxels)
        views = choose_views(source, shown, space)
        packed = pack(voxels)
        still = still_picture(picture(shown, March(space), _still_camera(views), 0, behind))
        page = page_bytes(name, scene_facts(space, voxels, packed, views, behind), packed, still)
        excess = len(page) - 1e6 * options.size_mb
        if excess <= 0:
            return _Baked(space, voxels, scores, packed, views, page)
        held = 1.1875 * packed.size
        part = 1 - excess / held - 0.02
        if part < 0.1:
            raise _too_small(options, 0.15 * held + len(page) - held)
        kept = scores >= np.quantile(scores, 1 - part)
        voxels, scores = voxels.kept(kept), scores[kept]


def _still_camera(views: Views):
    camera = views.cameras[views.opening]
    width, height = int(camera.width[0]), int(camera.height[0])
    part = min(1.0, 800 / max(width, height))
    return camera.resized(max(1, round(part * width)), max(1, round(part * height)))
