"""Judging one view after the other: predict, compare, write the pictures, forget them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sightline.evaluation.pictures import ViewWriter
from sightline.evaluation.protocols import Protocol, Scores
from sightline.evaluation.results import ViewResult
from sightline.evaluation.views import (
    Background,
    Subject,
    counted_pixels,
    file_stems,
    truth_picture,
)
from sightline.foundation.errors import InputError
from sightline.kernels.parallel import torch_on_one_thread
from sightline.metrics.lpips import Lpips

SMALL_PICTURE = 256 * 256
"""pixels"""


@dataclass(frozen=True)
class Judge:
    """Compares predictions with the truth by the rules of a protocol."""

    protocol: Protocol
    lpips: Lpips | None
    """on `device`; None leaves its scores out"""
    device: torch.device
    """where the metrics are computed"""
    writer: ViewWriter | None
    """where the pictures go; None for nowhere"""
    predictions: Path | None = None
    """folder of the protocol's own files of objects; None writes none"""

    def judge(self, subject: Subject, background: Background) -> Iterator[ViewResult]:
        """Judge the views of a subject one by one.

        Raises:
            InputError: a prediction has another size than the truth.
        """
        names = [subject.capture.image_names[index] for index in subject.indices]
        folder = "" if subject.folder is None else f"{subject.folder}/"
        for index, stem in zip(subject.indices, file_stems(names), strict=True):
            yield self._judge_view(subject, index, f"{folder}{stem}", background)

    def _judge_view(self, subject: Subject, index: int, place: str, background: Background) -> ViewResult:
        started = time.perf_counter()
        with torch.no_grad():
            # Fetching the values is part of the time: a GPU answers before it has finished.
            prediction = subject.predict(index).cpu()
        seconds = time.perf_counter() - started
        name = subject.capture.image_names[index]
        truth = truth_picture(subject.capture, index, background)
        counted = counted_pixels(subject.capture, index)
        scores = self._compare(prediction, truth, counted, name)
        baselines = {
            baseline: self._compare(predict(index), truth, counted, f"{name} by the baseline {baseline}")
            for baseline, predict in subject.baselines.items()
        }
        fitted = None
        if subject.refit is not None:
            fitted = self._compare(subject.refit(index, truth, counted), truth, counted, f"{name}, fitted")
        if self.writer:
            self.writer.add(place, prediction.float().numpy(), truth.numpy(), scores)
        if self.predictions is not None and subject.folder is not None:
            self.protocol.write_view(self.predictions / subject.folder, index, prediction)
        broken = int((~torch.isfinite(prediction)).any(-1).sum())
        return ViewResult(index, name, scores, seconds, baselines, broken, subject.sources, fitted)

    def _compare(self, prediction: Tensor, truth: Tensor, counted: Tensor | None, name: str) -> Scores:
        if prediction.shape != truth.shape:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (prediction.shape, truth.shape)]
            raise InputError(
                f"The prediction has {sizes[0]} pixels and the truth {sizes[1]}",
                where=name,
                fix="Open the capture with the downscale factor that the predictions were made with",
            )
        moved = None if counted is None else counted.to(self.device)
        # On several threads the sums over small pictures cost more in waiting than they save.
        small = self.lpips is None and truth.shape[0] * truth.shape[1] <= SMALL_PICTURE
        with torch.no_grad(), torch_on_one_thread(1 if small else None):
            return self.protocol.score(prediction.to(self.device), truth.to(self.device), moved, self.lpips)
