"""Validation while training on many objects: a few fixed ones, seen from sources, rendered from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from sightline.captures import Capture, Collection
from sightline.captures.source_views import open_split, spread
from sightline.methods.base import Method
from sightline.methods.pictures import PictureRenderer
from sightline.training.validation import (
    COST_SHARE,
    FIRST_AFTER,
    LEAST_PIXELS,
    Scheduled,
    ValidationView,
    choose_views,
    picture_psnr,
    prepare_view,
)
from sightline.training.validation_sheet import ShownView, draw_views

MOST_CASES = 4
MOST_PIXELS = MOST_CASES * 128 * 128
_LISTED_SPLITS = ("val", "test")
_SHOWN_SOURCES = 3
_FIXED_COST = 2.0
"""a picture of four times the pixels that takes less than this many times as long is made at full size"""


@dataclass(frozen=True)
class ValidationCase:
    """An object that is not trained on, the views that show it, and the one that is rendered."""

    name: str
    capture: Capture
    sources: tuple[int, ...]
    target: int


@dataclass
class ObjectValidator(Scheduled):
    """Renders one view of up to four held-out objects from their source views.

    The number of pixels is settled at the first validation: full size where the time of a picture hardly
    depends on its size, else what fits into the time that validations may cost.
    """

    cases: Sequence[ValidationCase]
    _views: list[tuple[ValidationView, list[ValidationView]]] = field(default_factory=list)

    def _has_views(self) -> bool:
        return bool(self.cases)

    def _render(self, method: Method) -> tuple[float, dict[str, float], np.ndarray]:
        if self.pixels is None:
            self.pixels = self._settle(method)
        if not self._views:
            share = self.pixels / len(self.cases)
            self._views = [_prepare(case, share) for case in self.cases]
        per_view, shown = {}, []
        for case, (view, sources) in zip(self.cases, self._views, strict=True):
            rendering = self._renderer(method, case)(view.camera)
            psnr = picture_psnr(rendering.rgb.float().cpu().clamp(0, 1), view.truth, view.kept)
            name = f"{case.name}/{view.name}"
            per_view[name] = psnr
            pictures = [source.truth for source in sources]
            shown.append(ShownView.of(name, psnr, view.truth, rendering, pictures))
        return sum(per_view.values()) / len(per_view), per_view, draw_views(shown)

    def _renderer(self, method: Method, case: ValidationCase) -> PictureRenderer:
        painted = case.capture.background == "black" and case.capture.images.channels != 4
        background = torch.zeros(3, device=next(method.parameters()).device) if painted else None
        scene = method.encode(case.capture.subset(case.sources))
        return PictureRenderer(method, scene, background=background, chunk=self.chunk)

    def _settle(self, method: Method) -> int:
        """Choose how many pixels to render, from how long two small pictures take."""
        if self.every is not None:
            return MOST_PIXELS
        case = self.cases[0]
        render = self._renderer(method, case)
        small, large = (prepare_view(case.capture, case.target, n * LEAST_PIXELS) for n in (1, 4))
        render(small.camera)
        times = []
        for view in (small, large):
            started = self.clock()
            render(view.camera)
            times.append(self.clock() - started)
        if times[1] < _FIXED_COST * times[0]:
            return MOST_PIXELS
        rate = large.kept.numel() / max(times[1], 1e-6)
        return int(min(MOST_PIXELS, max(LEAST_PIXELS, rate * COST_SHARE * FIRST_AFTER)))


def choose_cases(collection: Collection, usual_sources: int | None) -> list[ValidationCase]:
    """Choose objects of the split `val`, else of `test`, evenly spread; empty where both hold none.

    Sources are evenly spread over the views of an object, or its training views where a method takes all of
    them; the target is another view, at another place of the list for each object. Of an object that is
    trained on too, sources are training views, and the target is one that is held out, where there are such.

    Args:
        usual_sources: how many views show an object; None for all its training views.
    """
    split = next((name for name in _LISTED_SPLITS if collection.splits.get(name)), None)
    if split is None:
        return []
    members = collection.split(split)
    cases = []
    chosen = [members[k] for k in spread(len(members), min(MOST_CASES, len(members)))]
    for number, entry in enumerate(chosen):
        capture = open_split(entry, split) if usual_sources is not None else entry.open()
        held_out = _held_out(capture) if entry.id in collection.splits.get("train", ()) else ()
        if held_out and usual_sources is not None:
            members = capture.splits["train"]
            sources = tuple(members[k] for k in spread(len(members), min(usual_sources, len(members))))
        else:
            sources = _sources(capture, usual_sources)
        targets = [index for index in held_out or range(len(capture)) if index not in sources]
        if sources and targets:
            target = targets[spread(len(targets), len(chosen))[number]]
            cases.append(ValidationCase(entry.id, capture, sources, target))
    return cases


def cases_of_scene(capture: Capture, usual_sources: int) -> list[ValidationCase]:
    """Choose up to four held-out views of one scene, all seen from the same training views.

    Args:
        usual_sources: how many training views show it, evenly spread.
    """
    members = capture.splits.get("train", ())
    if not members:
        return []
    sources = tuple(members[k] for k in spread(len(members), min(usual_sources, len(members))))
    targets = [index for index in choose_views(capture) if index not in sources]
    return [ValidationCase(capture.name, capture, sources, target) for target in targets]


def _held_out(capture: Capture) -> tuple[int, ...]:
    """Give the views that are for validation or testing, where others are for training."""
    training = set(capture.splits.get("train", ()))
    held = {index for split in _LISTED_SPLITS for index in capture.splits.get(split, ())} - training
    return tuple(sorted(held)) if training else ()


def _sources(capture: Capture, usual: int | None) -> tuple[int, ...]:
    if usual is None:
        return capture.splits.get("train", ())
    return spread(len(capture), min(usual, len(capture) - 1))


def _prepare(case: ValidationCase, pixels: float) -> tuple[ValidationView, list[ValidationView]]:
    shown = case.sources[:_SHOWN_SOURCES]
    return prepare_view(case.capture, case.target, pixels), [
        prepare_view(case.capture, index, pixels) for index in shown
    ]
