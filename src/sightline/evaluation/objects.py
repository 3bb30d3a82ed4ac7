"""Evaluation of a method that generalises: object by object, from source views to every other view.

Each finished object is one file on disk, so an evaluation that was stopped goes on where it was, and
thousands of objects need the memory of one.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sightline.captures import Capture, CollectionObject
from sightline.evaluation.baselines import Baselines
from sightline.evaluation.cases import CaseRule
from sightline.evaluation.evaluate import Render, put_together
from sightline.evaluation.judging import Judge
from sightline.evaluation.object_pictures import ObjectPictures, PicturePlan, write_contact_sheet
from sightline.evaluation.protocols import DEFAULT_PROTOCOL, get_protocol
from sightline.evaluation.results import Evaluation, SubjectResult, write_results
from sightline.evaluation.saved_pictures import SavedPictures
from sightline.evaluation.scene_baselines import SceneBaselines
from sightline.evaluation.store import ResultStore
from sightline.evaluation.tally import Tally
from sightline.evaluation.views import Background, Subject, background_for
from sightline.foundation.errors import inform, warn
from sightline.metrics.lpips import Lpips

Encode = Callable[[Capture, Background], Render]
"""source views, and the colour behind what is transparent → what renders cameras of that object"""


@dataclass(frozen=True)
class ObjectEvaluation:
    """What is evaluated, and how.

    The scores follow from these and from `settings`, which the folder of results remembers.
    """

    entries: Sequence[CollectionObject]
    rule: CaseRule
    method: str
    data: str
    split: str
    baselines: Baselines | SceneBaselines
    protocol: str = DEFAULT_PROTOCOL
    background: str | None = None
    most_sources: int | None = None
    """how many source views the method takes; None for any number"""
    settings: Mapping[str, Any] | None = None
    """further JSON values that decide the scores: the weights, how the data was opened"""
    facts: Mapping[str, Any] | None = None
    """further JSON values to tell beside the scores"""

    @property
    def all_settings(self) -> dict[str, Any]:
        """JSON values that decide the scores."""
        return {
            "method": self.method,
            "data": Path(self.data).name,
            "split": self.split,
            "objects": [entry.id for entry in self.entries],
            "sources": self.rule.sources.settings,
            "every": self.rule.every,
            "approximate": self.rule.approximate,
            "protocol": self.protocol,
            "background": self.background,
            **(self.settings or {}),
        }


@dataclass(frozen=True)
class Share:
    """The objects that one of several processes judges."""

    number: int
    """of the process, from 0"""
    processes: int
    """how many there are; 0 judges nothing, and only makes the folder of results ready"""

    def has(self, index: int) -> bool:
        """Whether the object of this index is in it."""
        return self.processes > 0 and index % self.processes == self.number


def evaluate_objects(
    encode: Encode,
    evaluation: ObjectEvaluation,
    out: Path,
    *,
    device: str = "cpu",
    save_to: Path | None = None,
    on_progress: Callable[[float], None] | None = None,
    share: Share | None = None,
) -> Evaluation:
    """Show a method the source views of each object and judge its pictures of the others.

    Args:
        encode: makes what renders an object from its source views.
        out: folder for metrics.json, per_view.csv, objects/, images, panels, contact_sheet.png and the
            protocol's own files. What is in it with the same settings is not done again.
        device: where `encode` and rendering work; the metrics are computed there too if it is a CUDA device.
        save_to: folder for the pictures of all views, OBJECT/VIEW.png; of objects that are finished and whose
            pictures are not all there, they are rendered again.
        on_progress: called after each view with the number of objects done, the part of the one at hand
            included.
        share: judge these objects alone, and write no summary: what comes back then holds the number of
            objects only.

    Raises:
        InputError: unknown views or protocol, no view to predict, a rendering of another size.
        RunError: the results cannot be written; what was finished before is kept.
    """
    started = time.perf_counter()
    rules = get_protocol(evaluation.protocol)
    metric_device = torch.device(device if device.startswith("cuda") else "cpu")
    lpips, reason = rules.load_lpips() if "lpips" in rules.metrics else (None, None)
    if reason:
        warn(f"LPIPS is left out. {reason}")
    settings = {**evaluation.all_settings, "lpips": lpips is not None}
    saved = None if save_to is None else SavedPictures(save_to, settings, Path(evaluation.data))
    store = ResultStore(out, settings, [entry.id for entry in evaluation.entries], rules)
    if share is None and store.finished() == len(evaluation.entries) and saved is None:
        inform(f"All objects are finished in {out}. To score them again, remove that folder")
    judge = Judge(
        rules, lpips.to(metric_device) if lpips else None, metric_device, None, predictions=store.own_files
    )
    plan = PicturePlan(len(evaluation.entries))
    for done, entry in enumerate(evaluation.entries, start=1):
        name = store.names[entry.id]
        finished = store.has(entry.id) and (saved is None or saved.has(name, store.read(entry.id)))
        if not finished and (share is None or share.has(done - 1)):
            pictures = ObjectPictures(out, name, plan.views_of(done - 1), saved)
            told = None if on_progress is None else partial(_tell_part, on_progress, done - 1)
            found = _judge_object(judge, encode, evaluation, entry, pictures, name, told)
            store.write(found)
        if on_progress:
            on_progress(done)
    if share is not None:
        return Evaluation({"objects": len(evaluation.entries)}, out)
    return _conclude(evaluation, store, lpips, reason, time.perf_counter() - started, device)


def _judge_object(
    judge: Judge,
    encode: Encode,
    evaluation: ObjectEvaluation,
    entry: CollectionObject,
    pictures: ObjectPictures,
    place: str,
    on_part: Callable[[float], None] | None,
) -> SubjectResult:
    capture = entry.open()
    behind = background_for(capture, evaluation.background)
    cases = evaluation.rule.cases(entry, capture, judge.protocol, evaluation.most_sources)
    count = sum(len(case.targets) for case in cases)
    result = SubjectResult(entry.id, entry.category, [])
    for case in cases:
        render = encode(capture.subset(case.sources), behind)
        folder = f"{place}/from_{case.sources[0]}" if len(cases) > 1 else place
        subject = Subject(
            capture=capture,
            indices=case.targets,
            predict=lambda index, render=render: render(capture.cameras[index]).rgb,
            name=entry.id,
            category=entry.category,
            baselines=evaluation.baselines.of(entry.id, capture, case.sources, behind),
            sources=case.sources,
            place=folder,
        )
        pictures.begin(capture, case, behind, share=len(cases))
        for view in replace(judge, writer=pictures).judge(subject, behind):
            result.views.append(view)
            if on_part:
                on_part(len(result.views) / count)
    return result


def _tell_part(on_progress: Callable[[float], None], done: int, part: float) -> None:
    on_progress(done + part)


def _conclude(
    evaluation: ObjectEvaluation,
    store: ResultStore,
    lpips: Lpips | None,
    reason: str | None,
    seconds: float,
    device: str,
) -> Evaluation:
    rules = store.protocol
    tally = Tally(rules, reason)
    means = [(store.names[result.name or ""], tally.add(result)) for result in store.read_all()]
    groups = sorted(tally.by_category().items(), key=lambda item: min(name for name, _ in item[1]))
    rules.write_summary(
        store.own_files, means, {category: [s for _, s in members] for category, members in groups}
    )
    training = evaluation.baselines.training
    first = evaluation.entries[0].open()
    metrics = put_together(
        tally,
        method=evaluation.method,
        data=evaluation.data,
        split=evaluation.split,
        background=background_for(first, evaluation.background).name,
        lpips=lpips,
        unavailable=evaluation.baselines.unavailable,
        facts={
            "objects": len(evaluation.entries),
            "sources": evaluation.rule.sources.settings,
            "every": evaluation.rule.every,
            "approximate": evaluation.rule.approximate,
            **({} if training is None else {"training_objects": training.total}),
            **(evaluation.facts or {}),
            "data_facts": _plain(first.extras),
        },
        seconds=seconds,
        device=device,
    )
    write_contact_sheet(store, evaluation.entries, evaluation.background)
    write_results(store.folder, metrics, store.read_all(), rules)
    return Evaluation(metrics, store.folder)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the data says of itself (its unit of angles, say): texts and finite numbers."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
    }
