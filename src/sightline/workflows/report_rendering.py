"""Rendering for reports: held-out views where no evaluation has saved any, and depth beside saved ones."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.captures import Capture, Collection
from sightline.captures.source_views import open_split
from sightline.evaluation.cases import CaseRule
from sightline.evaluation.judging import Judge
from sightline.evaluation.protocols import DEFAULT_PROTOCOL, get_protocol
from sightline.evaluation.saved_views import SavedEvaluation, SavedView
from sightline.evaluation.training_pictures import thin
from sightline.evaluation.views import Subject, background_for, truth_picture
from sightline.foundation.errors import InputError, inform
from sightline.geometry import Cameras
from sightline.media.images import to_uint8
from sightline.methods.base import Rendering
from sightline.workflows.evaluate_many import SourceChoice, as_collection, choose_objects, trained_objects
from sightline.workflows.report_facts import RunFacts
from sightline.workflows.scenes import Device, LoadedScene, load_method

SECONDS = 60.0
"""that rendering may take, about: less is rendered where it would take longer"""
_PROBES = (1_500, 20_000)
"""pixels of the pictures that are timed first: a larger one where the small one took hardly any time"""
_NO_TIME = 0.25
"""seconds"""
_LEAST = 3000
"""pixels of a depth picture at least"""
_SHOWN_SOURCES = 3

Render = Callable[[Cameras], Rendering]


@dataclass(frozen=True)
class RenderedView:
    """A view that was rendered for the report; pictures are uint8 (height, width, 3)."""

    key: tuple[str | None, str]
    scores: dict[str, float | None]
    prediction: np.ndarray
    truth: np.ndarray | None
    sources: tuple[np.ndarray, ...] = ()
    """some of them"""
    source_count: int = 0


@dataclass(frozen=True)
class RenderedViews:
    """Views that were rendered, their depths (height, width) where there are any, and what is to be told."""

    views: list[RenderedView]
    depths: list[np.ndarray | None]
    notes: list[str]


@dataclass(frozen=True)
class _Target:
    """A view to render, and what shows it."""

    capture: Capture
    index: int
    object: str | None
    sources: tuple[int, ...] | None = None


def render_views(
    facts: RunFacts,
    count: int,
    keys: Sequence[tuple[str | None, str]] | None = None,
    *,
    data: str | None = None,
    device: Device = "auto",
) -> RenderedViews:
    """Render held-out views of a run with their truth, or from its recorded cameras where the data is gone.

    Args:
        count: how many; fewer where that would take much longer than `SECONDS`.
        keys: objects and names of the views; spread evenly where not given.
        data: where the data is, if not at its recorded place.

    Raises:
        InputError: nothing can be rendered, with the reason.
    """
    notes = []
    try:
        opened = facts.run.open_data(data)
    except InputError as error:
        opened = None
        missing = f"The truth is missing: {error.what[0].lower()}{error.what[1:]}"
        notes.append(f"{missing}. Views are rendered from the cameras that the run remembers.")
    many = facts.run.method_info.learns != "one scene"
    if opened is None and many:
        raise InputError(f"{missing}, and {facts.run.method_name} sees scenes from source views of the data")
    loader = _Loader(facts, device)
    split, targets = _many_targets(facts, opened, loader) if many else _own_targets(facts, opened)
    if len({target.object for target in targets}) == 1:
        # One object alone is a scene, whatever it is called: it stands beside those of other methods.
        targets = [replace(target, object=None) for target in targets]
    if keys is not None:
        wanted = set(keys)
        targets = [t for t in targets if (t.object, t.capture.image_names[t.index]) in wanted]
    targets = thin(targets, count)
    if not targets:
        raise InputError("The run has no such views")
    if split == "train":
        notes.append("No view was held out: these were trained on.")
    whole = len(targets)
    targets = loader.affordable(targets)
    inform(f"Rendering {len(targets)} views for the report")
    made = [loader.view(target, judged=opened is not None) for target in targets]
    if opened is not None:
        shown = "this view" if len(made) == 1 else f"these {len(made)} views"
        were = "was" if len(made) == 1 else "were"
        notes.append(
            f"No evaluation has saved pictures: {shown} of the split {split} {were} rendered and compared "
            "for this report. Scores of all: sightline eval."
        )
    if len(made) < whole:
        notes.append(f"Rendering is slow here, so that only {len(made)} of {whole} are shown.")
    return RenderedViews([view for view, _ in made], [depth for _, depth in made], notes)


def depth_of_views(
    facts: RunFacts,
    evaluation: SavedEvaluation,
    views: Sequence[SavedView],
    *,
    data: str | None = None,
    device: Device = "auto",
) -> tuple[list[np.ndarray | None], list[str]]:
    """Render the depth of views of an evaluation, smaller where that would take longer than `SECONDS`.

    Returns:
        Depths (height, width), None where there is none, and sentences to tell.

    Raises:
        InputError: the run cannot be loaded, or a method that needs source views lacks its data.
    """
    loader = _Loader(facts, device, best="best" in evaluation.name.split("-"))
    nothing: list[np.ndarray | None] = [None] * len(views)
    if facts.run.method_info.learns == "one scene":
        own = evaluation.data_name in (facts.data_folder, facts.data_name)
        capture = facts.capture if own else None
        if capture is None or not loader.scene(None, ()).scene.capabilities & {"depth"}:
            return nothing, []
        targets = [_target_of(capture, view) for view in views]
    else:
        targets = list(_object_targets(facts, evaluation, views, data))
        if not loader.scene(*_seen(targets)).scene.capabilities & {"depth"}:
            return nothing, []
    sizes = [evaluation.size() or (1, 1)] * len(views)
    depths, smaller = loader.depths(targets, sizes)
    notes = ["Depth was rendered for this report" + (", in smaller pictures." if smaller else ".")]
    if any(target is None for target in targets):
        notes.append("Of views that the run does not remember there is no depth.")
    return depths, notes if any(depth is not None for depth in depths) else notes[1:]


def _target_of(capture: Capture, view: SavedView) -> _Target | None:
    """Find a view of an evaluation in a capture; None where it is another capture's."""
    index = view.entry.get("index")
    names = capture.image_names
    if not isinstance(index, int) or not 0 <= index < len(names) or names[index] != view.name:
        return None
    sources = view.entry.get("sources")
    return _Target(capture, index, view.object, None if sources is None else tuple(sources))


def _object_targets(
    facts: RunFacts, evaluation: SavedEvaluation, views: Sequence[SavedView], data: str | None
) -> Iterator[_Target | None]:
    place = Path(str(evaluation.metrics.get("data", "")))
    other = data or (str(place) if place.is_absolute() and place.exists() else None)
    split = str(evaluation.metrics["split"])
    found = facts.run.open_data(other)
    collection = as_collection(found, split)
    captures: dict[str | None, Capture] = {}
    for view in views:
        if view.object not in captures:
            entry = collection[str(view.object)]
            by_split = evaluation.metrics.get("sources", {}).get("split") is not None
            whole = by_split or not isinstance(found, Collection)
            captures[view.object] = entry.open() if whole else open_split(entry, split)
        yield _target_of(captures[view.object], view)


def _seen(targets: Sequence[_Target | None]) -> tuple[Capture | None, tuple[int, ...]]:
    first = next((target for target in targets if target is not None), None)
    if first is None:
        raise InputError("The data has none of the views that were evaluated")
    return first.capture, first.sources or ()


def _own_targets(facts: RunFacts, opened: Any) -> tuple[str, list[_Target]]:
    capture = facts.capture if opened is None else opened
    if not isinstance(capture, Capture):
        raise InputError(
            "The run does not know its cameras" if opened is None else "The data is not one scene",
            fix="Give the data with --data",
        )
    split = next((name for name in ("test", "val", "train") if capture.splits.get(name)), None)
    members = capture.splits[split] if split else range(len(capture))
    return split or "train", [_Target(capture, index, None) for index in members]


def _many_targets(facts: RunFacts, opened: Any, loader: "_Loader") -> tuple[str, list[_Target]]:
    """One view of each of some objects: the middle one of those that are not sources."""
    split = "test"
    if isinstance(opened, Collection):
        split = next((name for name in ("test", "val", "train") if opened.splits.get(name)), "test")
    collection = as_collection(opened, split)
    kind = facts.run.method_info.method_class()
    entries = choose_objects(collection, split, ())
    trained = trained_objects(facts.run, opened, collection, split, [entry.id for entry in entries])
    rule = CaseRule(SourceChoice().rule(kind.usual_sources), split=split, trained=trained)
    targets = []
    for entry in thin(entries, 12):
        if rule.sources.split is None and isinstance(opened, Collection):
            entry = replace(entry, open=partial(open_split, entry, split))
        capture = entry.open()
        case = rule.cases(entry, capture, get_protocol(DEFAULT_PROTOCOL), kind.most_sources)[0]
        count = 1 if len(entries) > 3 else 4
        middles = thin(case.targets, count) if count > 1 else [case.targets[len(case.targets) // 2]]
        targets += [_Target(capture, index, entry.id, case.sources) for index in middles]
    return split, targets


class _Loader:
    """The method with its weights, and the scenes that it has made, loaded when they are first needed."""

    def __init__(self, facts: RunFacts, device: Device, best: bool = False):
        self._method = load_method(facts.run, device=device, best=best)
        self._kept: tuple[object, LoadedScene] | None = None
        self._rate: float | None = None

    def scene(self, capture: Capture | None, sources: tuple[int, ...]) -> LoadedScene:
        """The scene that source views show; the method's own where there are none."""
        key = (id(capture), sources) if sources else None
        if self._kept is None or self._kept[0] != key:
            views = capture.subset(sources) if capture is not None and sources else None
            self._kept = (key, self._method.see(views))
        return self._kept[1]

    def _render(self, target: _Target) -> Render:
        behind = background_for(target.capture)
        return self.scene(target.capture, target.sources or ()).renderer(behind.colour)

    def rate(self, target: _Target) -> float:
        """Pixels a second, of a small picture, kernels being compiled."""
        if self._rate is None:
            render = self._render(target)
            for pixels in _PROBES:
                camera = _smaller(target.capture.cameras[target.index], pixels)
                render(camera)
                started = time.perf_counter()
                render(camera)
                seconds = time.perf_counter() - started
                self._rate = _pixels(camera) / max(seconds, 1e-6)
                if seconds > _NO_TIME:
                    break
        assert self._rate is not None
        return self._rate

    def affordable(self, targets: list[_Target]) -> list[_Target]:
        """Leave out views where all would take much longer than `SECONDS`."""
        pixels = sum(_pixels(target.capture.cameras[target.index]) for target in targets)
        seconds = pixels / self.rate(targets[0])
        most = max(1, int(len(targets) * SECONDS / max(seconds, 1e-6)))
        return thin(targets, min(len(targets), most))

    def view(self, target: _Target, *, judged: bool) -> tuple[RenderedView, np.ndarray | None]:
        """Render a view, compare it with the truth where there is one, and give its depth too."""
        capture, index = target.capture, target.index
        behind = background_for(capture)
        key = (target.object, capture.image_names[index])
        rendering = self._render(target)(capture.cameras[index])
        depth = None if rendering.depth is None else rendering.depth.float().cpu().numpy()
        picture = to_uint8(rendering.rgb.float().cpu().numpy())
        if not judged:
            return RenderedView(key, {}, picture, None), depth
        judge = Judge(get_protocol(DEFAULT_PROTOCOL), None, torch.device("cpu"), None)
        subject = Subject(capture=capture, indices=(index,), predict=lambda _: rendering.rgb)
        (result,) = judge.judge(subject, behind)
        truth = to_uint8(truth_picture(capture, index, behind).numpy())
        sources = [
            to_uint8(truth_picture(capture, source, behind).numpy())
            for source in (target.sources or ())[:_SHOWN_SOURCES]
        ]
        count = len(target.sources or ())
        return RenderedView(key, dict(result.scores), picture, truth, tuple(sources), count), depth

    def depths(
        self, targets: Sequence[_Target | None], sizes: Sequence[tuple[int, int]]
    ) -> tuple[list[np.ndarray | None], bool]:
        """Render depths at the sizes of pictures, or smaller; and whether they are smaller."""
        known = [target for target in targets if target is not None]
        if not known:
            return [None] * len(targets), False
        allowed = max(_LEAST, self.rate(known[0]) * SECONDS / 2 / len(known))
        found: list[np.ndarray | None] = []
        smaller = False
        for target, (width, height) in zip(targets, sizes, strict=True):
            if target is None:
                found.append(None)
                continue
            camera = target.capture.cameras[target.index].resized(width, height)
            smaller |= _pixels(camera) > allowed
            depth = self._render(target)(_smaller(camera, allowed)).depth
            found.append(None if depth is None else depth.float().cpu().numpy())
        return found, smaller


def _pixels(camera: Cameras) -> int:
    return int(camera.width[0]) * int(camera.height[0])


def _smaller(camera: Cameras, pixels: float) -> Cameras:
    factor = (_pixels(camera) / pixels) ** 0.5
    if factor <= 1:
        return camera
    width, height = int(camera.width[0]), int(camera.height[0])
    return camera.resized(max(1, round(width / factor)), max(1, round(height / factor)))
