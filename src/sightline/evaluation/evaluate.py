"""Evaluation of whatever predicts views: pictures are made, judged and written one at a time."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sightline.captures import Capture
from sightline.evaluation.fitting import predicting
from sightline.evaluation.judging import Judge
from sightline.evaluation.pictures import PictureWriter
from sightline.evaluation.protocols import DEFAULT_PROTOCOL, get_protocol
from sightline.evaluation.results import SCHEMA, Evaluation, SubjectResult, write_results
from sightline.evaluation.tally import Tally
from sightline.evaluation.views import Predict, Subject, background_for, select_views
from sightline.foundation.errors import InputError, warn
from sightline.geometry import Cameras
from sightline.methods.base import Rendering
from sightline.metrics.lpips import Lpips
from sightline.runs.record import device_facts, package_versions

Render = Callable[[Cameras], Rendering]
"""one camera → its rendering, before the background of `background_for`"""


def evaluate_scene(
    render: Render,
    capture: Capture,
    out: Path | None,
    *,
    method: str,
    split: str = "test",
    every: int = 1,
    protocol: str = DEFAULT_PROTOCOL,
    background: str | None = None,
    baselines: Mapping[str, Predict] | None = None,
    device: str = "cpu",
    facts: Mapping[str, Any] | None = None,
    fitted: Sequence[str] = (),
    on_view: Callable[[int], None] | None = None,
) -> Evaluation:
    """Render the views of a split and compare them with the photos.

    Args:
        render: gives the picture of one camera of `capture`, before the colour that
            `background_for(capture, background)` names.
        out: folder for metrics.json, per_view.csv, images, panels and contact_sheet.png; None writes nothing.
        method: name for the results.
        every: take each K-th view of the split.
        protocol: name of a registered protocol.
        background: colour behind what is transparent; white where not given.
        baselines: trivial predictors (view index → picture), judged on the same views.
        device: where `render` works; the metrics are computed there too if it is a CUDA device.
        facts: further entries of metrics.json.
        fitted: what is fitted to each photo, "exposure", for scores beside those without the fit.
        on_view: called after each view with the number of views done.

    Raises:
        InputError: no such split or protocol, a background that is no colour, a rendering of another size.
    """
    predict, refit = predicting(render, capture, background, fitted)
    subject = Subject(
        capture=capture,
        indices=select_views(capture, split, every),
        predict=predict,
        baselines=baselines or {},
        refit=refit,
    )
    return evaluate_subjects(
        [subject],
        out,
        method=method,
        data=str(capture.path),
        split=split,
        protocol=protocol,
        background=background,
        device=device,
        facts={**(facts or {}), "fitted": list(fitted)} if fitted else facts,
        on_view=on_view,
    )


def evaluate_subjects(
    subjects: Iterable[Subject],
    out: Path | None,
    *,
    method: str,
    data: str,
    split: str,
    protocol: str = DEFAULT_PROTOCOL,
    background: str | None = None,
    device: str = "cpu",
    facts: Mapping[str, Any] | None = None,
    on_view: Callable[[int], None] | None = None,
) -> Evaluation:
    """Judge views of several scenes or objects; `subjects` may be a generator that opens them one by one.

    The arguments are those of `evaluate_scene`, and:

    Args:
        data: path or name of the data, for the results.
    """
    started = time.perf_counter()
    rules = get_protocol(protocol)
    metric_device = torch.device(device if device.startswith("cuda") else "cpu")
    lpips, reason = rules.load_lpips() if "lpips" in rules.metrics else (None, None)
    if reason:
        warn(f"LPIPS is left out. {reason}")
    writer = PictureWriter(out, f"{method}: {Path(data).name}, {split}") if out else None
    judge = Judge(rules, lpips.to(metric_device) if lpips else None, metric_device, writer)
    results, behind = _judge_all(judge, subjects, background, on_view)
    tally = Tally(rules, reason)
    for result in results:
        tally.add(result)
    metrics = put_together(
        tally,
        method=method,
        data=data,
        split=split,
        background=behind,
        lpips=lpips,
        facts=facts,
        seconds=time.perf_counter() - started,
        device=device,
    )
    if writer and out:
        writer.finish()
        write_results(out, metrics, results, rules)
    return Evaluation(metrics, out)


def put_together(
    tally: Tally,
    *,
    method: str,
    data: str,
    split: str,
    background: str,
    lpips: Lpips | None,
    seconds: float,
    device: str,
    unavailable: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make what `metrics.json` holds; InputError where there was no view."""
    if not tally.views:
        raise InputError("There is no view to evaluate", where=data)
    if tally.broken:
        warn(
            f"{sum(tally.broken)} pixels of {len(tally.broken)} predictions are not finite and count as "
            "black."
        )
    return {
        "schema": SCHEMA,
        "method": method,
        "data": data,
        "split": split,
        "protocol": tally.protocol.name,
        "background": background,
        **tally.summary(unavailable),
        **({"lpips_weights": asdict(lpips.provenance)} if lpips and lpips.provenance else {}),
        **(facts or {}),
        "seconds": round(seconds, 3),
        "seconds_per_view": round(tally.seconds / tally.views, 4),
        "device": device_facts(device),
        "versions": package_versions(),
    }


def _judge_all(
    judge: Judge,
    subjects: Iterable[Subject],
    background: str | None,
    on_view: Callable[[int], None] | None,
) -> tuple[list[SubjectResult], str]:
    results: list[SubjectResult] = []
    names = set()
    done = 0
    for subject in subjects:
        behind = background_for(subject.capture, background)
        names.add(behind.name)
        result = SubjectResult(subject.name, subject.category, [])
        for view in judge.judge(subject, behind):
            result.views.append(view)
            done += 1
            if on_view:
                on_view(done)
        results.append(result)
    return results, names.pop() if len(names) == 1 else "mixed"
