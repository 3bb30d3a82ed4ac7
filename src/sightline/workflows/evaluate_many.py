"""Scoring a run of a method that generalises, on the objects of a collection or on one scene."""

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from sightline.captures import Capture, Collection, CollectionObject
from sightline.captures.source_views import (
    SourceRule,
    open_split,
    open_training_views,
    parse_sources,
    read_source_list,
)
from sightline.evaluation.baselines import Baselines
from sightline.evaluation.cases import CaseRule
from sightline.evaluation.evaluate import Render
from sightline.evaluation.objects import ObjectEvaluation, Share, evaluate_objects
from sightline.evaluation.protocols import DEFAULT_PROTOCOL, get_protocol
from sightline.evaluation.results import Evaluation
from sightline.evaluation.scene_baselines import SceneBaselines
from sightline.evaluation.training_pictures import TrainingPictures
from sightline.evaluation.views import Background, safe_name
from sightline.foundation.cache import sha256_of
from sightline.foundation.errors import InputError, inform
from sightline.runs.run import Run
from sightline.workflows.counting import counting
from sightline.workflows.scenes import Device, load_method

_LONGEST = 60


@dataclass(frozen=True)
class SourceChoice:
    """What the flags say of source views; at most one is given."""

    sources: str | None = None
    """numbers or names with commas, a split, or `each`"""
    num_sources: int | None = None
    source_list: Path | None = None

    def given(self) -> bool:
        """Whether anything is said."""
        return any(value is not None for value in (self.sources, self.num_sources, self.source_list))

    def rule(self, usual: int | None, protocol: str = DEFAULT_PROTOCOL) -> SourceRule:
        """Make the rule; where nothing is said, the protocol's, else what is usual for the method.

        Args:
            usual: number of views; None for all training views of an object.
        """
        if sum(value is not None for value in (self.sources, self.num_sources, self.source_list)) > 1:
            raise InputError(
                "The source views are given in several ways",
                where="--sources, --num-sources, --source-list",
                fix="Give one of them",
            )
        if self.source_list is not None:
            return SourceRule(listed=read_source_list(self.source_list))
        if self.num_sources is not None:
            return SourceRule(count=self.num_sources)
        said = self.sources or get_protocol(protocol).sources
        if said is not None:
            return parse_sources(said)
        return SourceRule(split="train") if usual is None else SourceRule(count=usual)


def made_with(run: Run, options: Mapping[str, Any], best: bool) -> dict[str, Any]:
    """What `metrics.json` says of the pictures' size and of the weights.

    Args:
        options: arguments of `open_capture` that replace the run's own.
    """
    downscale = options.get("downscale", run.record.data.options["downscale"])
    return {"downscale": float(downscale), "weights": "best" if best else "latest"}


def evaluate_many(
    run: Run,
    *,
    data: Path | str | None = None,
    data_options: Mapping[str, Any] | None = None,
    split: str = "test",
    choice: SourceChoice | None = None,
    objects: Sequence[str] = (),
    every: int = 1,
    approx: bool = False,
    protocol: str = DEFAULT_PROTOCOL,
    background: str | None = None,
    device: Device = "auto",
    best: bool = False,
    chunk: int | None = None,
    sampler: str | None = None,
    resize: bool = False,
    save_images: Path | None = None,
    share: Share | None = None,
) -> Evaluation:
    """Score each object of a split from its source views; results go to `eval/` in the run folder.

    The arguments are those of `evaluate_run`; `data_options` are the options of `open_capture` that replace
    recorded ones, `share` the objects of one of several processes.

    Raises:
        InputError: the data is gone, has no such split, object or view, or the run cannot be loaded.
    """
    choice = choice or SourceChoice()
    found = run.open_data(data, **(data_options or {}))
    opened = as_collection(found, split)
    entries = choose_objects(opened, split, objects)
    kind = run.method_info.method_class()
    nearest = choice.num_sources if kind.picks_nearest else None
    if nearest is not None:
        # So many of all views that there are, the nearest to each picture.
        choice = replace(choice, num_sources=None)
    trained = trained_objects(run, found, opened, split, [entry.id for entry in entries])
    rule = CaseRule(choice.rule(kind.usual_sources, protocol), every, approx, split, trained)
    if rule.sources.split is None and isinstance(found, Collection):
        entries = [replace(entry, open=partial(open_split, entry, split)) for entry in entries]
    # Before anything is loaded: a wrong view or list is told at once.
    for entry in entries[:1] if choice.source_list is None else entries:
        _check(entry, rule, protocol, kind.most_sources)
    # Only where it is so: results that were made before there was a choice stay valid.
    asked = {"resize": resize or None, "sampler": sampler, "num_sources": nearest}
    special = {name: value for name, value in asked.items() if value is not None}
    loaded = load_method(run, device=device, best=best, sampler=sampler, resize=resize)
    if nearest is not None:
        loaded.method.use_nearest(nearest)
    used = loaded.method.nearest
    evaluation = ObjectEvaluation(
        entries=entries,
        rule=rule,
        method=run.method_name,
        data=str(opened.path),
        split=split,
        baselines=_baselines(run, opened, data, background, {entry.id for entry in entries})
        if used is None
        else SceneBaselines(used),
        protocol=protocol,
        background=background,
        most_sources=kind.most_sources,
        settings={**_settings(run, opened, choice, best), **special},
        facts={**made_with(run, data_options or {}, best), **special},
    )

    def encode(views: Capture, behind: Background) -> Render:
        return loaded.see(views).renderer(behind.colour, chunk)

    parts = [_other_data(run, opened), sampler or "", f"nearest-{nearest}" if nearest is not None else ""]
    name = _folder_name(evaluation, best, parts, [entry.id for entry in entries] if objects else [])
    out = run.path / "eval" / name
    with counting("evaluating objects", len(entries)) as on_progress:
        return evaluate_objects(
            encode,
            evaluation,
            out,
            device=loaded.device,
            save_to=save_images,
            on_progress=on_progress,
            share=share,
        )


def as_collection(data: Capture | Collection, split: str) -> Collection:
    """Take one scene as a collection of one object, which is in that split alone."""
    if isinstance(data, Collection):
        return data
    entry = CollectionObject(data.name, data.format, lambda: data)
    return Collection(
        name=data.name,
        objects=[entry],
        splits={split: (entry.id,)},
        format=data.format,
        path=data.path,
        options=data.options,
    )


def choose_objects(collection: Collection, split: str, ids: Sequence[str]) -> list[CollectionObject]:
    """Give the objects of a split, or those of it that are named.

    Raises:
        InputError: no such split or object, or an object of another split.
    """
    members = collection.split(split)
    if not ids:
        return list(members)
    chosen = [collection[id] for id in dict.fromkeys(ids)]
    there = {entry.id for entry in members}
    for entry in chosen:
        if entry.id not in there:
            of = [name for name, listed in collection.splits.items() if entry.id in listed]
            raise InputError(
                f"The object {entry.id!r} is not in the split {split!r}",
                where="--objects",
                fix=f"Give --split {of[0]}" if of else "It is in no split",
            )
    return chosen


def _check(entry: CollectionObject, rule: CaseRule, protocol: str, most: int | None) -> None:
    if rule.sources.listed is not None:
        rule.sources.listed.views_of(entry)
        return
    rule.cases(entry, entry.open(), get_protocol(protocol), most)


def trained_objects(
    run: Run, data: Capture | Collection, opened: Collection, split: str, ids: Sequence[str]
) -> frozenset[str]:
    """Find which of the objects the run was trained on, so that only their held-out views may be judged.

    Args:
        data: what was opened; one scene may be what the run itself was trained on.
        opened: the same as a collection.
        ids: of the objects that are to be judged.
    """
    if isinstance(data, Capture) and _is_own(run, data, split):
        return frozenset(ids)
    return _trained_on(run, opened, split, ids)


def _trained_on(run: Run, opened: Collection, split: str, ids: Sequence[str]) -> frozenset[str]:
    """Find which of the objects the run was trained on, where their split does not say so."""
    record = run.collection_info()
    if record is None or split == "train" or record.name != opened.name:
        return frozenset()
    found = frozenset(ids) & frozenset(record.splits.get("train", ()))
    if found:
        inform(
            f"{len(found)} of the {len(ids)} objects were trained on: of those, only views that were held "
            "out are scored"
        )
    return found


def _is_own(run: Run, capture: Capture, split: str) -> bool:
    """Whether the run was trained on this scene, so that only what was held out may be judged."""
    try:
        own = run.record.data.locate(run.path).resolve() == capture.path.resolve()
    except InputError:
        return False
    own = own and split != "train" and bool(capture.splits.get(split)) and bool(capture.splits.get("train"))
    if own:
        inform("The scene was trained on: only views that were held out are scored")
    return own


def _baselines(
    run: Run, opened: Collection, data: Path | str | None, background: str | None, judged: Set[str]
) -> Baselines:
    """Take the training objects of the data, or of what the run was trained on."""

    def of(collection: Collection) -> Baselines:
        # Of an object that is judged too, views that are targets must not be shown.
        entries = [
            replace(entry, open=partial(open_training_views, entry)) if entry.id in judged else entry
            for entry in collection.split("train")
        ]
        return Baselines(TrainingPictures(entries, background))

    if opened.splits.get("train"):
        return of(opened)
    reason = f"{opened.path} has no training objects"
    if data is None:
        return Baselines(None, reason)
    try:
        trained = run.open_data()
    except InputError as error:
        return Baselines(None, f"{reason}, and the data that the run was trained on: {error.what}")
    if not isinstance(trained, Collection) or not trained.splits.get("train"):
        return Baselines(None, f"{reason}, nor has what the run was trained on")
    return of(trained)


def _settings(run: Run, opened: Collection, choice: SourceChoice, best: bool) -> dict[str, Any]:
    weights = run.best_weights_path if best else run.weights_path
    return {
        "weights": sha256_of(weights)[:16],
        "format": opened.format,
        "options": {name: str(value) for name, value in sorted(opened.options.items())},
        "list": None if choice.source_list is None else sha256_of(choice.source_list)[:16],
    }


def _other_data(run: Run, opened: Collection) -> str:
    """Name data that is not the run's own; empty where it is, wherever it lies now."""
    own = PurePath(run.record.data.path).name
    name = opened.path.resolve().name
    return "" if name == own else safe_name(name)[:_LONGEST]


def _folder_name(evaluation: ObjectEvaluation, best: bool, other: Sequence[str], named: Sequence[str]) -> str:
    """Name the folder of results after what is not as usual."""
    rule = evaluation.rule
    parts = [
        evaluation.split,
        safe_name(rule.sources.name)[:_LONGEST],
        f"every-{rule.every}" if rule.every > 1 else "",
    ]
    parts += ["approx" if rule.approximate else "", "best" if best else ""]
    parts += [evaluation.protocol if evaluation.protocol != DEFAULT_PROTOCOL else "", *other]
    if named:
        digest = hashlib.sha256("\n".join(named).encode()).hexdigest()[:8]
        parts.append(f"{len(named)}-objects-{digest}")
    return "-".join(part for part in parts if part)
