"""The held-out views that a report shows: saved by evaluations, or rendered for it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sightline.evaluation.pictures import ERROR_SCALE
from sightline.evaluation.saved_views import SavedEvaluation, SavedView, read_pictures
from sightline.evaluation.training_pictures import thin
from sightline.foundation.errors import SightlineError, inform
from sightline.media.colour import colour_depth, colour_error, depth_range
from sightline.media.images import to_float
from sightline.media.panels import shrink_to_width
from sightline.workflows.report_facts import RunFacts
from sightline.workflows.report_rendering import RenderedView, depth_of_views, render_views
from sightline.workflows.scenes import Device

Key = tuple[str | None, str]
"""object, or None for a single scene, and name of the view"""


@dataclass(frozen=True)
class ReportView:
    """One view as it is shown; pictures are uint8 (height, width, 3)."""

    key: Key
    scores: Mapping[str, float | None]
    prediction: np.ndarray
    truth: np.ndarray | None = None
    error: np.ndarray | None = None
    depth: np.ndarray | None = None
    sources: tuple[np.ndarray, ...] = ()
    source_count: int = 0
    """how many there are, of which some are shown"""

    @property
    def title(self) -> str:
        """Object and name."""
        object, name = self.key
        return name if object is None or name.startswith(f"{object}/") else f"{object}: {name}"


@dataclass(frozen=True)
class ReportViews:
    """The views of a run, and where they come from."""

    views: tuple[ReportView, ...] = ()
    notes: tuple[str, ...] = ()
    """sentences: where the pictures are from, what is missing and why"""
    depth_ends: tuple[float, float] | None = None
    """depths that are shown in red and in blue, in the units of the data"""
    evaluation: SavedEvaluation | None = None
    """whose pictures they are; None where they were rendered for the report"""


@dataclass(frozen=True)
class ViewChoice:
    """Which views to show, and what may be done for it."""

    count: int = 6
    keys: tuple[Key, ...] | None = None
    """these, where it is settled already"""
    data_name: str | None = None
    """name of the data that they are of: other data may have views of the same names"""
    render: bool = True
    """whether pictures that are not saved are rendered"""
    depth: bool = True
    data: str | None = None
    """where the data is, if not at its recorded place"""
    device: Device = "auto"


def collect_views(facts: RunFacts, choice: ViewChoice) -> ReportViews:
    """Collect pictures of held-out views, of saved ones where there are any, else rendered now.

    Nothing that goes wrong with a picture ends the report: the notes say what is missing.
    """
    if choice.count < 1:
        return ReportViews()
    for evaluation in facts.evaluations:
        if choice.data_name is not None and evaluation.data_name != choice.data_name:
            continue
        saved = evaluation.views()
        if choice.keys is not None:
            wanted = set(choice.keys)
            saved = [view for view in saved if view.key in wanted]
        if saved:
            return _saved(facts, evaluation, thin(saved, choice.count), choice)
    if not choice.render:
        return ReportViews(notes=("No evaluation has saved pictures, and nothing was rendered.",))
    if not facts.has_weights:
        return ReportViews(notes=("There are no weights yet, so there is nothing to show.",))
    if choice.data_name is not None and choice.data is None and facts.data_folder != choice.data_name:
        told = f"The run is of other data: {facts.data_folder or 'unknown'}, not {choice.data_name}."
        return ReportViews(notes=(told,))
    try:
        rendered = render_views(facts, choice.count, choice.keys, data=choice.data, device=choice.device)
    except SightlineError as error:
        return ReportViews(notes=(f"No views could be rendered. {error}",))
    return _with_depth([_of_rendered(view) for view in rendered.views], rendered.depths, rendered.notes)


def _saved(
    facts: RunFacts, evaluation: SavedEvaluation, chosen: Sequence[SavedView], choice: ViewChoice
) -> ReportViews:
    views, kept = [], []
    for saved in chosen:
        found = read_pictures(saved)
        if found is not None:
            count = len(saved.entry.get("sources") or ())
            views.append(_view(saved.key, saved.entry, found.prediction, found.truth, found.sources, count))
            kept.append(saved)
    notes = [f"Pictures of the evaluation {evaluation.name}: {len(views)} of {evaluation.metrics['views']}."]
    if any(view.truth is None for view in views):
        notes.append("Of some, no picture of the truth was saved.")
    depths: list[np.ndarray | None] = [None] * len(kept)
    if choice.depth and choice.render and facts.has_weights and kept:
        inform("Rendering depth")
        try:
            depths, told = depth_of_views(facts, evaluation, kept, data=choice.data, device=choice.device)
            notes += told
        except SightlineError as error:
            notes.append(f"Depth could not be rendered. {error}")
    return replace(_with_depth(views, depths, notes), evaluation=evaluation)


def _of_rendered(view: RenderedView) -> ReportView:
    return _view(view.key, view.scores, view.prediction, view.truth, view.sources, view.source_count)


def _view(
    key: Key,
    scores: Mapping[str, Any],
    prediction: np.ndarray,
    truth: np.ndarray | None,
    sources: Sequence[np.ndarray] = (),
    count: int = 0,
) -> ReportView:
    named = {name: scores.get(name) for name in ("psnr", "ssim", "lpips")}
    if scores.get("identical"):
        named["psnr"] = math.inf
    error = None
    if truth is not None:
        small = shrink_to_width(prediction, truth.shape[1])
        if small.shape == truth.shape:
            error = colour_error(to_float(small), to_float(truth), ERROR_SCALE)
    return ReportView(
        key, named, prediction, truth, error, sources=tuple(sources), source_count=max(count, len(sources))
    )


def _with_depth(
    views: Sequence[ReportView], depths: Sequence[np.ndarray | None], notes: Sequence[str]
) -> ReportViews:
    """Colour depths by one range for all views."""
    known = [depth.ravel() for depth in depths if depth is not None]
    limits = depth_range(np.concatenate(known)) if known else None
    coloured = [
        view if depth is None else replace(view, depth=colour_depth(depth, limits))
        for view, depth in zip(views, depths, strict=True)
    ]
    return ReportViews(tuple(coloured), tuple(notes), limits)


def choose_common(runs: Sequence[RunFacts], choice: ViewChoice) -> ViewChoice:
    """Settle on saved views that most of the runs have, spread evenly; no change where none is saved."""
    counts: dict[tuple[str, Key], int] = {}
    for facts in runs:
        # Of several evaluations of the same view, it counts once.
        seen = {(e.data_name, view.key): None for e in facts.evaluations for view in e.views()}
        for found in seen:
            counts[found] = counts.get(found, 0) + 1
    if not counts:
        return choice
    most = max(counts.values())
    data_name = next(name for (name, _), n in counts.items() if n == most)
    keys = [key for (name, key), n in counts.items() if n == most and name == data_name]
    return replace(choice, keys=tuple(thin(keys, choice.count)), data_name=data_name)
