"""Adding up what was found, object by object, so that thousands of objects need little memory."""

import math
from array import array
from collections.abc import Mapping
from typing import Any

from sightline.evaluation.protocols import Protocol, Scores
from sightline.evaluation.results import SubjectResult, ViewResult

MOST_LISTED = 20_000
"""views at most that `metrics.json` lists; `per_view.csv` has all of them"""


class Tally:
    """Scores of many objects: means over the views of each, then over the objects.

    What is kept is a few numbers per view and one entry per object.
    """

    def __init__(self, protocol: Protocol, lpips_reason: str | None = None):
        self.protocol = protocol
        self.reasons = {"lpips": lpips_reason} if lpips_reason else {}
        self.views = 0
        self.seconds = 0.0
        self.broken: list[int] = []
        self._finite = {metric: array("d") for metric in protocol.metrics}
        self._infinite = dict.fromkeys(protocol.metrics, 0)
        self._undefined = dict.fromkeys(protocol.metrics, 0)
        self._objects: list[tuple[SubjectResult, int, Scores]] = []
        self._baselines: dict[str, list[Scores]] = {}
        self._listed: list[dict[str, Any]] | None = []
        self._fitted: list[Scores] = []

    def add(self, subject: SubjectResult) -> Scores:
        """Count an object; gives its means. Its views are not kept."""
        means = self.protocol.average([view.scores for view in subject.views])
        for view in subject.views:
            self._count(subject, view)
        fitted = [view.fitted for view in subject.views if view.fitted is not None]
        if fitted:
            self._fitted.append(self.protocol.average(fitted))
        for name, scores in subject_baselines(subject, self.protocol).items():
            self._baselines.setdefault(name, []).append(scores)
        self._objects.append(
            (SubjectResult(subject.name, subject.category, []), len(subject.views), means),
        )
        return means

    def means(self) -> Scores:
        """The scores over all objects."""
        return self.protocol.average([means for _, _, means in self._objects])

    def by_category(self) -> dict[str, list[tuple[str, Scores]]]:
        """The objects of each category, with their means; only those that have one."""
        groups: dict[str, list[tuple[str, Scores]]] = {}
        for subject, _, means in self._objects:
            if subject.category is not None:
                groups.setdefault(subject.category, []).append((subject.name or "", means))
        return groups

    def summary(self, unavailable: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Put together the scores of `metrics.json`.

        An infinite PSNR is null, with the reason, the number of `identical_views` and the mean over the
        others.

        Args:
            unavailable: baselines that could not be made → why.
        """
        found = self._explained()
        if self._fitted:
            found |= self._of_fitted(self.protocol.average(self._fitted))
        found["views"] = self.views
        found["per_view"] = self._listed
        if self._listed is None:
            found["per_view_reason"] = f"{self.views} views are listed in per_view.csv"
        if any(subject.name is not None for subject, _, _ in self._objects):
            found["per_object"] = [
                {"object": subject.name, "category": subject.category, "views": count, **self._shown(means)}
                for subject, count, means in self._objects
            ]
            found["per_category"] = [
                {
                    "category": category,
                    "objects": len(members),
                    **self._shown(self.protocol.average([means for _, means in members])),
                }
                for category, members in sorted(self.by_category().items())
            ]
        found["baselines"] = {
            name: self._baseline(self.protocol.average(scores)) for name, scores in self._baselines.items()
        } | {
            name: {**dict.fromkeys(self.protocol.metrics), "reason": reason}
            for name, reason in (unavailable or {}).items()
        }
        return found

    def _count(self, subject: SubjectResult, view: ViewResult) -> None:
        self.views += 1
        self.seconds += view.seconds
        if view.broken_pixels:
            self.broken.append(view.broken_pixels)
        for metric in self.protocol.metrics:
            value = view.scores[metric]
            if value is None:
                self._undefined[metric] += 1
            elif math.isinf(value):
                self._infinite[metric] += 1
            else:
                self._finite[metric].append(value)
        if self._listed is not None:
            self._listed.append(self._view_entry(subject, view))
            if len(self._listed) > MOST_LISTED:
                self._listed = None

    def _explained(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        means = self._shown(self.means())
        for metric in self.protocol.metrics:
            rest, infinite = self._finite[metric], self._infinite[metric]
            found[metric] = means[metric]
            if metric in self.reasons:
                found[f"{metric}_reason"] = self.reasons[metric]
            elif infinite:
                found["identical_views"] = infinite
                found[f"{metric}_reason"] = (
                    f"infinite: {infinite} of {self.views} predictions are identical to the truth"
                )
                found[f"{metric}_of_other_views"] = math.fsum(rest) / len(rest) if rest else None
            elif self._undefined[metric]:
                found[f"{metric}_reason"] = f"not defined for {self._undefined[metric]} of {self.views} views"
        return found

    def _view_entry(self, subject: SubjectResult, view: ViewResult) -> dict[str, Any]:
        entry: dict[str, Any] = {} if subject.name is None else {"object": subject.name}
        entry |= {"index": view.index, "name": view.name}
        if view.sources is not None:
            entry["sources"] = list(view.sources)
        entry |= self._shown(view.scores)
        entry |= {} if view.fitted is None else self._of_fitted(view.fitted)
        entry |= {"seconds": round(view.seconds, 4)}
        if math.inf in view.scores.values():
            entry["identical"] = True
        if view.broken_pixels:
            entry["broken_pixels"] = view.broken_pixels
        return entry

    def _baseline(self, means: Scores) -> dict[str, Any]:
        found: dict[str, Any] = dict(self._shown(means))
        if math.inf in means.values():
            found["reason"] = "infinite: some of its pictures are identical to the truth"
        return found

    def _of_fitted(self, scores: Scores) -> Scores:
        return {f"{metric}_fitted": value for metric, value in self._shown(scores).items()}

    def _shown(self, scores: Scores) -> Scores:
        """The protocol's metrics, with None for what JSON cannot hold."""
        found = {metric: scores[metric] for metric in self.protocol.metrics}
        return {
            metric: None if value is None or not math.isfinite(value) else value
            for metric, value in found.items()
        }


def subject_baselines(subject: SubjectResult, protocol: Protocol) -> dict[str, Scores]:
    """Average the baselines over the views of an object."""
    names = dict.fromkeys(name for view in subject.views for name in view.baselines)
    found = {
        name: protocol.average([view.baselines[name] for view in subject.views if name in view.baselines])
        for name in names
    }
    return {**found, **subject.baselines}
